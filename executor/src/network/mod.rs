//! Networks of containers: bridges, interfaces, filters, names and published ports.
//!
//! [`Plan`] says what is wanted, [`set_up`] makes it so, [`Up`] is what the container's monitor holds
//! and polls meanwhile, and [`Settings`] is what others read of it. This module knows no row of the
//! store and no container's process.

mod bridge;
mod doors;
mod error;
mod examine;
mod filter;
mod link;
mod namespace;
mod netlink;
mod passage;
mod pasta;
mod plan;
mod proxy;
mod resolver;
mod rules;
mod up;

pub use bridge::{bridge_and_others, occupied, sweep};
pub use error::NetworkError;
pub use examine::{examine_bridges, examine_pasta};
pub use pasta::{ADDRESS as PASTA_ADDRESS, GATEWAY as PASTA_GATEWAY};
pub use plan::{Bridged, Interface, Pasta, Plan, Protocol, Publish, Settings};
pub use up::{Place, Up, clear, new_namespace, set_up};
