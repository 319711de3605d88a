//! One change set on disk, its index, and how a new one is made. Knows no containers and no keys.
//!
//! - [`entry`]: what one path of a layer is
//! - [`index`]: all entries of a layer, sorted and packed: the truth about it
//! - `change`: the digest of what a layer does
//! - [`new`]: a layer in the making, and the ways to commit it
//! - `planned`: a layer whose entries are known before its files are written
//! - `delta`: which entries of it have to be written if most are in another layer already
//! - `files`: where a layer's files are
//! - `scan`: reads back what a step wrote into an overlay's upper directory
//! - [`tar`]: a layer as an archive, and back
//! - [`upper`]: what an overlay was written into, seen as a layer

mod against;
pub(crate) mod change;
mod delta;
pub mod entry;
pub mod error;
pub(crate) mod files;
pub mod index;
pub mod new;
mod place;
pub mod planned;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod samples;
mod scan;
pub mod tar;
pub mod upper;

use std::sync::Arc;

use image::DiffId;
use serde::{Deserialize, Serialize};
use solver::ChangeDigest;

pub use entry::{Entry, Kind, TimeRule, Timestamp};
pub use error::LayerError;
use files::Files;
pub use index::LayerIndex;
#[cfg(feature = "fuzzing")]
pub use index::with_checksum;
pub use new::{Made, NewLayer, Stub};
pub use planned::{Origin, Planned};
pub use tar::{TarOptions, Unpacked, write_tar};
pub use upper::Fate;

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
    pub(crate) files: Arc<Files>,
}

#[cfg(test)]
pub(crate) mod tests;
