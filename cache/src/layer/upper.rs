//! An overlay's upper directory that stays what it is, seen as a layer: what a container changed so
//! far. Such a layer is in no store; [`NewLayer::commit_copied`] makes one of it that is.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::against::{Times, against};
use super::files::Files;
use super::{
    Kind, Layer, LayerError, LayerId, LayerIndex, NewLayer, Stub, TarOptions, index, scan,
    write_tar,
};
use crate::disk::Root;
use crate::snapshot::View;
use crate::store::{Store, StoreError};

/// Mode and owner of the root of an upper directory that is new.
const NEW_ROOT: (u32, u32, u32) = (0o755, 0, 0);

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is new.
    Added,
    /// It, or something in it, is other than it was.
    Changed,
    /// It is gone.
    Deleted,
}

impl Store {
    /// What the directory `fs` in `folder` changes in the tree `below`, `stubs` left out. Its files are
    /// read where they are, so `folder` must stay as long as the layer is used.
    ///
    /// # Errors
    /// [`StoreError::Layer`] when a file cannot be read.
    pub fn upper(&self, folder: &Path, below: &View, stubs: &[Stub]) -> Result<Layer, StoreError> {
        let files = Files::whole(folder);
        let root = Root::of(files.path().to_owned());
        let scanned = scan::scan(&root, self.flavour().xattrs, stubs)?;
        let mut entries = against(below, scanned.entries, Times::Window(None)).entries;
        // A new upper directory is made with these: nobody chose them.
        entries.retain(|root| !root.path.is_empty() || (root.mode, root.uid, root.gid) != NEW_ROOT);
        index::regroup(&mut entries);
        let index = LayerIndex::new(entries)?;
        let id = folder.file_name().unwrap_or_default();
        Ok(Layer {
            id: LayerId(id.to_string_lossy().into_owned()),
            change: index.change_digest(),
            diff_id: None,
            index: index.into(),
            files,
        })
    }
}

impl Layer {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What it does to each path of the tree `below`, in the order of the index.
    pub fn fates(&self, below: &View) -> Vec<(Vec<u8>, Fate)> {
        let fate = |entry: super::Entry| {
            let fate = match entry.kind {
                Kind::Whiteout => Fate::Deleted,
                _ if below.get(&entry.path).is_some() => Fate::Changed,
                _ => Fate::Added,
            };
            (entry.path, fate)
        };
        self.index.iter().map(fate).collect()
    }
}

impl NewLayer {
    /// Commits a copy of `upper`, a layer of [`Store::upper`] on the tree `below`. What is written
    /// to its files meanwhile is in the copy, or makes it fail.
    ///
    /// # Errors
    /// As of writing a layer.
    pub fn commit_copied(self, upper: &Layer, below: &View) -> Result<Layer, StoreError> {
        let (mut read, write) = io::pipe().map_err(LayerError::io("open a pipe to", &self.fs))?;
        let unpacked = std::thread::scope(|scope| {
            let written = scope.spawn(move || {
                let mut out = BufWriter::with_capacity(1 << 18, write);
                write_tar(upper, TarOptions::default(), &mut out)?;
                out.flush()
                    .map_err(LayerError::io("read", upper.files.path()))
            });
            let unpacked = self.unpack(&mut read);
            // Whoever still writes must not wait for a reader that is gone.
            drop(read);
            match (written.join(), unpacked) {
                (_, Err(error)) => Err(error),
                (Ok(Err(error)), Ok(_)) => Err(error),
                (Err(_), Ok(_)) => Err(LayerError::io("read", upper.files.path())(
                    io::Error::other("the writer panicked"),
                )),
                (Ok(Ok(())), Ok(unpacked)) => Ok(unpacked),
            }
        })?;
        self.commit_listed(below, unpacked.into_entries())
    }
}
