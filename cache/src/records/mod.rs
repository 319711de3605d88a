//! Keys and the stacks that their steps left: the solver's [`ResultCache`] on the store's rows.
//!
//! A record holds the whole stack, so a hit never mixes layers of different executions. Look-ups
//! take no pin and write nothing; that a record was used is noted when the records are dropped, if
//! nobody else is writing just then.

mod follow;
mod pack;
mod preimage;
mod rows;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use solver::traits::{Claim, FoundAll, LogPieces, NewRecord};
use solver::{
    CacheKey, DefinitionKey, Found, KeyPreimage, ResultCache, StateDigest, Vertex, VertexId,
};

use crate::database::now;
use crate::explain::{Explanation, Present, Written};
use crate::layer::LayerId;
use crate::leases::{Lease, Purpose};
use crate::pins::Pin;
use crate::snapshot::Snapshot;
use crate::store::{Store, StoreError};

use follow::Followed;
pub(crate) use preimage::read as read_preimage;
pub(crate) use rows::{Remembered, bury, maker, remembered, split_stack, tombstone};

/// Characters of a step's name that others who wait for it are told.
const LONGEST_NAME: usize = 60;

/// A use is noted once in this many seconds, so that a build with nothing to do has nothing to write.
const USE_GRAIN: i64 = 300;

/// The records as one build sees them.
#[derive(Debug)]
pub struct Records {
    store: Store,
    project: String,
    build: Option<String>,
    /// Whether that a record is found is no use of it.
    only_looking: bool,
    followed: Mutex<HashMap<CacheKey, Followed>>,
    used: Mutex<Used>,
    explained: Mutex<HashMap<CacheKey, Explanation>>,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Used {
    keys: HashSet<CacheKey>,
    layers: HashSet<LayerId>,
}

impl Records {
    /// The records of `store`, for a build of `project` (such as the Dockerfile's path): misses are
    /// explained by earlier builds of the same project first.
    pub fn new(store: &Store, project: impl Into<String>) -> Self {
        Self {
            store: store.clone(),
            project: project.into(),
            build: None,
            only_looking: false,
            followed: Mutex::default(),
            used: Mutex::default(),
            explained: Mutex::default(),
            present: Mutex::default(),
        }
    }

    /// Says by which id the build is in the history, so that others who wait for a step of it find
    /// what that writes.
    #[must_use]
    pub fn in_build(mut self, id: &str) -> Self {
        self.build = Some(id.to_owned());
        self
    }

    /// Says that nothing is to be built: that a record is found is no use of it, and nothing is written
    /// unless its files turn out to be gone.
    #[must_use]
    pub fn only_looking(mut self) -> Self {
        self.only_looking = true;
        self
    }

