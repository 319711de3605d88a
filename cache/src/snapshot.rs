//! A stack of layers, and the file tree they show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use solver::{LayerDigest, StateDigest, StateFold};

use crate::layer::{Entry, Layer, LayerError, LayerId};

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
#[derive(Debug, Clone)]
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

    /// The entry at exactly `path`; no link is followed.
    pub fn get(&self, path: &[u8]) -> Option<Entry> {
        let _ = path;
        todo!()
    }

    /// The entries directly in the directory at exactly `path`, by name.
    pub fn list(&self, path: &[u8]) -> Vec<Entry> {
        let _ = path;
        todo!()
    }

    /// Walks `path` component by component; links are followed inside the root, 40 at most, the
    /// last one only if `follow_last`.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Resolved, LayerError> {
        let _ = (path, follow_last);
        todo!()
    }

    /// Opens the regular file at `path` for reading; none if it is something else. Which layer holds it is the view's business.
    pub fn open(&self, path: &[u8]) -> Result<Option<std::fs::File>, LayerError> {
        let _ = path;
        todo!()
    }
}
