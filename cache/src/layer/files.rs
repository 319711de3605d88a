//! Where a layer's files are: in a directory of its own, or in that and in the one of the layer
//! that it amends. Knows no stacks.
//!
//! ```text
//! layers/v1/<id>/fs      all files, or those in which the layer differs from the amended one
//! layers/v1/<id>/index   all entries, whatever the form
//! layers/v1/<id>/own     only if it amends another: the index of what is in its own `fs`, with
//!                        a whiteout for each path of the other that it does not have
//! ```
//!
//! Both directories are mounted, the own one on top.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LayerId, LayerIndex};
use crate::disk::Root;

/// Directory of a layer's files.
pub(crate) const FS: &str = "fs";
/// All entries.
pub(crate) const INDEX: &str = "index";
/// The entries of a delta's own directory.
pub(crate) const OWN: &str = "own";

/// The files of one layer.
#[derive(Debug)]
pub(crate) struct Files {
    own: Arc<Root>,
    amended: Option<Amended>,
}

/// What a delta stands on.
#[derive(Debug)]
pub(crate) struct Amended {
    /// The layer, which is whole.
    pub layer: LayerId,
    /// Its files.
    root: Arc<Root>,
    /// What the delta has in its own directory.
    pub own: LayerIndex,
}

impl Files {
    /// Those of a whole layer, in the store's directory `dir` of it.
    pub fn whole(dir: &Path) -> Arc<Self> {
        Arc::new(Self {
            own: Root::of(dir.join(FS)),
            amended: None,
        })
    }

    /// Those of a delta in `dir`, which has `own` there and stands on `layer` in `amended`.
    pub fn delta(dir: &Path, own: LayerIndex, layer: LayerId, amended: &Path) -> Arc<Self> {
        Arc::new(Self {
            own: Root::of(dir.join(FS)),
            amended: Some(Amended {
                layer,
                root: Root::of(amended.join(FS)),
                own,
            }),
        })
    }

    /// The layer that this one amends.
    pub fn amended(&self) -> Option<&Amended> {
        self.amended.as_ref()
    }

    /// The layer's own directory.
    pub fn path(&self) -> &Path {
        self.own.path()
    }

    /// Opens the regular file at `path`, which the layer's index has, for reading; no component may
    /// be a link.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        self.root_of(path).open_file(path)
    }

    /// A path in it, for messages.
    pub fn join(&self, path: &[u8]) -> PathBuf {
        self.root_of(path).join(path)
    }

    /// The directory that has an entry of the layer.
    fn root_of(&self, path: &[u8]) -> &Root {
        match &self.amended {
            Some(amended) if amended.own.find(path).is_err() => &amended.root,
            _ => &self.own,
        }
    }
}
