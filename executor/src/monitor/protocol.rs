//! What crosses a control socket: orders to the monitor, and its replies. Frames are those of
//! [`wire`](crate::container::wire). Knows no process.

use serde::{Deserialize, Serialize};

use super::control::Kind;
use super::error::MonitorError;
use super::life::{Life, Restart};
use super::status::Status;
use crate::container::Stream;
use crate::container::spec::{Process, Resources};
use crate::network::Interface;

/// First frame to a new monitor; the descriptors with it are the namespaces to join.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) life: Life,
    /// Whether the sender wants to hear the container, and to talk to it.
    pub(super) attach: Option<bool>,
    /// Size of his terminal, in rows and columns.
    pub(super) size: Option<(u16, u16)>,
}

/// What a client says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Hear the container from now on.
    Attach {
        stdin: bool,
    },
    /// Bytes for its standard input: the blob. No reply.
    Input,
    /// No more of them. No reply.
    InputEnd,
    /// Size of its terminal. No reply.
    Resize {
        rows: u16,
        columns: u16,
    },
    /// A signal for its first process, or that of the sender's own process in it. A quiet one has no
    /// reply.
    Signal {
        signal: i32,
        quiet: bool,
    },
    /// [`Reply::Status`].
    Status,
    /// [`Reply::Ended`] when it is over.
    Stop {
        signal: Option<i32>,
        timeout: Option<i64>,
        /// Whether what is to be done afterwards is left undone: it is started again.
        keep: bool,
    },
    Pause,
    Unpause,
    /// [`Reply::Ended`] when it ends.
    Wait,
    /// [`Reply::Executed`], then [`Reply::Ended`]. Three descriptors come along, or a terminal is made.
    Exec {
        process: Box<Process>,
        privileged: bool,
        terminal: Option<(u16, u16)>,
    },
    /// [`Reply::Descriptor`].
    Root,
    /// [`Reply::Descriptor`].
    Namespace(Kind),
    /// [`Reply::Processes`].
    Processes,
    Update {
        restart: Option<Restart>,
        resources: Option<Box<Resources>>,
    },
    Connect(Box<Interface>),
    Disconnect(String),
    /// Whoever started the container does himself what is to be done afterwards. No reply.
    TakeOver,
}

/// What a monitor says. An order without a reply of its own is answered by [`Reply::Done`], and any
/// order by [`Reply::Failed`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Failed(MonitorError),
    Status(Box<Status>),
    /// One descriptor comes along.
    Descriptor,
    /// Host process ids.
    Processes(Vec<i32>),
    /// The blob is what the container wrote.
    Output(Stream),
    /// The process runs; its terminal's other side comes along if it has one.
    Executed {
        terminal: bool,
    },
    /// It ended with this code.
    Ended(i32),
}
