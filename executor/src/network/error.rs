//! What can go wrong between a plan and a network that works.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::container::Errno;

/// Why a network could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NetworkError {
    /// A call was refused.
    #[error("{what}: {cause}")]
    Refused {
        /// The step.
        what: String,
        /// Why.
        cause: Errno,
    },
    /// A program of the host has that port.
    #[error("listen {protocol} {at}: bind: address already in use")]
    InUse {
        /// `tcp4`, `udp6` …
        protocol: String,
        /// Address and port.
        at: SocketAddr,
    },
    /// The host's address is none of its own.
    #[error("listen {protocol} {at}: bind: cannot assign requested address")]
    NotOurs {
        /// `tcp4`, `udp6` …
        protocol: String,
        /// Address and port.
        at: SocketAddr,
    },
    /// The kernel lacks something.
    #[error("{what} cannot be had here ({cause}): {cure}")]
    Lacking {
        /// What was wanted.
        what: String,
        /// Why.
        cause: Errno,
        /// What to do.
        cure: String,
    },
    /// The container is not in that network.
    #[error("the container is not connected to network {network}")]
    NotConnected {
        /// The network's name.
        network: String,
    },
    /// The helper program of an ordinary user's network did not do it.
    #[error("pasta: {why}")]
    Pasta {
        /// What it said, or why it could not be started.
        why: String,
    },
}

impl NetworkError {
    /// Makes a [`Refused`](Self::Refused) of a failed call.
    pub(crate) fn refused(what: &str) -> impl Fn(rustix::io::Errno) -> Self + use<> {
        let what = what.to_owned();
        move |cause| Self::Refused {
            what: what.clone(),
            cause: cause.into(),
        }
    }
}
