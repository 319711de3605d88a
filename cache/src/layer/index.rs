//! All entries of a layer, sorted and packed: the truth about it, and the source of its tar.

use solver::ChangeDigest;

use super::{Entry, LayerError};

/// Sorted, canonical list of a layer's entries, packed as it is on disk. Entries are made when asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LayerIndex {
    bytes: Vec<u8>,
}

impl LayerIndex {
    /// An index of `entries` in any order; of equal paths the last wins.
    pub fn new(entries: Vec<Entry>) -> Result<Self, LayerError> {
        let _ = entries;
        todo!()
    }

    /// Reads what [`as_bytes`](Self::as_bytes) gave; what is damaged or not canonical is refused.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, LayerError> {
        Ok(Self { bytes })
    }

    /// The file's content.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What this layer does to what is below it.
    pub fn change_digest(&self) -> ChangeDigest {
        todo!()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether the layer does nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `path`.
    pub fn get(&self, path: &[u8]) -> Option<Entry> {
        let _ = path;
        todo!()
    }

    /// All entries, sorted: bytewise per component, so that a directory stands right before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        std::iter::empty()
    }
}
