//! Which earlier record a step that has to run is compared with: among the latest of the same
//! project, stage and kind, the one with the fewest differing components; the same position counts
//! more than the same age.
//!
//! A record that belongs to another step of the present build is none: a first `COPY b` did not come
//! from `COPY a`, and an instruction put in between did not come from the one that it pushed down.

use std::collections::HashSet;

use solver::{CacheKey, KeyPreimage, Vertex};

use super::by_name;
use crate::records::Remembered;

/// The build that asks.
#[derive(Debug, Default)]
pub(crate) struct Present {
    /// Its steps.
    pub(crate) steps: HashSet<Written>,
    /// The records that it made.
    pub(crate) made: HashSet<CacheKey>,
}

/// An instruction as it was written, and in which stage.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Written {
    stage: String,
    text: String,
}

impl Written {
    pub(crate) fn of(vertex: &Vertex) -> Self {
        Self {
            stage: vertex.meta.stage.clone(),
            text: text(&vertex.meta.name).to_owned(),
        }
    }
}

impl Present {
    /// Whether a record may be what this step was in an earlier build.
    pub(super) fn may_be_earlier(
        &self,
        record: &Remembered,
        vertex: &Vertex,
        preimage: &KeyPreimage,
    ) -> bool {
        if self.made.contains(&record.key) {
            return false;
        }
        if text(&record.name) == text(&vertex.meta.name) {
            return true;
        }
        let written = Written {
            stage: vertex.meta.stage.clone(),
            text: text(&record.name).to_owned(),
        };
        !self.steps.contains(&written)
            && (record.step == vertex.meta.step || same_core(&record.preimage, preimage))
    }
}

/// The instruction in a step's name, without the number that changes with every line above it.
fn text(name: &str) -> &str {
    name.split_once("] ").map_or(name, |(_, text)| text)
}

/// Whether two steps do the same in the main, wherever they stand.
fn same_core(old: &KeyPreimage, new: &KeyPreimage) -> bool {
    let core = ["args", "dest", "path", "manifest"];
    let of = |preimage: &KeyPreimage| {
        let component = preimage
            .components
            .iter()
            .find(|component| core.contains(&component.name.as_str()))?;
        Some(component.value.clone())
    };
    of(old).is_some_and(|value| of(new) == Some(value))
}

/// How far a record is from what is wanted: components that differ; another position counts half.
pub(super) fn distance(record: &Remembered, vertex: &Vertex, preimage: &KeyPreimage) -> usize {
    let (old, new) = (by_name(&record.preimage), by_name(preimage));
    let changed = new
        .iter()
        .filter(|(name, value)| old.get(*name) != Some(value));
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    2 * (changed.count() + gone.count()) + usize::from(record.step != vertex.meta.step)
}
