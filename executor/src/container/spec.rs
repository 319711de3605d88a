//! Everything needed to start a container, as plain data that crosses to the launcher.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its root file system.
    pub root: RootFs,
    /// Mounts beyond the standard set (/proc, /sys, /dev …), in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// Its first process.
    pub process: Process,
    /// Host name.
    pub hostname: String,
    /// Which network.
    pub network: Network,
    /// How much it may do.
    pub security: Security,
    /// Limits by control groups, where those can be had.
    pub resources: Resources,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// Size of /dev/shm in bytes.
    pub shm_size: u64,
    /// Which namespaces are its own.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Devices of the host beyond the standard ones.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Parameters of its own namespaces, `net.ipv4.ip_forward` and `1`.
    #[serde(default)]
    pub sysctls: Vec<(String, String)>,
    /// `--oom-score-adj`; 0 when none is given.
    #[serde(default)]
    pub oom_score_adj: Option<i32>,
}

impl Default for ContainerSpec {
    /// An empty root with a network of its own and no command.
    fn default() -> Self {
        Self {
            root: RootFs {
                lower: Vec::new(),
                upper: None,
                volatile: false,
                readonly: false,
            },
            mounts: Vec::new(),
            process: Process::default(),
            hostname: String::new(),
            network: Network::None,
            security: Security::default(),
            resources: Resources::default(),
            cgroup_parent: None,
            shm_size: 64 << 20,
            namespaces: Namespaces::default(),
            devices: Vec::new(),
            sysctls: Vec::new(),
            oom_score_adj: None,
        }
    }
}

/// Whose namespaces a container lives in, its network and mounts excepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Process ids.
    pub pid: Namespace,
    /// System V IPC, POSIX message queues, and with them /dev/shm.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Control groups.
    pub cgroup: Namespace,
}

/// Whose a namespace is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    /// The container's own.
    #[default]
    Own,
    /// The host's.
    Host,
    /// That of the descriptor with this index among those sent along.
    Given(usize),
}

/// A device of the host, or a directory of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path below the host's /dev.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
}

/// A root file system by layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Directories of the layers, lowest first, relative to the store's root.
    pub lower: Vec<PathBuf>,
    /// Where changes go (relative to the store's root); none for a root that cannot be written.
    pub upper: Option<Upper>,
    /// Whether changes need not survive a crash: true for a RUN, false for `run`.
    pub volatile: bool,
    /// Whether the process sees it read-only.
    pub readonly: bool,
}

/// Where an overlay keeps changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upper {
    /// The changes.
    pub fs: PathBuf,
    /// The overlay's own empty directory on the same file system.
    pub work: PathBuf,
}

/// One mount. `target` is absolute in the container and is resolved when the mount is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where.
    pub target: String,
    /// What.
    pub source: MountSource,
    /// Whether writing is refused.
    pub readonly: bool,
    /// Whether set-id bits count for nothing.
    pub nosuid: bool,
    /// Whether programs cannot be started from it.
    pub noexec: bool,
    /// Whether mounts made on either side later are seen on the other.
    #[serde(default)]
    pub propagation: Propagation,
}

/// How mounts made later travel between a host path and its copy in a container; see
/// mount_namespaces(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// From the host to the container.
    Slave,
    /// Both ways, if the host's mount is shared.
    Shared,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A file or directory of the store, by path relative to its root.
    Store(PathBuf),
    /// A file or directory of the host, absolute: at or below one of the launcher's host sources.
    Host(PathBuf),
    /// A path inside another stack of layers, mounted for this container alone; writes are thrown away.
    Layers {
        /// Directories of the layers, lowest first, relative to the store's root.
        lower: Vec<PathBuf>,
        /// Where throw-away changes go; none for a mount that cannot be written.
        upper: Option<Upper>,
        /// Path inside, resolved inside its root.
        path: String,
    },
    /// Memory.
    Tmpfs {
        /// Bytes; no limit when 0.
        size: u64,
        /// Mode of its root directory; that of the directory mounted over, or 1777, when none is given.
        mode: Option<u32>,
        /// Owner of its root directory.
        uid: u32,
        /// Group of its root directory.
        gid: u32,
    },
    /// A file whose content comes over the launcher's socket and lives on ramfs: secrets, hosts, resolv.conf.
    Content {
        /// Which of the contents sent along, never the bytes themselves.
        index: usize,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode.
        mode: u32,
    },
    /// A listening socket, whose listener is handed back to the caller: an SSH agent.
    Socket {
        /// Which of the listeners asked for.
        index: usize,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode.
        mode: u32,
    },
}

/// The first process of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is looked up in the container's PATH.
    pub args: Vec<String>,
    /// Its whole environment, `NAME=value`; HOME is added from passwd when missing. Secrets are not here.
    pub env: Vec<String>,
    /// Working directory, made (with the process's owner) when missing.
    pub cwd: String,
    /// `name|uid[:group|gid]`, looked up in the container; empty for root.
    pub user: String,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Groups beyond those of the user, by name or number.
    pub groups: Vec<String>,
    /// `name=soft[:hard]`.
    pub ulimits: Vec<String>,
    /// Whether exec can no longer raise privileges.
    pub no_new_privileges: bool,
    /// Whether a small init reaps and forwards signals in front of it.
    pub init: bool,
}

/// Network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's.
    Host,
    /// Loopback alone.
    None,
    /// The network namespace of the descriptor with this index among those sent along.
    Given(usize),
}

impl Network {
    /// Whether this is the host's.
    pub fn is_host(self) -> bool {
        self == Self::Host
    }
}

/// How much a container may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// All capabilities, no filter, no masks, the host's devices.
    pub privileged: bool,
    /// Capability names beyond Docker's default fourteen.
    pub add_capabilities: Vec<String>,
    /// Capability names taken from Docker's default fourteen.
    pub drop_capabilities: Vec<String>,
    /// No filter of system calls (`--security-opt seccomp=unconfined`).
    pub unfiltered: bool,
    /// Nothing of /proc and /sys hidden or read-only (`--security-opt systempaths=unconfined`).
    #[serde(default)]
    pub unmasked: bool,
}

/// How much there may be of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Most {
    /// As much as there is. Said only to take an earlier limit back.
    All,
    /// So much.
    Of(u64),
}

/// Limits by control groups v2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Microseconds of processor time in each period.
    #[serde(default)]
    pub cpu_quota: Option<Most>,
    /// Microseconds of a period; none for a tenth of a second.
    #[serde(default)]
    pub cpu_period: Option<u64>,
    /// Number of processes.
    pub pids: Option<Most>,
    /// Bytes of swap beyond the memory; none for the kernel's default.
    #[serde(default)]
    pub swap: Option<Most>,
    /// Bytes of memory below which it is not pressed.
    #[serde(default)]
    pub memory_reservation: Option<u64>,
    /// Share of processor time, in Docker's measure (1024 is one share).
    #[serde(default)]
    pub cpu_shares: Option<u64>,
    /// Processors, `0-2,4`.
    #[serde(default)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes, `0`.
    #[serde(default)]
    pub cpuset_mems: Option<String>,
}