    /// Says which steps the build has, so that a miss is not explained by the record of another one.
    #[must_use]
    pub fn with_steps<'v>(self, steps: impl Iterator<Item = &'v Vertex>) -> Self {
        self.present().steps = steps.map(Written::of).collect();
        self
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<CacheKey, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the log of a step's owner from its beginning, unless it is followed already.
    fn begin_to_follow(&self, key: &CacheKey, log: Option<(String, String)>) {
        let Some((build, vertex)) = log else { return };
        let mut followed = self.followed();
        if !followed.get(key).is_some_and(|log| log.is_of(&build)) {
            let events = self.store.build_events(&build);
            if let Some(log) = Followed::open(&events, build, vertex) {
                followed.insert(*key, log);
            }
        }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why `key` had no record, with all that differs, if [`explain`](ResultCache::explain) was asked.
    pub fn explanation(&self, key: &CacheKey) -> Option<Explanation> {
        self.explained
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// Notes what was used so far, unless another process is writing. Also done when dropped.
    pub fn note_uses(&self) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.keys.is_empty() {
            return Ok(());
        }
        let db = self.store.database();
        db.try_write("note uses", |transaction| {
            let note = || -> rusqlite::Result<()> {
                let mut record = transaction
                    .prepare("UPDATE records SET used = ?2, uses = uses + 1 WHERE key = ?1")?;
                let mut layer = transaction.prepare("UPDATE layers SET used = ?2 WHERE id = ?1")?;
                for key in &used.keys {
                    record.execute((key.0, now()))?;
                }
                for id in &used.layers {
                    layer.execute((&id.0, now()))?;
                }
                Ok(())
            };
            note().map_err(db.error("note uses"))
        })?;
        Ok(())
    }

    /// Remembers that a record was used, if that was not noted lately.
    fn touch(&self, key: &CacheKey, output: &Snapshot, used: i64) {
        if self.only_looking || now() - used < USE_GRAIN {
            return;
        }
        let mut pending = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.keys.insert(*key) {
            pending.layers.extend(output.layers.iter().cloned());
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // Best effort: an unnoted use only makes a record look older than it is.
        let _ = self.note_uses();
    }
}

impl ResultCache for Records {
    type Output = Snapshot;
    type Error = StoreError;
    type Lease = Lease;
    type Pin = Pin;

    fn find_definitions(
        &self,
        definitions: &[DefinitionKey],
    ) -> Result<FoundAll<Snapshot>, StoreError> {
        let mut found: FoundAll<Snapshot> = Vec::new();
        found.resize_with(definitions.len(), || None);
        if definitions.is_empty() {
            return Ok(found);
        }
        let rows = self.store.database().read("find records", |connection| {
            rows::find_definitions(connection, definitions)
        })?;
        for (position, row) in rows {
            self.touch(&row.found.key, &row.found.output, row.used);
            if let Some(place) = found.get_mut(position) {
                *place = Some(row.found);
            }
        }
        Ok(found)
    }

    fn find(&self, key: &CacheKey) -> Result<Option<Found<Snapshot>>, StoreError> {
        let row = self
            .store
            .database()
            .read("find a record", |connection| rows::find(connection, key))?;
        Ok(row.map(|row| {
            self.touch(key, &row.found.output, row.used);
            row.found
        }))
    }

    fn alias(
        &self,
        definition: &DefinitionKey,
        key: &CacheKey,
        inputs: &[Option<StateDigest>],
    ) -> Result<(), StoreError> {
        let db = self.store.database();
        db.write("add an alias", |transaction| {
            rows::alias(transaction, definition, key, inputs).map_err(db.error("add an alias"))
        })
    }

    fn claim(&self, key: &CacheKey, id: VertexId, name: &str) -> Result<Claim<Lease>, StoreError> {
        // The step first: of the two it is the one that says what is waited for.
        let text = match (self.project.as_str(), name) {
            ("", name) => name.to_owned(),
            (project, "") => format!("building {project}"),
            (project, name) => {
                let line = name.lines().next().unwrap_or_default();
                let short: String = line.chars().take(LONGEST_NAME).collect();
                format!("{short}, building {project}")
            }
        };
        let purpose = Purpose {
            text: &text,
            log: self.build.as_deref().map(|build| (build, id)),
        };
        match self.store.claim(key, purpose)? {
            Claim::Ours(lease) => {
                self.followed().remove(key);
                Ok(Claim::Ours(lease))
            }
            Claim::Theirs(owner) => {
                self.begin_to_follow(key, owner.log);
                Ok(Claim::Theirs(owner.text))
            }
        }
    }

    fn follow(&self, key: &CacheKey) -> LogPieces {
        let mut followed = self.followed();
        followed
            .get_mut(key)
            .map(Followed::more)
            .unwrap_or_default()
    }

    fn pin(&self, key: &CacheKey, output: &Snapshot) -> Result<Option<Pin>, StoreError> {
        let pin = self.store.pin(&output.layers)?;
        if pin.is_none() {
            let db = self.store.database();
            db.write("drop a record", |transaction| {
                bury(transaction, key, "a layer of it is gone").map_err(db.error("drop a record"))
            })?;
        }
        Ok(pin)
    }

    fn store(&self, record: &NewRecord<'_, Snapshot>) -> Result<Pin, StoreError> {
        // The layers below are pinned by who ran the step, and its own since it was made: this
        // only counts, and so the one transaction is the record's.
        let pin = self.store.pin(&record.output.layers)?;
        let pin = pin.ok_or_else(|| StoreError::NoLayer {
            id: record
                .output
                .layers
                .last()
                .map_or_else(String::new, |id| id.0.clone()),
        })?;
        let db = self.store.database();
        db.write("add a record", |transaction| {
            rows::store(transaction, record, &self.project).map_err(db.error("add a record"))
        })?;
        self.present().made.insert(record.key);
        Ok(pin)
    }

    fn explain(&self, vertex: &Vertex, preimage: &KeyPreimage) -> Result<String, StoreError> {
        let explanation = self
            .store
            .explain(&self.project, vertex, preimage, &self.present)?;
        let line = explanation.line();
        self.explained
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(preimage.key(), explanation);
        Ok(line)
    }
}

#[cfg(test)]
mod tests;
