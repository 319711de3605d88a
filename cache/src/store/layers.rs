//! The rows of layers: committing, finding and loading.

use std::sync::Arc;

use image::{DiffId, Digest};
use rusqlite::{Connection, OptionalExtension, params};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use solver::ChangeDigest;

use super::staging::random_name;
use super::{Staging, Store, StoreError};
use crate::database::now;
use crate::disk::Root;
use crate::layer::{Layer, LayerId, LayerIndex, NewLayer};

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
        diff_id: Option<DiffId>,
        index: LayerIndex,
    ) -> Result<Layer, StoreError> {
        let change = index.change_digest();
        let (id, new) = self.commit(id, home, diff_id, change)?;
        if !new {
            return self.layer(&id).map(|layer| Layer::clone(&layer));
        }
        let layer = Layer {
            files: Root::of(self.layer_dir(&id).join("fs")),
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
                .prepare_cached("INSERT INTO layers VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?5)")
                .and_then(|mut insert| {
                    let diff_id = diff_id.map(|diff_id| *diff_id.0.as_bytes());
                    insert.execute(params![id.0, change.0, diff_id, boot, now()])
                })
                .map_err(fail())?;
            pin(&id)?;
            Ok((id, true))
        })?;
        self.held().made(&committed.0);
        Ok(committed)
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

/// Reads a layer's row and index.
pub(super) fn load(store: &Store, id: &LayerId) -> Result<Layer, StoreError> {
    let row: Option<([u8; 32], Option<[u8; 32]>)> =
        store.database().read("find a layer", |connection| {
            connection
                .prepare_cached("SELECT change, diff_id FROM layers WHERE id = ?1")?
                .query_row([&id.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
    let (change, diff_id) = row.ok_or_else(|| StoreError::NoLayer { id: id.0.clone() })?;
    let path = store.layer_dir(id).join("index");
    let bytes = std::fs::read(&path).map_err(StoreError::io("read", &path))?;
    Ok(Layer {
        id: id.clone(),
        change: ChangeDigest(change),
        diff_id: diff_id.map(|bytes| DiffId(Digest::from_bytes(bytes))),
        index: Arc::new(LayerIndex::from_bytes(bytes)?),
        files: Root::of(store.layer_dir(id).join("fs")),
    })
}

fn with_diff_id(connection: &Connection, diff_id: &DiffId) -> rusqlite::Result<Option<LayerId>> {
    connection
        .prepare_cached("SELECT id FROM layers WHERE diff_id = ?1")?
        .query_row([diff_id.0.as_bytes()], |row| row.get(0).map(LayerId))
        .optional()
}
