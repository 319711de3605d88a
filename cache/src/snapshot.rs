//! A stack of layers, and the file tree they show. Knows no mounts.

mod destination;
mod merged;
pub(crate) mod resolve;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use solver::{LayerDigest, StateDigest, StateFold};

use crate::layer::entry::split;
use crate::layer::error::lossy;
use crate::layer::record::tag;
use crate::layer::{Entry, Kind, Layer, LayerError, LayerId};
pub use merged::{MergedTree, Skipped};
use resolve::Lookup;
pub(crate) use walk::Walk;

/// Ordered layers, lowest first, and the state they fold to: what a step leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The layers, lowest first.
    pub layers: Vec<LayerId>,
    /// What each of the layers counts as in the state.
    pub digests: Vec<LayerDigest>,
    /// Their state.
    pub state: StateDigest,
}

impl Snapshot {
    /// The stack of these layers, lowest first.
    pub fn new(stack: impl IntoIterator<Item = (LayerId, LayerDigest)>) -> Self {
        let mut snapshot = Self {
            layers: Vec::new(),
            digests: Vec::new(),
            state: StateFold::new().state(),
        };
        for (layer, digest) in stack {
            snapshot.push(layer, digest);
        }
        snapshot
    }

    /// Puts a layer on top.
    pub fn push(&mut self, layer: LayerId, digest: LayerDigest) {
        self.layers.push(layer);
        self.digests.push(digest);
        self.state = StateFold::on(self.state).layer(&digest).state();
    }
}

impl solver::Output for Snapshot {
    fn empty() -> Self {
        Self::new([])
    }

    fn state(&self) -> StateDigest {
        self.state
    }

    fn state_on(&self, below: StateDigest) -> StateDigest {
        let fold = StateFold::on(below);
        self.digests.iter().fold(fold, StateFold::layer).state()
    }

    fn on(&self, below: &Self) -> Self {
        Self {
            layers: [below.layers.as_slice(), &self.layers].concat(),
            digests: [below.digests.as_slice(), &self.digests].concat(),
            state: self.state_on(below.state),
        }
    }
}

/// The merged tree of a snapshot, read from the layers' indexes without a mount.
#[derive(Debug, Clone, Default)]
pub struct View {
    layers: Vec<Arc<Layer>>,
}

/// Where a path led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// To an entry; its path has no links in it.
    Entry(Entry),
    /// To a name that is not there, in a directory that may not be there either; the path has no links in it.
    Missing(Vec<u8>),
}

impl View {
    /// The tree of `layers`, lowest first; the empty tree when there are none.
    pub fn new(layers: Vec<Arc<Layer>>) -> Self {
        Self { layers }
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// The entry at exactly `path`; no link is followed. The root is always there.
    pub fn get(&self, path: &[u8]) -> Option<Entry> {
        self.find(path).map(|(_, entry)| entry)
    }

    /// As [`get`](Self::get), with the position of the layer that has it.
    pub(crate) fn find(&self, path: &[u8]) -> Option<(usize, Entry)> {
        for (position, layer) in self.layers.iter().enumerate().rev() {
            match layer.index.find(path) {
                Ok(at) if layer.index.tag(at) == tag::WHITEOUT => return None,
                Ok(at) => {
                    let mut entry = layer.index.entry(at);
                    if let Kind::Dir { opaque } = &mut entry.kind {
                        *opaque = false;
                    }
                    return Some((position, entry));
                }
                Err(at) if layer.hides_below(path, at) => return None,
                Err(_) => {}
            }
        }
        path.is_empty().then(|| (0, Entry::dir("", 0o755)))
    }

    /// The lowest layer that shows something at or in `path`; none if nothing is there.
    fn floor(&self, path: &[u8]) -> Option<usize> {
        for (position, layer) in self.layers.iter().enumerate().rev() {
            match layer.index.find(path) {
                Ok(at) if layer.index.tag(at) != tag::DIR => {
                    let is_top =
                        layer.index.tag(at) != tag::WHITEOUT && !self.has_above(path, position);
                    return Some(if is_top { position } else { position + 1 });
                }
                Ok(at) if layer.is_opaque_at(path, at) => return Some(position),
                Err(at) if layer.hides_below(path, at) => return Some(position + 1),
                _ => {}
            }
        }
        Some(0)
    }

    /// Whether a layer above `position` has an entry at `path`.
    fn has_above(&self, path: &[u8], position: usize) -> bool {
        self.layers[position + 1..]
            .iter()
            .any(|layer| layer.index.find(path).is_ok())
    }

    /// The entries directly in the directory at exactly `path`, by name.
    pub fn list(&self, path: &[u8]) -> Vec<Entry> {
        // name → none when it is hidden from here down
        let mut names = BTreeMap::<Vec<u8>, Option<Entry>>::new();
        for layer in self.layers.iter().rev() {
            let index = &layer.index;
            let found = index.find(path);
            let (mut at, last) = match found {
                Ok(at) if index.tag(at) != tag::DIR => break,
                Ok(at) => (at + 1, layer.is_opaque_at(path, at)),
                Err(at) => (at, layer.hides_below(path, at)),
            };
            if found.is_ok() || path.is_empty() {
                while at < index.len() && crate::layer::entry::is_within(index.path(at), path) {
                    let name = split(index.path(at)).1;
                    if !names.contains_key(name) {
                        let shown = index.tag(at) != tag::WHITEOUT;
                        let mut entry = shown.then(|| index.entry(at));
                        if let Some(Kind::Dir { opaque }) =
                            entry.as_mut().map(|entry| &mut entry.kind)
                        {
                            *opaque = false;
                        }
                        names.insert(name.to_vec(), entry);
                    }
                    at = index.end_of(at);
                }
            }
            if last {
                break;
            }
        }
        names.into_values().flatten().collect()
    }

    /// What is at `path` and in it, parents first, with the position of the layer each is in.
    pub(crate) fn walk(&self, path: &[u8]) -> Walk<'_> {
        Walk::new(self, path)
    }

