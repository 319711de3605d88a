//! Directories of the user's, scanned instead of sent. Knows no patterns but those of the ignore
//! file, and nothing of what is done with the files.
//!
//! A scan is a walk of stat calls: what an earlier build learned of a file (its content's digest)
//! is good as long as inode, size, times, mode and owner are the same, and its times lie clearly
//! before the moment it was read. What is not known is read and digested.

mod asked;
mod checked;
mod error;
mod known;
mod listing;
mod tree;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use solver::pattern::PatternList;

use crate::disk::{self, Root};
use crate::layer::Timestamp;
use crate::store::{Store, StoreError};
pub use checked::Checked;
pub use error::ContextError;
use known::Known;
use listing::Listing;

/// Decides which paths of a context COPY can see: the ignore file.
pub trait ContextFilter: Send + Sync {
    /// The rules: what they match is left out.
    fn patterns(&self) -> &PatternList;

    /// The rule at this position of the list, as the user wrote it, for a message.
    fn rule(&self, position: usize) -> String;
}

/// Leaves nothing out.
#[derive(Debug, Clone, Default)]
pub struct NoFilter(PatternList);

impl ContextFilter for NoFilter {
    fn patterns(&self) -> &PatternList {
        &self.0
    }

    fn rule(&self, _: usize) -> String {
        String::new()
    }
}

/// What to scan.
pub struct ContextOptions {
    /// Name in the build: `context`, or that of a `--build-context`.
    pub name: String,
    /// The directory.
    pub dir: PathBuf,
    /// What to leave out.
    pub filter: Arc<dyn ContextFilter>,
    /// Paths and patterns that the build asks for; none if for everything.
    pub asked: Option<Vec<String>>,
}

/// A directory of the user's with its index; shared by all steps of a build that read it.
pub struct Context {
    options: ContextOptions,
    root: Arc<Root>,
    /// Device of the directory: files of others have inode numbers of their own.
    device: u64,
    /// What changed before this is as it was read; what changed later may change again unnoticed.
    settled: Timestamp,
    index: PathBuf,
    known: RwLock<Known>,
    listings: Mutex<HashMap<Vec<u8>, Arc<Listing>>>,
    learned: AtomicBool,
    /// Bytes of files that are kept in memory.
    kept: AtomicU64,
    /// What is asked for, links followed.
    asked: OnceLock<PatternList>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.options.name)
            .field("dir", &self.options.dir)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Opens `options.dir` and loads the index that an earlier build left in `store`. Reads no file.
    pub fn open(store: &Store, options: ContextOptions) -> Result<Self, ContextError> {
        let fail = |action| ContextError::io(action, &options.dir);
        let real = options.dir.canonicalize().map_err(fail("open"))?;
        let root = Root::of(real.clone());
        let stat = rustix::fs::fstat(root.dir().map_err(fail("open"))?)
            .map_err(|e| fail("open")(e.into()))?;
        let device = stat.st_dev;
        let index = store.context_index(&known::name(&real));
        let known = Known::load(&index, device);
        Ok(Self {
            settled: settled(&real),
            root,
            device,
            index,
            known: RwLock::new(known),
            listings: Mutex::default(),
            learned: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            asked: OnceLock::new(),
            options,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// Its name in the build.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Looks at every directory again when it is next asked for: something was found to have changed.
    pub fn forget(&self) {
        let known = self.gather();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.listings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.kept.store(0, Ordering::Relaxed);
    }

    /// Writes what was learned to the store, for the next build; nothing if nothing was.
    pub fn save(&self) -> Result<(), StoreError> {
        if !self.learned.load(Ordering::Acquire) {
            return Ok(());
        }
        let known = self.gather();
        known
            .save(&self.index)
            .map_err(StoreError::io("write", &self.index))?;
        self.learned.store(false, Ordering::Release);
        Ok(())
    }

    /// What is known from earlier builds and from this one.
    fn gather(&self) -> Known {
        let listings = self
            .listings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.with(self.device, &listings)
    }
}

/// A moment by the clock of the directory's file system; an earlier one where it cannot be asked:
/// by two seconds, the coarsest that file systems count in.
fn settled(dir: &Path) -> Timestamp {
    disk::now(dir).unwrap_or_else(|_| {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Timestamp::seconds(now.tv_sec - 2)
    })
}
