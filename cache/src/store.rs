//! The state directory, and the only code that knows its paths.
//!
//! ```text
//! store.json                    format, flavour (xattr kind, id map, uid), what a probe found
//! blobs/sha256/<hex>            manifests, configs, compressed layers, as an OCI layout has them
//! layers/v1/<id>/{fs,index}     one change set and its index
//! contexts/v1/<id>              packed stat index of a context directory
//! records.sqlite                keys, preimages, images, history, cache-mount and usage rows
//! mounts/v1/<id>/               cache mounts
//! builds/<id>/                  log and event stream of a past build
//! containers/<id>/              spec, status, log
//! leases tmp/ ballast
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DiffId;

use crate::layer::{Layer, LayerId, LayerIndex, NewLayer};
use crate::snapshot::{Snapshot, View};

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The state directory; made when missing.
    pub root: PathBuf,
}

/// An open store; clones share it. Many processes may have the same one open.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call on one of its files failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `read`, `make`, `rename` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A layer could not be read or made.
    #[error(transparent)]
    Layer(#[from] crate::layer::LayerError),
}

impl Store {
    /// Opens (or makes) a store: checks mode, format and flavour, probes what overlay can do here.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner { root: options.root }),
        })
    }

    /// The state directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Starts a layer.
    pub fn new_layer(&self) -> Result<NewLayer, StoreError> {
        todo!()
    }

    /// Makes a layer of `home` (which holds `fs` and `index`, nothing else): renames it into place and writes its row.
    pub(crate) fn keep_layer(
        &self,
        id: LayerId,
        home: &Path,
        diff_id: Option<DiffId>,
        index: LayerIndex,
    ) -> Result<Layer, StoreError> {
        let _ = (id, home, diff_id, index);
        todo!()
    }

    /// The layer with this id, its index loaded once a process.
    pub fn layer(&self, id: &LayerId) -> Result<Arc<Layer>, StoreError> {
        let _ = id;
        todo!()
    }

    /// A layer that was unpacked from a tar with this digest.
    pub fn layer_by_diff_id(&self, diff_id: &DiffId) -> Result<Option<Arc<Layer>>, StoreError> {
        let _ = diff_id;
        todo!()
    }

    /// The directory of a layer's files, relative to the root: the source of an overlay's lower directory.
    pub fn layer_fs(&self, id: &LayerId) -> PathBuf {
        Path::new("layers/v1").join(&id.0).join("fs")
    }

    /// The tree of a snapshot.
    pub fn view(&self, snapshot: &Snapshot) -> Result<View, StoreError> {
        let _ = snapshot;
        todo!()
    }
}
