//! The right to read a stack: what is pinned is not pruned.
//!
//! A pin is a row under the name of this process's locked owner file; once that lock is free the
//! row is void. A layer that this process made is pinned with its own row. Rows stay until the
//! process ends or prunes, so a stack that was pinned once costs nothing the second time. On a full
//! disk a lock takes the row's place (`marks`).

pub(crate) mod marks;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{OptionalExtension, Transaction};

use crate::layer::LayerId;
use crate::store::{Store, StoreError};
use crate::suspects::is_missing;

/// The layers for which this process has a pin row, or is about to.
#[derive(Debug, Default)]
pub(crate) struct Held {
    layers: Mutex<HashMap<LayerId, State>>,
    marks: Mutex<marks::Marks>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Whether the row is there.
    row: bool,
    /// How many pins are on it.
    pins: usize,
}

impl Held {
    /// Notes a layer whose row was made together with the layer.
    pub(crate) fn made(&self, id: &LayerId) {
        self.lock().entry(id.clone()).or_default().row = true;
    }

    /// Forgets a layer that turned out to be gone.
    pub(crate) fn gone(&self, id: &LayerId) {
        if let Some(state) = self.lock().get_mut(id) {
            state.row = false;
        }
    }

    /// The layers that have a row and no pin on them any more; they are forgotten.
    pub(crate) fn take_idle(&self) -> Vec<LayerId> {
        let mut layers = self.lock();
        let idle: Vec<LayerId> = layers
            .iter()
            .filter(|(_, state)| state.pins == 0)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &idle {
            layers.remove(id);
        }
        idle
    }

    /// Counts a pin on each layer; the ones without a row are the answer.
    fn add(&self, ids: &[LayerId]) -> Vec<LayerId> {
        let mut layers = self.lock();
        ids.iter()
            .filter(|id| {
                let state = layers.entry((*id).clone()).or_default();
                state.pins += 1;
                !state.row
            })
            .cloned()
            .collect()
    }

