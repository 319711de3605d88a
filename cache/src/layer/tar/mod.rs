//! A layer as an archive, and back. Knows no compression and no registries.
//!
//! Invariant: unpacking what was written gives a layer with the same digest of its change.

mod fill;
mod implied;
mod unpack;
pub(crate) mod write;

pub(super) use implied::settle_implied;
pub use unpack::Unpacked;
pub use write::{TarOptions, write_tar};