    /// Walks `path` component by component; links are followed inside the root, 40 at most, the
    /// last one only if `follow_last`.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Resolved, LayerError> {
        let (path, entry) = resolve::resolve(self, path, follow_last)?;
        Ok(entry.map_or(Resolved::Missing(path), Resolved::Entry))
    }

    /// Opens the regular file at exactly `path` for reading; none if it is something else. Which
    /// layer holds it is the view's business.
    pub fn open(&self, path: &[u8]) -> Result<Option<std::fs::File>, LayerError> {
        match self.find(path) {
            Some((position, entry)) if matches!(entry.kind, Kind::File { .. }) => {
                let files = &self.layers[position].files;
                files
                    .open_file(path)
                    .map(Some)
                    .map_err(LayerError::io("open", files.join(path)))
            }
            _ => Ok(None),
        }
    }
}

impl Lookup for View {
    type Node = Entry;
    type Error = LayerError;

    fn at(&self, path: &[u8]) -> Result<Option<Entry>, LayerError> {
        Ok(self.get(path))
    }

    fn target<'n>(&self, node: &'n Entry) -> Option<&'n [u8]> {
        match &node.kind {
            Kind::Symlink { target } => Some(target),
            _ => None,
        }
    }

    fn too_many_links(&self, path: &[u8]) -> LayerError {
        LayerError::Links { path: lossy(path) }
    }
}

impl Layer {
    /// Whether this layer, which has no entry at `path` (it would be the one at `at`), hides what
    /// layers below have there: through a directory around it that is gone, opaque or none.
    fn hides_below(&self, path: &[u8], at: usize) -> bool {
        let index = &self.index;
        let Some(before) = at.checked_sub(1) else {
            return false;
        };
        // whatever is around `path` stands before it, and the nearest is around the entry before it too
        let mut around = path;
        while !around.is_empty() {
            around = split(around).0;
            let near = index.path(before);
            if !crate::layer::entry::is_within(near, around) {
                continue;
            }
            if near == around && index.tag(before) != tag::DIR {
                return true;
            }
            return self.is_opaque_around(around);
        }
        false
    }

    /// Whether the directory at `path`, which is the entry at `at`, or one around it is opaque.
    fn is_opaque_at(&self, path: &[u8], at: usize) -> bool {
        self.index.is_opaque(at) || self.is_opaque_around(split(path).0)
    }

    /// Whether the directory `dir` or one around it is opaque.
    fn is_opaque_around(&self, mut dir: &[u8]) -> bool {
        if !self.index.has_opaque() {
            return false;
        }
        loop {
            if self
                .index
                .find(dir)
                .is_ok_and(|at| self.index.is_opaque(at))
            {
                return true;
            }
            if dir.is_empty() {
                return false;
            }
            dir = split(dir).0;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
