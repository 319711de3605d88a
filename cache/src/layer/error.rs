//! What can go wrong with a layer.

use std::io;
use std::path::PathBuf;

use solver::ChangeDigest;

/// What can go wrong when a layer is read, made or exported.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A system call on one of its files failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `read`, `make`, `open` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An index file is not one, or is damaged.
    #[error("not a usable layer index: {reason}")]
    Index {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path that cannot stand in a layer.
    #[error("`{path}` cannot be in a layer: {reason}")]
    Path {
        /// The path, with what is not UTF-8 replaced.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// More links than anyone follows.
    #[error("`/{path}`: too many levels of symbolic links")]
    Links {
        /// The path that was looked up.
        path: String,
    },
    /// A layer's tar could not be read.
    #[error("cannot unpack the layer")]
    Archive(#[source] image::tar::TarError),
    /// The files of a layer are not what its index says.
    #[error("`/{path}` of the layer is not what its index says: {what}")]
    Damaged {
        /// Where.
        path: String,
        /// What differs.
        what: &'static str,
    },
    /// A layer made again from its tar is not what it was.
    #[error("the layer became {found}, it should be {expected}")]
    Changed {
        /// What it should be.
        expected: ChangeDigest,
        /// What it is.
        found: ChangeDigest,
    },
}

impl LayerError {
    /// For `map_err` on a system call about `path`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// A path for messages.
pub(crate) fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
