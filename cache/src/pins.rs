//! The right to read a stack: what is pinned is not pruned.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::layer::LayerId;

/// The layers for which this process has a pin row, and how many of its pins are on each.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashMap<LayerId, usize>>);

impl Held {
    /// Notes a layer whose row was made together with the layer.
    pub(crate) fn made(&self, id: &LayerId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(id.clone())
            .or_default();
    }
}
