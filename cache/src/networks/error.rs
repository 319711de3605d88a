//! What can go wrong with networks and addresses. The messages are Docker's.

use std::net::Ipv4Addr;

use crate::store::StoreError;

/// Why a network could not be made, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkRowError {
    /// Nothing has this name or id.
    #[error("No such network: {0}")]
    Unknown(String),
    /// An id's beginning that many have.
    #[error("network {0} is ambiguous (2 or more matches found based on ID prefix)")]
    Ambiguous(String),
    /// Another network has the name.
    #[error("network with name {0} already exists")]
    NameTaken(String),
    /// It is no name for a network.
    #[error("invalid name: {0:?}")]
    BadName(String),
    /// A name that means one of the three that are always there.
    #[error("operation is not permitted on predefined {0} network ")]
    Predefined(String),
    /// One of the three that are always there.
    #[error("{0} is a pre-defined network and cannot be removed")]
    Kept(String),
    /// Containers are on it.
    #[error("error while removing network: network {name} id {id} has active endpoints")]
    Used {
        /// The name.
        name: String,
        /// The id.
        id: String,
    },
    /// Another network has some of the addresses.
    #[error("Pool overlaps with other one on this address space")]
    Overlaps,
    /// There is no range of addresses left that nobody has.
    #[error(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )]
    NoneLeft,
    /// The gateway is outside.
    #[error("no matching subnet for gateway {0}")]
    StrangeGateway(Ipv4Addr),
    /// The range is outside.
    #[error("no matching subnet for range {0}")]
    StrangeRange(super::Subnet),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a container got no address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Another container has it.
    #[error("Address already in use")]
    Taken,
    /// It is none of the network's.
    #[error("Invalid address {0}: It does not belong to any of this network's subnets")]
    Strange(Ipv4Addr),
    /// There is none left.
    #[error("no available IPv4 addresses on this network's address pools: {network}")]
    NoneLeft {
        /// The network's name.
        network: String,
    },
    /// The network has no addresses to give.
    #[error("network {0} has no addresses")]
    NoAddresses(String),
    /// The container has one.
    #[error("endpoint with name {container} already exists in network {network}")]
    Connected {
        /// The container's name.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
