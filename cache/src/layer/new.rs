//! A layer in the making, and the ways to commit it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use image::DiffId;
use rustix::fs::{Mode, OFlags};

use super::against::{Raw, Times, add_parents, against};
use super::place::{self, Place};
use super::tar::settle_implied;
use super::{
    Entry, Layer, LayerError, LayerId, LayerIndex, Timestamp, Unpacked, files, index, scan,
};
use crate::disk::Root;
use crate::snapshot::View;
use crate::store::{Form, NewRow, Staging, Store, StoreError, Xattrs};

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
        let (fs, work) = (home.path().join(files::FS), home.path().join("work"));
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
        self.store.owner()?.now()
    }

    /// Gives the root the attributes that it has in `below`, so that an overlay on top shows them.
    pub fn adopt_root(&self, below: &View) -> Result<(), StoreError> {
        let Some(root) = below.get(b"") else {
            return Ok(());
        };
        let fail = || StoreError::io("set the attributes of", &self.fs);
        place::chown(self.dir(), root.uid, root.gid).map_err(fail())?;
        rustix::fs::fchmod(&self.dir, Mode::from_raw_mode(root.mode)).map_err(|e| fail()(e.into()))
    }

    /// Reads the `fs` directory, drops what equals the tree `below`, trims the directory to the index, and commits.
    pub fn commit_scanned(self, below: &View, made: &Made) -> Result<Layer, StoreError> {
        let root = Root::of(self.fs.clone());
        let xattrs = self.xattrs();
        let scanned = scan::scan(&root, xattrs, &made.stubs)?;
        let mut difference = against(below, scanned.entries, Times::Window(made.window));
        difference.remove.splice(0..0, scanned.sockets);
        place::trim(&mut Place::new(&root, xattrs), &difference)?;
        self.finish(difference.entries, None)
    }

    /// Commits with entries that the writer knows (contents digested while they were written), in
    /// any order; of equal paths the last wins. Drops what equals the tree `below`, as
    /// [`commit_scanned`](Self::commit_scanned) does. Parents that are not listed are added with
    /// what they are below, on disk too.
    pub fn commit_listed(self, below: &View, mut entries: Vec<Entry>) -> Result<Layer, StoreError> {
        let root = Root::of(self.fs.clone());
        let mut place = Place::new(&root, self.xattrs());
        index::sort(&mut entries);
        index::regroup(&mut entries);
        let added = add_parents(below, &mut entries);
        let raw = entries
            .into_iter()
            .map(|entry| Raw { entry, stub: false })
            .collect();
        let difference = against(below, raw, Times::Listed);
        place::trim(&mut place, &difference)?;
        // deepest first, so that a directory's time is set after what is in it was made
        for entry in difference
            .entries
            .iter()
            .rev()
            .filter(|entry| added.contains(&entry.path))
        {
            place
                .dir(entry)
                .map_err(LayerError::io("make", root.join(&entry.path)))?;
        }
        self.finish(difference.entries, None)
    }

    /// Commits an unpacked layer of an image exactly as its tar had it. Directories that the tar
    /// implies are what they are in the tree `below`; then the layer fits there only, and is not
    /// found by its diff id.
    pub fn commit_unpacked(
        self,
        below: &View,
        diff_id: DiffId,
        mut unpacked: Unpacked,
    ) -> Result<Layer, StoreError> {
        let root = Root::of(self.fs.clone());
        let fits_everywhere = settle_implied(&root, self.xattrs(), below, &mut unpacked)?;
        self.finish(unpacked.entries, fits_everywhere.then_some(diff_id))
    }

    /// How this layer's marks are written.
    pub(super) fn xattrs(&self) -> Xattrs {
        self.store.flavour().xattrs
    }

    /// Writes the index, removes what was needed only while the layer was made, and hands it to the store.
    fn finish(self, entries: Vec<Entry>, diff_id: Option<DiffId>) -> Result<Layer, StoreError> {
        let index = LayerIndex::new(entries)?;
        self.finish_as(index, diff_id, Form::Whole { origin: None })
    }

    /// As [`finish`](Self::finish), in any form.
    pub(super) fn finish_as(
        self,
        index: LayerIndex,
        diff_id: Option<DiffId>,
        form: Form,
    ) -> Result<Layer, StoreError> {
        crate::store::remove::work(&self.work)?;
        let write = |name, index: &LayerIndex| {
            let path = self.home.path().join(name);
            std::fs::write(&path, index.as_bytes()).map_err(StoreError::io("write", path))
        };
        write(files::INDEX, &index)?;
        if let Form::Delta { own, .. } = &form {
            write(files::OWN, own)?;
        }
        let new = NewRow {
            diff_id,
            index,
            form,
        };
        self.store.keep_layer(self.id, self.home, new)
    }

    /// The store that it will be in.
    pub(super) const fn store(&self) -> &Store {
        &self.store
    }
}
