//! Directories of the user's, scanned instead of sent.

use std::path::PathBuf;
use std::sync::Arc;

use crate::store::{Store, StoreError};

/// Decides which paths of a context COPY can see: the ignore file.
pub trait ContextFilter: Send + Sync {
    /// Whether the file or directory at `path` (relative, `/`-separated) is left out.
    fn excludes(&self, path: &str) -> bool;

    /// Whether something below the excluded directory at `path` may be let in again.
    fn may_include_below(&self, path: &str) -> bool;

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
    pub fn open(store: &Store, options: ContextOptions) -> Result<Self, StoreError> {
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

    /// Writes what was learned to the store, for the next build.
    pub fn save(&self) -> Result<(), StoreError> {
        todo!()
    }
}
