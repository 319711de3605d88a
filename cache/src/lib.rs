//! All that outlives a build: the store, layers, snapshots, records, context scans, prune.
//!
//! This room knows no containers and no Dockerfile. Read it in this order:
//!
//! - [`store`]: the state directory, and the only code that knows its paths
//! - [`layer`]: one change set on disk, its index, its digest, and how a new one is made
//! - [`snapshot`]: a stack of layers, and the file tree they show
//! - [`context`]: directories of the user's, scanned instead of sent
//! - [`select`]: which files of a tree a step uses, and their digest
//! - [`records`]: keys and the stacks that their steps left
//! - [`leases`] and [`pins`]: the right to produce a key, and to read a stack
//! - [`explain`] and [`listings`]: why a step runs again, and which file changed
//! - [`blobs`] and [`images`]: what registries and people know by digest and name
//! - [`builds`]: past builds and what came of their steps
//! - [`mounts`]: directories that steps share between builds
//! - [`networks`]: which there are, which addresses they have, and who is on them
//! - [`containers`] and [`volumes`]: what runs, or may run again, and the directories that outlive it
//! - [`usage`] and [`prune`]: how much room it all takes, and making some

mod ballast;
pub mod blobs;
pub mod builds;
pub mod containers;
pub mod context;
mod database;
mod disk;
pub mod explain;
pub mod images;
pub mod layer;
pub mod leases;
pub mod listings;
mod locks;
mod memos;
pub mod mounts;
pub mod networks;
pub mod pins;
pub mod prune;
pub mod records;
pub mod select;
pub mod snapshot;
pub mod store;
mod suspects;
pub mod usage;
pub mod volumes;

pub use containers::{ContainerRowError, StoredContainer};
pub use context::{Checked, Context, ContextError, ContextFilter, ContextOptions, NoFilter};
pub use explain::Explanation;
pub use images::{Draft, ImageError, NewImage, StoredImage};
pub use layer::{
    Entry, Fate, Kind, Layer, LayerError, LayerId, LayerIndex, Made, NewLayer, Origin, Planned,
    Stub, TarOptions, TimeRule, Timestamp, Unpacked, write_tar,
};
pub use leases::{Lease, Owner, Purpose};
pub use pins::Pin;
pub use prune::{PruneOptions, Pruned};
pub use records::Records;
pub use select::{SelectError, Selected, SelectedEntry, SelectedRoot};
pub use snapshot::{MergedTree, Resolved, Skipped, Snapshot, View};
pub use store::{Flavour, Staging, Store, StoreError, StoreOptions, Xattrs};
pub use volumes::{NewVolume, StoredVolume, VolumeError};
