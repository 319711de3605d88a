//! The runtime: a spec, a plan of mounts, the launcher, and what a container reports.
//!
//! [`Launcher::start`] executes this program once more, as a single-threaded process that forks
//! containers; [`Launcher::run`] asks it for one; [`Running::wait`] gives its output and its [`Exit`].
//! This module knows no solver, no store and no Dockerfile.

pub(crate) mod bundle;
pub(crate) mod capability;
pub(crate) mod cgroup;
pub mod describe;
pub mod error;
pub mod exit;
pub mod hook;
pub mod hosts;
pub mod launcher;
pub(crate) mod limit;
mod nodes;
pub(crate) mod own_group;
pub mod plan;
pub mod running;
pub(crate) mod seccomp;
pub(crate) mod server;
pub mod spec;
pub(crate) mod user;
pub(crate) mod wire;

pub use cgroup::obstacle;
pub use error::{ContainerError, Errno};
pub use exit::{Exit, Status, Stub, Usage};
pub use launcher::{Attachments, LAUNCHER_ARGUMENT, LaunchOptions, Launcher, Stdio};
pub use running::{Killer, Running, Stream};
pub use server::{SysctlNamespace, launcher_main};
pub use spec::ContainerSpec;
