//! All that outlives a build: the store, layers, snapshots, records, context scans, prune.
//!
//! This room knows no containers and no Dockerfile. Read it in this order:
//!
//! - [`store`]: the state directory, and the only code that knows its paths
//! - [`layer`]: one change set on disk, its index, its digest, and how a new one is made
//! - [`snapshot`]: a stack of layers, and the file tree they show
//! - [`context`]: directories of the user's, scanned instead of sent
//! - [`select`]: which files of a tree a step uses, and their digest

pub mod context;
pub mod layer;
pub mod select;
pub mod snapshot;
pub mod store;

pub use context::{Context, ContextFilter, ContextOptions};
pub use layer::{Entry, Kind, Layer, LayerId, LayerIndex, NewLayer, Timestamp};
pub use select::{Selected, SelectedEntry};
pub use snapshot::{Snapshot, View};
pub use store::{Store, StoreError, StoreOptions};
