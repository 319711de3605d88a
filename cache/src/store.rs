//! The state directory, and the only code that knows its paths.
//!
//! ```text
//! store.json                    format, flavour (xattr kind, id map, uid), what a probe found
//! blobs/sha256/<hex>            manifests, configs, compressed layers, as an OCI layout has them
//! layers/v1/<id>/{fs,index,own} one change set and its index; `own` if it amends another layer
//! contexts/v1/<id>              packed stat index of a context directory
//! listings/v1/<hex>             names behind a TreeDigest, to say which file changed
//! records.sqlite                keys, preimages, images, history, cache-mount and usage rows
//! mounts/v1/<id>/               cache mounts
//! builds/<id>/                  log and event stream of a past build
//! containers/<id>/              container.json, status, log, and what the container changed
//! volumes/<name>/_data          files of volumes
//! networks/<id>/<container>     who is on a network
//! leases tmp/ ballast .ballast-1…
//! ```
//!
//! Opening a store that is as it was left reads one small file and one row.

mod error;
mod flavour;
mod layers;
mod open;
mod probe;
pub(crate) mod remove;
mod spread;
pub(crate) mod staging;
mod sweep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use solver::TreeDigest;

pub use error::StoreError;
pub use flavour::{Flavour, Probed, Xattrs};
pub(crate) use layers::{Form, NewRow};
pub use staging::Staging;

use crate::database::Database;
use crate::layer::{Layer, LayerId};
use crate::snapshot::{Snapshot, View};
use staging::Owner;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The state directory; made when missing.
    pub root: PathBuf,
    /// How ids of containers are those of the file system, when that is known already and the
    /// process is rootless: the lines of `uid_map` and `gid_map`.
    pub id_map: Option<String>,
    /// Called before rayon's threads are needed by what seldom needs them, for whoever has not started
    /// them yet: by itself rayon panics where there are none to be had.
    pub before_work: Option<fn() -> std::io::Result<()>>,
}

impl StoreOptions {
    /// The store in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            id_map: None,
            before_work: None,
        }
    }
}

