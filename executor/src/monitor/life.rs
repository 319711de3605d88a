//! All that a monitor needs to know, as plain data that crosses to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::container::ContainerSpec;
use crate::container::hook::Hooks;
use crate::network::Plan;

/// One container's life: what is started, and what is done when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The store's root.
    pub store_root: PathBuf,
    /// The container's folder, relative to the store's root.
    pub folder: PathBuf,
    /// Files and directories of the host that the spec mounts.
    pub host_sources: Vec<PathBuf>,
    /// The container. Its network is set from `network` by the monitor, but for one that is `Given`.
    pub spec: ContainerSpec,
    /// Bytes of the spec's [`Content`](crate::container::spec::MountSource::Content) mounts, by index.
    pub contents: Vec<Vec<u8>>,
    /// Whether it is started again when it ends.
    pub restart: Restart,
    /// How one sees that it works.
    pub health: Option<Health>,
    /// What asks it to stop.
    pub stop_signal: i32,
    /// Seconds from that signal to SIGKILL; none for ever. Orders may say otherwise.
    pub stop_timeout: Option<u64>,
    /// What is kept of its output.
    pub log: LogOptions,
    /// Its network.
    pub network: Plan,
    /// Whether standard input is held open without anybody attached (`-i`).
    pub keep_stdin: bool,
    /// Arguments with which this program is executed in the monitor's place, outside the container's
    /// namespaces, when all is over: `--rm`. Not when whoever started it takes that over.
    pub afterwards: Option<Vec<OsString>>,
    /// Programs that are called at the stages of its life.
    #[serde(default)]
    pub hooks: Hooks,
    /// What hooks and other runtimes are told of it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Another OCI runtime that starts the container instead of this program.
    pub runtime: Option<PathBuf>,
}

/// When a container that has ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// When it failed, at most so many times in a row; 0 for ever.
    OnFailure(u32),
    /// Unless it was stopped by an order.
    Always,
    /// The same; the two differ in what a reboot does.
    UnlessStopped,
}

/// A command in the container that tells whether it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Program and arguments.
    pub args: Vec<String>,
    /// From the end of one check to the next.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// While starting, failures count for nothing.
    pub start_period: Duration,
    /// From one check to the next in the start period.
    pub start_interval: Duration,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
}

/// What is kept of a container's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOptions {
    /// Whether anything is kept (`--log-driver none` keeps nothing).
    pub keep: bool,
    /// Bytes after which a file is put aside; none for ever.
    pub max_size: Option<u64>,
    /// How many files there are, the one being written included.
    pub max_file: u32,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            keep: true,
            max_size: None,
            max_file: 1,
        }
    }
}
