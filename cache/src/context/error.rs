//! Why a context could not be read.

use std::io;
use std::path::PathBuf;

/// Why a context could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A system call on one of its files failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not any more what it was when it was digested: the step's key must be made anew.
    #[error("{} changed while it was being read", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
    /// More links than anyone follows.
    #[error("{}: too many levels of symbolic links", path.display())]
    Links {
        /// The path that was looked up.
        path: PathBuf,
    },
}

impl ContextError {
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