/// An open store; clones share it. Many processes may have the same one open.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    flavour: Flavour,
    probed: Probed,
    database: Database,
    before_work: Option<fn() -> std::io::Result<()>>,
    owner: Mutex<Option<Arc<Owner>>>,
    loaded: Mutex<HashMap<LayerId, Arc<OnceLock<Arc<Layer>>>>>,
    /// Which layer one amends, of those that were asked for: it never changes.
    amends: Mutex<HashMap<LayerId, Option<LayerId>>>,
    pinned: crate::pins::Held,
    verdicts: crate::suspects::Verdicts,
    /// Removes what dead processes left; waited for at the end.
    sweeper: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Store {
    /// Opens (or makes) a store: checks owner, mode, format and flavour; a new one is probed.
    /// A store that this program must not touch is left as it is.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        open::open(options)
    }

    /// The state directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Called before many threads work.
    pub(crate) fn before_work(&self) -> Result<(), StoreError> {
        self.inner
            .before_work
            .map_or(Ok(()), |start| start())
            .map_err(StoreError::io("start threads for", self.root()))
    }

    /// What it was made for.
    pub fn flavour(&self) -> &Flavour {
        &self.inner.flavour
    }

    /// What its file system can do.
    pub fn probed(&self) -> &Probed {
        &self.inner.probed
    }

    /// Mounts an overlay in the store and forgets it again, if that was not done before under this
    /// kernel. A rootless process calls it inside its user namespace.
    pub fn probe_overlay(&self) -> Result<(), StoreError> {
        open::probe_overlay(self)
    }

    /// The layer with this id, its index loaded once a process.
    pub fn layer(&self, id: &LayerId) -> Result<Arc<Layer>, StoreError> {
        let cell = {
            let mut loaded = self
                .inner
                .loaded
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(loaded.entry(id.clone()).or_default())
        };
        if let Some(layer) = cell.get() {
            return Ok(Arc::clone(layer));
        }
        let layer = Arc::new(layers::load(self, id)?);
        Ok(Arc::clone(cell.get_or_init(|| layer)))
    }

    /// The tree of a snapshot.
    pub fn view(&self, snapshot: &Snapshot) -> Result<View, StoreError> {
        let layers = snapshot
            .layers
            .iter()
            .map(|id| self.layer(id))
            .collect::<Result<_, _>>()?;
        Ok(View::new(layers))
    }

    /// A new empty directory in the store, on the file system of the layers; removed when dropped,
    /// and by others when this process dies.
    pub fn staging(&self, kind: &str) -> Result<Staging, StoreError> {
        Staging::new(&*self.owner()?, kind)
    }

    /// The file with the packed index of the context that `id` names.
    pub fn context_index(&self, id: &str) -> PathBuf {
        self.inner.root.join("contexts/v1").join(id)
    }

    /// The directory of a past or present build.
    pub fn build_dir(&self, id: &str) -> PathBuf {
        self.inner.root.join("builds").join(id)
    }

    /// The directory of containers, one directory each.
    pub fn containers_dir(&self) -> PathBuf {
        self.inner.root.join("containers")
    }

    /// The directory of volumes, one directory each.
    pub fn volumes_dir(&self) -> PathBuf {
        self.inner.root.join("volumes")
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn held(&self) -> &crate::pins::Held {
        &self.inner.pinned
    }

    pub(crate) fn verdicts(&self) -> &crate::suspects::Verdicts {
        &self.inner.verdicts
    }

    /// When a layer was made.
    pub fn layer_made(&self, id: &LayerId) -> Result<std::time::SystemTime, StoreError> {
        let path = self.layer_dir(id).join("index");
        std::fs::metadata(&path)
            .and_then(|found| found.modified())
            .map_err(StoreError::io("read", &path))
    }

    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.inner.root.join("layers/v1")
    }

    pub(crate) fn layer_dir(&self, id: &LayerId) -> PathBuf {
        self.layers_dir().join(&id.0)
    }

    pub(crate) fn blobs_dir(&self) -> PathBuf {
        self.inner.root.join("blobs/sha256")
    }

    pub(crate) fn mounts_dir(&self) -> PathBuf {
        self.inner.root.join("mounts/v1")
    }

    pub(crate) fn contexts_dir(&self) -> PathBuf {
        self.inner.root.join("contexts/v1")
    }

    pub(crate) fn listings_dir(&self) -> PathBuf {
        self.inner.root.join("listings/v1")
    }

    pub(crate) fn listing(&self, digest: &TreeDigest) -> PathBuf {
        self.listings_dir().join(digest.hex())
    }

    pub(crate) fn builds_dir(&self) -> PathBuf {
        self.inner.root.join("builds")
    }

    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.inner.root.join("tmp")
    }

    pub(crate) fn leases_file(&self) -> PathBuf {
        self.inner.root.join("leases")
    }

    pub(crate) fn ballast_file(&self) -> PathBuf {
        self.inner.root.join("ballast")
    }

    /// This process's corner of `tmp`, made when first needed.
    pub(crate) fn owner(&self) -> Result<Arc<Owner>, StoreError> {
        let mut owner = self
            .inner
            .owner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = &*owner {
            return Ok(Arc::clone(owner));
        }
        let made = Arc::new(Owner::new(&self.tmp_dir())?);
        *owner = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Serves a layer that was just made from memory.
    fn loaded(&self, layer: &Layer) {
        let cell = OnceLock::from(Arc::new(layer.clone()));
        self.inner
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(layer.id.clone(), Arc::new(cell));
    }

    /// Forgets a layer that was removed, so that it is not served from memory.
    pub(crate) fn unload(&self, id: &LayerId) {
        self.inner
            .loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let owner = self
            .owner
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(owner) = owner {
            // Best effort: they are void once the owner's lock is gone.
            let _ = self.database.try_write("drop pins", |transaction| {
                transaction
                    .execute("DELETE FROM pins WHERE owner = ?1", [owner.name()])
                    .map_err(self.database.error("drop pins"))
            });
        }
        let sweeper = self
            .sweeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(sweeper) = sweeper {
            // It only removes files; a panic of it is nobody's loss.
            let _ = sweeper.join();
        }
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
