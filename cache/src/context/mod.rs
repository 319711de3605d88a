//! Directories of the user's, scanned instead of sent.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use solver::ContentDigest;

use crate::select::SelectedEntry;
use crate::store::{Store, StoreError};

/// Decides which paths of a context COPY can see: the ignore file.
pub trait ContextFilter: Send + Sync {
    /// Whether the file or directory at `path` (relative, `/`-separated) is left out.
    fn excludes(&self, path: &str) -> bool;

    /// Whether something below the excluded directory at `path` may be let in again.
    fn may_include_below(&self, path: &str) -> bool;

    /// The rule, as written, that leaves `path` out, for the message; none when it is not left out.
    fn rule(&self, path: &str) -> Option<String>;

    /// Identity of the rules, so that a scan made under others is not taken for this one.
    fn identity(&self) -> String;
}

/// What to scan.
pub struct ContextOptions {
    /// Name in the build: `context`, or that of a `--build-context`.
    pub name: String,
    /// The directory.
    pub dir: PathBuf,
    /// What to leave out.
    pub filter: Arc<dyn ContextFilter>,
}

/// A directory of the user's with its index; shared by all steps of a build that read it.
pub struct Context {
    options: ContextOptions,
    store: Store,
}

impl Context {
    /// Opens `options.dir` and loads the index that an earlier build left in `store`. Reads no file.
    pub fn open(store: &Store, options: ContextOptions) -> Result<Self, ContextError> {
        Ok(Self {
            options,
            store: store.clone(),
        })
    }

    /// The directory.
    pub fn dir(&self) -> &std::path::Path {
        let _ = &self.store;
        &self.options.dir
    }

    /// Opens the selected regular file for reading, and makes sure that it is still the one that
    /// was digested. Never follows a link, never waits for a named pipe's other side.
    pub fn open_checked(&self, selected: &SelectedEntry) -> Result<Checked, ContextError> {
        let _ = selected;
        todo!()
    }

    /// Writes what was learned to the store, for the next build.
    pub fn save(&self) -> Result<(), StoreError> {
        todo!()
    }
}

/// A file of a context that is being copied.
#[derive(Debug)]
pub struct Checked {
    /// To read from.
    pub file: File,
    path: PathBuf,
    content: ContentDigest,
    stat: rustix::fs::Stat,
}

impl Checked {
    /// Called when all was copied into `copy` (readable): makes sure that the file did not change
    /// meanwhile, and if it did, that the copy still is what the key says.
    pub fn verify(self, copy: &File) -> Result<(), ContextError> {
        let _ = (copy, self.path, self.content, self.stat);
        todo!()
    }
}

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
        source: std::io::Error,
    },
    /// A file is not any more what it was when it was digested: the step's key must be made anew.
    #[error("{} changed while it was being copied", path.display())]
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
