//! The rows of layers: committing, finding and loading.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use image::{DiffId, Digest};
use rusqlite::{Connection, OptionalExtension, params};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use solver::ChangeDigest;

use super::staging::random_name;
use super::{Staging, Store, StoreError};
use crate::database::now;
use crate::layer::files::{self, Files};
use crate::layer::{Layer, LayerId, LayerIndex, NewLayer, Origin};

impl Store {
    /// Starts a layer.
    pub fn new_layer(&self) -> Result<NewLayer, StoreError> {
        let home = self.staging("layer")?;
        Ok(NewLayer::create(self, LayerId(random_name()), home)?)
    }

    /// Makes a layer of `home`, which holds `fs` and `index` and nothing else. It is pinned by
    /// this process. If a layer with the same diff id is there already, that one is the answer and
    /// `home` is thrown away.
    pub(crate) fn keep_layer(
        &self,
        id: LayerId,
        home: Staging,
        new: NewRow,
    ) -> Result<Layer, StoreError> {
        let NewRow {
            diff_id,
            index,
            form,
        } = new;
        let change = index.change_digest();
        let (id, new) = self.commit(id, home, diff_id, change, &form)?;
        if !new {
            return self.layer(&id).map(|layer| Layer::clone(&layer));
        }
        let dir = self.layer_dir(&id);
        let files = match form {
            Form::Whole { .. } => Files::whole(&dir),
            Form::Delta { layer, own } => {
                let amended = self.layer_dir(&layer);
                Files::delta(&dir, own, layer, &amended)
            }
        };
        let layer = Layer {
            files,
            id,
            change,
            diff_id,
            index: Arc::new(index),
        };
        self.loaded(&layer);
        Ok(layer)
    }

    /// Renames a layer into place and writes its row; whether it is a new one is the answer too.
    pub(crate) fn commit(
        &self,
        mut id: LayerId,
        home: Staging,
        diff_id: Option<DiffId>,
        change: ChangeDigest,
        form: &Form,
    ) -> Result<(LayerId, bool), StoreError> {
        let owner = self.owner()?;
        let boot = crate::suspects::boot_id();
        let db = self.database();
        let fail = || db.error("add a layer");
        let committed = db.write("add a layer", |transaction| {
            let pin = |id: &LayerId| {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO pins VALUES (?1, ?2)")
                    .and_then(|mut pin| pin.execute([owner.name(), &id.0]))
                    .map_err(fail())
            };
            if let Some(diff_id) = &diff_id {
                let same = with_diff_id(transaction, diff_id).map_err(fail())?;
                if let Some(id) = same {
                    pin(&id)?;
                    return Ok((id, false));
                }
            }
            let (amends, origin) = match form {
                Form::Whole { origin } => (None, origin.map(|origin| origin.0)),
                Form::Delta { layer, .. } => (Some(&layer.0), None),
            };
            if let Some(amends) = amends {
                // It was pinned since it was chosen; a damaged one can be dropped all the same.
                let there: bool = transaction
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM layers WHERE id = ?1)")
                    .and_then(|mut find| find.query_row([amends], |row| row.get(0)))
                    .map_err(fail())?;
                if !there {
                    return Err(StoreError::NoLayer { id: amends.clone() });
                }
            }
            // The rename is inside the transaction: a directory without a row is nobody's.
            loop {
                let place = self.layer_dir(&id);
                match renameat_with(CWD, home.path(), CWD, &place, RenameFlags::NOREPLACE) {
                    Ok(()) => break,
                    Err(Errno::EXIST) => id = LayerId(random_name()),
                    Err(errno) => return Err(StoreError::io("rename", home.path())(errno.into())),
                }
            }
            transaction
                .prepare_cached("INSERT INTO layers VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?5, ?6, ?7)")
                .and_then(|mut insert| {
                    let diff_id = diff_id.map(|diff_id| *diff_id.0.as_bytes());
                    let row = params![id.0, change.0, diff_id, boot, now(), amends, origin];
                    insert.execute(row)
                })
                .map_err(fail())?;
            pin(&id)?;
            Ok((id, true))
        })?;
        self.held().made(&committed.0);
        if committed.1 {
            let amends = match form {
                Form::Whole { .. } => None,
                Form::Delta { layer, .. } => Some(layer.clone()),
            };
            self.inner
                .amends
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(committed.0.clone(), amends);
        }
        Ok(committed)
    }

    /// The latest whole layers that `origin` wrote, the newest first.
    pub(crate) fn layers_of(
        &self,
        origin: &Origin,
        limit: usize,
    ) -> Result<Vec<LayerId>, StoreError> {
        self.database().read("find layers", |connection| {
            connection
                .prepare_cached(
                    "SELECT id FROM layers WHERE origin = ?1 ORDER BY created DESC LIMIT ?2",
                )?
                .query_map(params![origin.0, limit as i64], |row| {
                    row.get(0).map(LayerId)
                })?
                .collect()
        })
    }

    /// The layer that `id` amends, if its files are only a difference; none too for one that is
    /// not there.
    pub(crate) fn amended_by(&self, id: &LayerId) -> Result<Option<LayerId>, StoreError> {
        let amends = &self.inner.amends;
        let known = amends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let row: Option<Option<String>> = self.database().read("find a layer", |connection| {
            connection
                .prepare_cached("SELECT amends FROM layers WHERE id = ?1")?
                .query_row([&id.0], |row| row.get(0))
                .optional()
        })?;
        let Some(found) = row else {
            return Ok(None);
        };
        let found = found.map(LayerId);
        amends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), found.clone());
        Ok(found)
    }

    /// These layers, and before each the one that it amends: what must be there for a stack to be
    /// read. Lowest first.
    pub(crate) fn with_amended(&self, layers: &[LayerId]) -> Result<Vec<LayerId>, StoreError> {
        let mut all = Vec::with_capacity(layers.len());
        for id in layers {
            all.extend(self.amended_by(id)?);
            all.push(id.clone());
        }
        Ok(all)
    }

    /// The directories that show a stack when they are mounted over each other, relative to the
    /// root, lowest first: an overlay's lower directories. The stack must be pinned.
    pub fn layer_dirs(&self, layers: &[LayerId]) -> Result<Vec<PathBuf>, StoreError> {
        let mut all = self.with_amended(layers)?;
        // The kernel takes no directory twice. What is in the lower place of two is in the upper
        // one too, and seen there.
        let mut seen = HashSet::new();
        all.reverse();
        all.retain(|id| seen.insert(id.clone()));
        all.reverse();
        let dirs = all.iter();
        Ok(dirs
            .map(|id| Path::new("layers/v1").join(&id.0).join(files::FS))
            .collect())
    }

    /// A layer that was unpacked from a tar with this digest.
    pub fn layer_by_diff_id(&self, diff_id: &DiffId) -> Result<Option<Arc<Layer>>, StoreError> {
        let id = self.database().read("find a layer", |connection| {
            with_diff_id(connection, diff_id)
        })?;
        id.map(|id| self.layer(&id)).transpose()
    }

    /// Notes the digest of a layer's tar, once somebody has computed it.
    pub fn set_diff_id(&self, id: &LayerId, diff_id: &DiffId) -> Result<(), StoreError> {
        self.set_memo("diff id", &id.0, diff_id.0.as_bytes())
    }

    /// The digest of a layer's tar, if it is known.
    pub fn diff_id(&self, id: &LayerId) -> Result<Option<DiffId>, StoreError> {
        let row: Option<Option<[u8; 32]>> = self.database().read("find a layer", |connection| {
            connection
                .prepare_cached("SELECT diff_id FROM layers WHERE id = ?1")?
                .query_row([&id.0], |row| row.get(0))
                .optional()
        })?;
        let memo = match row.flatten() {
            None => self
                .memo("diff id", &id.0)?
                .and_then(|bytes| bytes.try_into().ok()),
            known => known,
        };
        Ok(memo.map(|bytes| DiffId(Digest::from_bytes(bytes))))
    }
}

