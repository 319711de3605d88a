//! One change set on disk, its index, and how a new one is made.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DiffId;
use serde::{Deserialize, Serialize};
use solver::{ChangeDigest, ContentDigest};

use crate::snapshot::View;
use crate::store::StoreError;

/// Names one layer of one store: short, random, never used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub String);

/// A time of a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

/// One entry of a layer's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path from the root, without a leading `/`; empty for the root itself. Bytes, not necessarily UTF-8.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky, at most 07777.
    pub mode: u32,
    /// Owner, as the container sees it.
    pub uid: u32,
    /// Group, as the container sees it.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes that count, sorted by name: `security.capability` in its v2 form.
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Hides what is below at this path.
    Whiteout,
    /// A directory; an opaque one hides what is below in it.
    Dir {
        /// Whether it hides what is below in it.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Digest of the bytes.
        content: ContentDigest,
        /// First path (in sort order) of the files of this layer that are the same inode; none for a file on its own.
        link: Option<Vec<u8>>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as written.
        target: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// Its number.
        major: u32,
        /// Its number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its number.
        major: u32,
        /// Its number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// Sorted, canonical list of a layer's entries: the truth about the layer, and the source of its tar.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerIndex {
    /// By path, bytewise per component (so that a directory stands before what is in it).
    pub entries: Vec<Entry>,
}

impl LayerIndex {
    /// What this layer does to what is below it.
    pub fn change_digest(&self) -> ChangeDigest {
        todo!()
    }

    /// The entry at `path`.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        let _ = path;
        todo!()
    }
}

/// A committed layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name in the store.
    pub id: LayerId,
    /// What it does.
    pub change: ChangeDigest,
    /// For a layer of a pulled image: the digest of its tar.
    pub diff_id: Option<DiffId>,
    /// Its entries.
    pub index: Arc<LayerIndex>,
}

/// A layer in the making: a directory under the store's `tmp`, removed when dropped uncommitted.
#[derive(Debug)]
pub struct NewLayer {
    /// Directory that becomes the layer's files: the upper directory of an overlay, or written into directly.
    pub fs: PathBuf,
    /// Empty directory on the same file system, for the overlay's work directory.
    pub work: PathBuf,
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
    /// The `fs` directory, opened for `*at` calls.
    pub fn dir(&self) -> BorrowedFd<'_> {
        todo!()
    }

    /// Reads the `fs` directory, drops what equals the tree `below`, trims the directory to the index, and commits.
    pub fn commit_scanned(self, below: &View, made: &Made) -> Result<Layer, StoreError> {
        let _ = (below, made);
        todo!()
    }

    /// Commits with entries that the writer knows (contents digested while they were written);
    /// drops what equals the tree `below`, as [`commit_scanned`](Self::commit_scanned) does.
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

/// Writes a layer's tar from its index: sorted, normalised, the same bytes everywhere.
pub fn write_tar(
    layer: &Layer,
    files: &Path,
    out: &mut dyn std::io::Write,
) -> Result<(), StoreError> {
    let _ = (layer, files, out);
    todo!()
}
