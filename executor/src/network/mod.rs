//! Networks of containers: bridges, interfaces, filters, names and published ports.
//!
//! [`Plan`] says what is wanted, [`set_up`] makes it so, [`Up`] is what the container's monitor holds
//! and polls meanwhile, and [`Settings`] is what others read of it. This module knows no row of the
//! store and no container's process.

mod error;
mod namespace;
mod plan;
mod up;

pub use error::NetworkError;
pub use plan::{Bridged, Interface, Pasta, Plan, Protocol, Publish, Settings};
pub use up::{Place, Up, clear, new_namespace, set_up};
