//! Networks of the store: what they are called, which addresses they have, and who is on them.
//!
//! What a network is, is a row; who is on it is a file, so that a container's monitor, which has no
//! database, finds the others by their names. This module knows no interface and no process: whether
//! a container lives is asked of the caller.

mod endpoints;
mod error;
mod rows;
mod subnet;

pub use endpoints::{Endpoint, Endpoints, Taken, Wanted};
pub use error::{AddressError, NetworkRowError};
pub use rows::{NewNetwork, StoredNetwork};
pub use subnet::{NoSubnet, Subnet};
