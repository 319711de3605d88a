//! One change set on disk, its index, and how a new one is made. Knows no containers and no keys.
//!
//! - [`entry`]: what one path of a layer is
//! - [`index`]: all entries of a layer, sorted and packed: the truth about it
//! - `change`: the digest of what a layer does
//! - [`new`]: a layer in the making, and the ways to commit it
//! - `scan`: reads back what a step wrote into an overlay's upper directory
//! - [`tar`]: a layer as an archive, and back

mod against;
pub(crate) mod change;
pub mod entry;
pub mod error;
pub mod index;
pub mod new;
mod place;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod samples;
mod scan;
pub mod tar;

use std::sync::Arc;

use image::DiffId;
use serde::{Deserialize, Serialize};
use solver::ChangeDigest;

use crate::disk::Root;
pub use entry::{Entry, Kind, TimeRule, Timestamp};
pub use error::LayerError;
pub use index::LayerIndex;
#[cfg(feature = "fuzzing")]
pub use index::with_checksum;
pub use new::{Made, NewLayer, Stub};
pub use tar::{TarOptions, Unpacked, write_tar};

/// Names one layer of one store: short, random, never used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub String);

/// A committed layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name in the store.
    pub id: LayerId,
    /// What it does.
    pub change: ChangeDigest,
    /// For a layer of a pulled image: the digest of its tar.
    pub diff_id: Option<DiffId>,
    /// Its entries.
    pub index: Arc<LayerIndex>,
    /// Where its files are; only this module and the view open something in it.
    pub(crate) files: Arc<Root>,
}

impl Layer {
    /// The layer in the directory `dir` of the store, which holds `fs` and `index`.
    pub fn load(
        id: LayerId,
        dir: &std::path::Path,
        diff_id: Option<DiffId>,
    ) -> Result<Self, LayerError> {
        let path = dir.join("index");
        let bytes = std::fs::read(&path).map_err(LayerError::io("read", &path))?;
        let index = LayerIndex::from_bytes(bytes)?;
        Ok(Self {
            id,
            change: index.change_digest(),
            diff_id,
            index: Arc::new(index),
            files: Root::of(dir.join("fs")),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
