//! What can go wrong between a command and a monitor.

use serde::{Deserialize, Serialize};

use crate::container::{ContainerError, Errno};
use crate::network::NetworkError;

/// Why a container could not be started, or an order was not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum MonitorError {
    /// The container or one more process in it could not be started.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The container's network could not be had.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Its monitor lives already.
    #[error("the container is running already")]
    Running,
    /// The order needs a running container.
    #[error("the container is not running")]
    NotRunning,
    /// The order needs a container that is not paused.
    #[error("the container is paused: unpause it first")]
    Paused,
    /// Unpausing what is not paused.
    #[error("the container is not paused")]
    NotPaused,
    /// The monitor ended before it answered.
    #[error("the container's monitor has ended")]
    Ended,
    /// A call was refused.
    #[error("{what}: {cause}")]
    Refused {
        /// The step.
        what: String,
        /// Why.
        cause: Errno,
    },
    /// What came over the control socket cannot be understood.
    #[error("the monitor and this program do not understand each other: {why}")]
    Protocol {
        /// How.
        why: String,
    },
}

impl MonitorError {
    /// The exit status that a shell gives for it: 127 not found, 126 not executable.
    pub fn exit_status(&self) -> Option<i32> {
        match self {
            Self::Container(error) => error.exit_status(),
            _ => None,
        }
    }

    /// A reply that does not belong to the order.
    pub(super) fn unexpected(reply: &super::protocol::Reply) -> Self {
        Self::Protocol {
            why: format!("the reply was {reply:?}"),
        }
    }

    /// Makes a [`Refused`](Self::Refused) of a failed call.
    pub(super) fn refused<E: Into<Errno>>(what: &str) -> impl Fn(E) -> Self + use<E> {
        let what = what.to_owned();
        move |cause| Self::Refused {
            what: what.clone(),
            cause: cause.into(),
        }
    }
}