/// How a layer's files are kept.
#[derive(Debug)]
pub(crate) enum Form {
    /// All in its own directory.
    Whole {
        /// What wrote it, if its next layer may amend this one.
        origin: Option<Origin>,
    },
    /// Only what differs from another layer, which is whole.
    Delta {
        /// The other.
        layer: LayerId,
        /// What is in the own directory.
        own: LayerIndex,
    },
}

/// A layer to be committed.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) diff_id: Option<DiffId>,
    pub(crate) index: LayerIndex,
    pub(crate) form: Form,
}

/// A layer's row.
struct LayerRow {
    change: [u8; 32],
    diff_id: Option<[u8; 32]>,
    amends: Option<String>,
}

/// Reads a layer's row and index.
pub(super) fn load(store: &Store, id: &LayerId) -> Result<Layer, StoreError> {
    let row = store.database().read("find a layer", |connection| {
        connection
            .prepare_cached("SELECT change, diff_id, amends FROM layers WHERE id = ?1")?
            .query_row([&id.0], |row| {
                Ok(LayerRow {
                    change: row.get(0)?,
                    diff_id: row.get(1)?,
                    amends: row.get(2)?,
                })
            })
            .optional()
    })?;
    let row = row.ok_or_else(|| StoreError::NoLayer { id: id.0.clone() })?;
    let dir = store.layer_dir(id);
    let read = |name| -> Result<LayerIndex, StoreError> {
        let path = dir.join(name);
        let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
        Ok(LayerIndex::from_bytes(bytes)?)
    };
    let files = match row.amends.map(LayerId) {
        None => Files::whole(&dir),
        Some(amends) => {
            let own = read(files::OWN)?;
            let amended = store.layer_dir(&amends);
            Files::delta(&dir, own, amends, &amended)
        }
    };
    Ok(Layer {
        id: id.clone(),
        change: ChangeDigest(row.change),
        diff_id: row.diff_id.map(|bytes| DiffId(Digest::from_bytes(bytes))),
        index: Arc::new(read(files::INDEX)?),
        files,
    })
}

fn with_diff_id(connection: &Connection, diff_id: &DiffId) -> rusqlite::Result<Option<LayerId>> {
    connection
        .prepare_cached("SELECT id FROM layers WHERE diff_id = ?1")?
        .query_row([diff_id.0.as_bytes()], |row| row.get(0).map(LayerId))
        .optional()
}
