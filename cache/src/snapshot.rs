//! A stack of layers, and the file tree they show.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use solver::StateDigest;

use crate::layer::{Entry, Layer, LayerError, LayerId};

/// Ordered layers, lowest first, and the state they fold to: what a step leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The layers, lowest first.
    pub layers: Vec<LayerId>,
    /// Their state.
    pub state: StateDigest,
}

impl solver::Output for Snapshot {
    fn state(&self) -> StateDigest {
        self.state
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
