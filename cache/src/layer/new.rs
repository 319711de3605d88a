//! A layer in the making, and the ways to commit it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use image::DiffId;
use rustix::fs::{Mode, OFlags};

use super::{Entry, Layer, LayerError, LayerId, Timestamp};
use crate::snapshot::View;
use crate::store::{Staging, Store, StoreError};

/// A layer in the making: a directory under the store's `tmp`, removed when dropped uncommitted.
#[derive(Debug)]
pub struct NewLayer {
    /// Directory that becomes the layer's files: the upper directory of an overlay, or written into directly.
    pub fs: PathBuf,
    /// Empty directory on the same file system, for the overlay's work directory.
    pub work: PathBuf,
    /// The directory that both are in, and the index soon.
    pub(crate) home: Staging,
    pub(crate) id: LayerId,
    dir: OwnedFd,
    store: Store,
}

/// A file or directory that was made only so that something could be mounted on it; left out of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Path from the root.
    pub path: Vec<u8>,
    /// Its inode when it was made.
    pub inode: u64,
}

/// What is known about the files of a new layer.
#[derive(Debug, Default)]
pub struct Made {
    /// Stubs to leave out.
    pub stubs: Vec<Stub>,
    /// The step's window by the clock of the store's file system: an mtime in it counts as `now`.
    pub window: Option<(Timestamp, Timestamp)>,
}

impl NewLayer {
    /// Starts layer `id` in the empty directory `home` of `store`'s `tmp`: makes `fs` and `work` in it.
    pub fn create(store: &Store, id: LayerId, home: Staging) -> Result<Self, LayerError> {
        let (fs, work) = (home.path().join("fs"), home.path().join("work"));
        for (path, mode) in [(&fs, 0o755), (&work, 0o700)] {
            rustix::fs::mkdir(path, Mode::from_raw_mode(mode))
                .map_err(|e| LayerError::io("make", path)(e.into()))?;
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))
                .map_err(|e| LayerError::io("chmod", path)(e.into()))?;
        }
        let dir = rustix::fs::open(&fs, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| LayerError::io("open", &fs)(e.into()))?;
        Ok(Self {
            fs,
            work,
            home,
            id,
            dir,
            store: store.clone(),
        })
    }

    /// The `fs` directory, opened for `*at` calls.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The time of a file made now, by the clock of the store's file system: the ends of [`Made::window`].
    pub fn now(&self) -> Result<Timestamp, StoreError> {
        todo!()
    }

    /// Gives the root the attributes that it has in `below`, so that an overlay on top shows them.
    pub fn adopt_root(&self, below: &View) -> Result<(), StoreError> {
        let _ = below;
        todo!()
    }

    /// Reads the `fs` directory, drops what equals the tree `below`, trims the directory to the index, and commits.
    pub fn commit_scanned(self, below: &View, made: &Made) -> Result<Layer, StoreError> {
        let _ = (below, made, &self.store, &self.id, &self.home);
        todo!()
    }

    /// Commits with entries that the writer knows (contents digested while they were written), in
    /// any order; of equal paths the last wins. Drops what equals the tree `below`, as
    /// [`commit_scanned`](Self::commit_scanned) does. Parents that are not listed are added with
    /// what they are below.
    pub fn commit_listed(self, below: &View, entries: Vec<Entry>) -> Result<Layer, StoreError> {
        let _ = (below, entries);
        todo!()
    }

    /// Commits an unpacked layer of an image exactly as its tar had it.
    pub fn commit_unpacked(
        self,
        diff_id: DiffId,
        entries: Vec<Entry>,
    ) -> Result<Layer, StoreError> {
        let _ = (diff_id, entries);
        todo!()
    }
}
