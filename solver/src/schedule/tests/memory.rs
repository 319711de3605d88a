//! A cache that remembers as long as it is let.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::world::Stack;
use crate::{
    CacheKey, Claim, DefinitionKey, Found, FoundAll, KeyPreimage, LogPieces, LogStream, NewRecord,
    ResultCache, StateDigest, Vertex, VertexId,
};

#[derive(Debug, thiserror::Error)]
#[error("the memory is gone")]
pub(super) struct Amnesia;

#[derive(Default)]
struct Remembered {
    records: HashMap<CacheKey, (KeyPreimage, Stack)>,
    aliases: HashMap<DefinitionKey, (CacheKey, Vec<Option<StateDigest>>)>,
    names: HashMap<CacheKey, String>,
    leases: HashSet<CacheKey>,
    followed: HashSet<CacheKey>,
    vanishing: HashSet<CacheKey>,
    broken: bool,
    pinned: usize,
    finds: usize,
    batches: usize,
}

/// A cache that remembers as long as it is let.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

impl Memory {
    fn keys(&self, name: &str) -> Vec<CacheKey> {
        let memory = self.0.lock().unwrap();
        let named = memory.names.iter().filter(|(_, n)| *n == name);
        named.map(|(key, _)| *key).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let memory = self.0.lock().unwrap();
        let mut names: Vec<_> = memory
            .records
            .keys()
            .map(|key| memory.names[key].clone())
            .collect();
        names.sort();
        names
    }

    /// Forgets the records of a step.
    pub(super) fn forget(&self, name: &str) {
        for key in self.keys(name) {
            self.0.lock().unwrap().records.remove(&key);
        }
    }

    /// Forgets what definitions were answered with.
    pub(super) fn forget_aliases(&self) {
        self.0.lock().unwrap().aliases.clear();
    }

    /// Makes a step's records go when they are to be pinned.
    pub(super) fn vanish(&self, name: &str) {
        for key in self.keys(name) {
            self.0.lock().unwrap().vanishing.insert(key);
        }
    }

    pub(super) fn break_down(&self) {
        self.0.lock().unwrap().broken = true;
    }

    /// The root's state in a key.
    pub(super) fn root(&self, key: &CacheKey) -> Option<String> {
        let memory = self.0.lock().unwrap();
        let (preimage, _) = memory.records.get(key)?;
        let root = preimage
            .components
            .iter()
            .find(|component| component.name == "root")?;
        Some(root.value.clone())
    }

    pub(super) fn pinned(&self) -> usize {
        self.0.lock().unwrap().pinned
    }

    /// Look-ups by key since the last time, and look-ups of whole graphs.
    pub(super) fn asked(&self) -> (usize, usize) {
        let mut memory = self.0.lock().unwrap();
        (
            std::mem::take(&mut memory.finds),
            std::mem::take(&mut memory.batches),
        )
    }
}

pub(super) struct Held(Memory, CacheKey);

impl Held {
    pub(super) fn is_held(&self) -> bool {
        self.0.0.lock().unwrap().leases.contains(&self.1)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().leases.remove(&self.1);
    }
}

#[derive(Debug)]
pub(super) struct Pinned(Memory);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().pinned -= 1;
    }
}

impl ResultCache for Memory {
    type Output = Stack;
    type Error = Amnesia;
    type Lease = Held;
    type Pin = Pinned;

    fn find_definitions(&self, definitions: &[DefinitionKey]) -> Result<FoundAll<Stack>, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        memory.batches += 1;
        if memory.broken {
            return Err(Amnesia);
        }
        Ok(definitions
            .iter()
            .map(|definition| {
                let (key, inputs) = memory.aliases.get(definition)?;
                let (preimage, output) = memory.records.get(key)?;
                Some(Found {
                    key: *key,
                    preimage: preimage.clone(),
                    output: output.clone(),
                    inputs: inputs.clone(),
                    remote: false,
                })
            })
            .collect())
    }

    fn find(&self, key: &CacheKey) -> Result<Option<Found<Stack>>, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        memory.finds += 1;
        Ok(memory.records.get(key).map(|(preimage, output)| Found {
            key: *key,
            preimage: preimage.clone(),
            output: output.clone(),
            inputs: Vec::new(),
            remote: false,
        }))
    }

    fn alias(
        &self,
        definition: &DefinitionKey,
        key: &CacheKey,
        inputs: &[Option<StateDigest>],
    ) -> Result<(), Amnesia> {
        let mut memory = self.0.lock().unwrap();
        memory.aliases.insert(*definition, (*key, inputs.to_vec()));
        Ok(())
    }

    fn claim(&self, key: &CacheKey, _: VertexId, _: &str) -> Result<Claim<Held>, Amnesia> {
        if self.0.lock().unwrap().leases.insert(*key) {
            Ok(Claim::Ours(Held(self.clone(), *key)))
        } else {
            self.0.lock().unwrap().followed.insert(*key);
            Ok(Claim::Theirs("somebody else".into()))
        }
    }

    fn follow(&self, key: &CacheKey) -> LogPieces {
        let followed = self.0.lock().unwrap().followed.remove(key);
        let line = (LogStream::Stdout, b"a line".to_vec());
        followed.then_some(line).into_iter().collect()
    }

    fn pin(&self, key: &CacheKey, _: &Stack) -> Result<Option<Pinned>, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        if memory.vanishing.remove(key) || !memory.records.contains_key(key) {
            memory.records.remove(key);
            return Ok(None);
        }
        memory.pinned += 1;
        Ok(Some(Pinned(self.clone())))
    }

    fn store(&self, record: &NewRecord<'_, Stack>) -> Result<Pinned, Amnesia> {
        let mut memory = self.0.lock().unwrap();
        assert!(
            memory.leases.contains(&record.key),
            "stored without the lease"
        );
        assert_eq!(record.key, record.preimage.key());
        let kept = (record.preimage.clone(), record.output.clone());
        memory.records.insert(record.key, kept);
        memory
            .names
            .insert(record.key, record.vertex.meta.name.clone());
        memory
            .aliases
            .insert(record.definition, (record.key, record.inputs.to_vec()));
        memory.pinned += 1;
        Ok(Pinned(self.clone()))
    }

    fn explain(&self, vertex: &Vertex, _: &KeyPreimage) -> Result<String, Amnesia> {
        Ok(format!("no record of {}", vertex.meta.name))
    }
}
