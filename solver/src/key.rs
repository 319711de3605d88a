//! The identity of a result across builds.

use serde::{Deserialize, Serialize};

use crate::digest::{Encoder, digest};

digest! {
    /// Identity of a result across builds, from what its inputs are: the hash of a [`KeyPreimage`].
    CacheKey
}
digest! {
    /// The same question from definitions and leaves only: known for a whole graph before anything
    /// runs. An alias of a [`CacheKey`], never of a result.
    DefinitionKey
}

/// The readable form of a [`CacheKey`]: named components in a fixed order.
///
/// It is stored beside the record, so that a later miss can name the first component that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPreimage {
    /// Kind of op: `run`, `copy`, `workdir`, `image` …
    pub kind: String,
    /// Raised whenever the executor changes what the op does.
    pub behaviour: u32,
    /// What the result depends on.
    pub components: Vec<Component>,
}

/// One thing that a result depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What it is: `root`, `args`, `env PATH`, `files 1 src/`, `mount /x`, `sandbox` …
    pub name: String,
    /// Its value, or the digest of it.
    pub value: String,
}

impl KeyPreimage {
    /// The key whose preimage this is.
    pub fn key(&self) -> CacheKey {
        let mut encoder = Encoder::new("rbuild cache key v1");
        encoder
            .field(self.kind.as_bytes())
            .number(u64::from(self.behaviour));
        for Component { name, value } in &self.components {
            encoder.field(name.as_bytes()).field(value.as_bytes());
        }
        CacheKey(encoder.finish())
    }
}
