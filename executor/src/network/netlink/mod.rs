//! Netlink: messages, attributes and the socket that carries them. Knows neither links nor filters.
//!
//! See netlink(7). The kernel answers while it takes a request, so nothing here waits.

mod message;
mod socket;

pub(super) use message::{Attributes, Message};
pub(super) use socket::{Family, Socket};