    fn remove(&self, ids: &[LayerId]) {
        let mut layers = self.lock();
        for id in ids {
            if let Some(state) = layers.get_mut(id) {
                state.pins = state.pins.saturating_sub(1);
                if !state.row && state.pins == 0 {
                    layers.remove(id);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LayerId, State>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to read a stack; given back when dropped.
#[derive(Debug)]
pub struct Pin {
    store: Store,
    layers: Vec<LayerId>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.store.held().remove(&self.layers);
    }
}

impl Store {
    /// Pins a stack; none if a layer of it is gone, or turned out to be damaged.
    pub fn pin(&self, layers: &[LayerId]) -> Result<Option<Pin>, StoreError> {
        let layers = self.with_amended(layers)?;
        let new = self.held().add(&layers);
        let pin = Pin {
            store: self.clone(),
            layers,
        };
        if new.is_empty() {
            return Ok(Some(pin));
        }
        let inserted = self
            .owner()
            .and_then(|owner| self.insert_pins(owner.name(), &new));
        let inserted = match inserted {
            Err(error) if error.is_full() => self.mark(&new)?,
            other => other?,
        };
        let Some(suspects) = inserted else {
            return Ok(None);
        };
        for id in suspects {
            if !self.clear_suspect(&id)? {
                return Ok(None);
            }
        }
        // What somebody deleted by hand is not there, whatever its row says.
        for id in &new {
            let files = self.layer_dir(id).join("fs");
            match std::fs::metadata(&files) {
                Ok(meta) if meta.is_dir() => {}
                Err(error) if !is_missing(&error) => {
                    return Err(StoreError::io("read", files)(error));
                }
                _ => {
                    self.drop_layer(id)?;
                    return Ok(None);
                }
            }
        }
        for id in &new {
            self.held().made(id);
        }
        Ok(Some(pin))
    }

    /// Pins anything that has a name, for as long as this process lives.
    pub(crate) fn pin_object(&self, name: &str) -> Result<(), StoreError> {
        let id = LayerId(name.to_owned());
        if self.held().add(std::slice::from_ref(&id)).is_empty() {
            return Ok(());
        }
        let db = self.database();
        let pinned = self.owner().and_then(|owner| {
            db.write("pin a blob", |transaction| {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO pins VALUES (?1, ?2)")
                    .and_then(|mut pin| pin.execute([owner.name(), name]))
                    .map_err(db.error("pin a blob"))
            })
        });
        match pinned {
            Err(error) if error.is_full() => {
                self.add_mark(name)?;
                // Who prunes now has seen no mark, and is done after this.
                db.write("pin a blob", |_| Ok(()))?;
            }
            other => drop(other?),
        }
        self.held().made(&id);
        Ok(())
    }

    /// Pins a stack for a container, until [`release`](Self::release) or until its directory under
    /// [`containers_dir`](Self::containers_dir) is gone. Whether it could is the answer.
    pub fn hold(&self, container: &str, layers: &[LayerId]) -> Result<bool, StoreError> {
        let layers = self.with_amended(layers)?;
        Ok(self
            .insert_pins(&container_owner(container), &layers)?
            .is_some())
    }

    /// Drops the pins of a container.
    pub fn release(&self, container: &str) -> Result<(), StoreError> {
        let db = self.database();
        db.write("drop pins", |transaction| {
            transaction
                .execute(
                    "DELETE FROM pins WHERE owner = ?1",
                    [container_owner(container)],
                )
                .map_err(db.error("drop pins"))?;
            Ok(())
        })
    }

    /// Pins layers without rows, if they are all live; those that may be damaged are the answer.
    fn mark(&self, ids: &[LayerId]) -> Result<Option<Vec<LayerId>>, StoreError> {
        for id in ids {
            self.add_mark(&id.0)?;
        }
        let db = self.database();
        db.write("pin a stack", |transaction| {
            live(transaction, ids).map_err(db.error("pin a stack"))
        })
    }

    fn add_mark(&self, object: &str) -> Result<(), StoreError> {
        let path = self.leases_file();
        let held = self.held();
        let mut marks = held.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks
            .add(&path, object)
            .map_err(StoreError::io("lock", &path))
    }

    /// Inserts pin rows if all the layers are live; those that may be damaged are the answer.
    fn insert_pins(
        &self,
        owner: &str,
        ids: &[LayerId],
    ) -> Result<Option<Vec<LayerId>>, StoreError> {
        let db = self.database();
        let insert = |transaction: &Transaction<'_>| -> rusqlite::Result<Option<Vec<LayerId>>> {
            let Some(suspects) = live(transaction, ids)? else {
                return Ok(None);
            };
            let mut pin =
                transaction.prepare_cached("INSERT OR IGNORE INTO pins VALUES (?1, ?2)")?;
            for id in ids {
                pin.execute([owner, &id.0])?;
            }
            Ok(Some(suspects))
        };
        db.write("pin a stack", |transaction| {
            insert(transaction).map_err(db.error("pin a stack"))
        })
    }
}

/// Those of the layers that may be damaged; none if one of them is gone.
fn live(transaction: &Transaction<'_>, ids: &[LayerId]) -> rusqlite::Result<Option<Vec<LayerId>>> {
    let boot = crate::suspects::boot_id();
    let mut find = transaction.prepare_cached("SELECT boot FROM layers WHERE id = ?1")?;
    let mut suspects = Vec::new();
    for id in ids {
        let row: Option<Option<String>> = find.query_row([&id.0], |row| row.get(0)).optional()?;
        match row {
            None => return Ok(None),
            Some(Some(other)) if other != boot => suspects.push(id.clone()),
            Some(_) => (),
        }
    }
    Ok(Some(suspects))
}

/// Prefix of the owners that are containers, not processes.
pub(crate) const CONTAINER: &str = "container/";

fn container_owner(container: &str) -> String {
    format!("{CONTAINER}{container}")
}

/// Whether pins of `owner` count.
pub(crate) fn is_live(store: &Store, owner: &str) -> bool {
    match owner.strip_prefix(CONTAINER) {
        Some(container) => store.containers_dir().join(container).is_dir(),
        None => crate::store::staging::is_alive(&store.tmp_dir(), owner),
    }
}

#[cfg(test)]
mod tests {
    use crate::store::samples;

    #[test]
    fn a_stack_is_pinned_whole_or_not_at_all() {
        let (_dir, store) = samples::store();
        let other = crate::Store::open(crate::StoreOptions::new(store.root())).unwrap();
        let layers = [samples::layer(&store, 1), samples::layer(&store, 2)];
        let missing = crate::LayerId("missing".into());
        let rows = || -> i64 {
            let count = "SELECT count(*) FROM pins";
            let read = |c: &rusqlite::Connection| c.query_row(count, [], |row| row.get(0));
            store.database().read("count", read).unwrap()
        };
        let before = rows();
        let stack = [layers[0].clone(), missing, layers[1].clone()];
        assert!(other.pin(&stack).unwrap().is_none());
        assert_eq!(rows(), before);
        let pin = other.pin(&layers).unwrap().unwrap();
        assert_eq!(rows(), before + 2);
        // Pinned again it costs no row, and nothing is idle until the last pin is gone.
        let again = other.pin(&layers[..1]).unwrap().unwrap();
        drop(pin);
        assert_eq!(other.held().take_idle(), layers[1..]);
        drop(again);
        assert_eq!(other.held().take_idle(), layers[..1]);
        drop(other);
        assert_eq!(rows(), before);
    }

    #[test]
    fn a_mark_keeps_prune_away_as_a_row_does() {
        let (_dir, store) = samples::store();
        let layer = samples::layer(&store, 1);
        let root = store.root().to_owned();
        drop(store);
        let open = || crate::Store::open(crate::StoreOptions::new(&root)).unwrap();
        let (reader, pruner) = (open(), open());
        let ids = [layer.clone()];
        assert_eq!(reader.mark(&ids).unwrap(), Some(Vec::new()));
        let everything = crate::prune::PruneOptions {
            all: true,
            ..crate::prune::PruneOptions::default()
        };
        assert_eq!(pruner.prune(&everything).unwrap().layers, 0);
        drop(reader);
        assert_eq!(pruner.prune(&everything).unwrap().layers, 1);
        assert_eq!(open().mark(&ids).unwrap(), None);
    }

    #[test]
    fn what_this_process_made_needs_no_row_of_its_own() {
        let (_dir, store) = samples::store();
        let layer = samples::layer(&store, 1);
        let pinned = store
            .database()
            .write("hold the lock", |_| store.pin(std::slice::from_ref(&layer)))
            .unwrap();
        assert!(pinned.is_some());
    }
}
