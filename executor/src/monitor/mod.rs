//! Containers that outlive the command that started them.
//!
//! A monitor is one small process for each running container: this program once more, single-threaded
//! and pid 1 of a pid namespace, so that everything it started ends with it. It keeps the container's
//! log, restarts it, checks its health and answers on a socket in the container's folder. [`start`]
//! starts one, [`Control`] talks to it, [`Status`] is what it leaves. This module knows no row of the
//! store, no image and no command line.

mod attached;
mod control;
mod error;
mod life;
mod lock;
mod protocol;
mod server;
mod start;
mod status;

pub use attached::{Attached, Event, Input};
pub use control::{Control, Exec, ExecStdio, Executed, Kind};
pub use error::MonitorError;
pub use life::{Health, Life, LogOptions, Restart};
pub use lock::Lock;
pub use server::monitor_main;
pub use start::{Attach, Held, Started, Waiting, hold_root, start};
pub use status::{HealthLog, HealthState, HealthStatus, State, Status};

/// The hidden first argument that makes this program a monitor.
pub const MONITOR_ARGUMENT: &str = "rbuild-monitor";
