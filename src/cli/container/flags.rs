//! The flags with which a container is made: docker's, shared by `run` and `create`, in the groups
//! that `--help` shows.

use std::path::PathBuf;

use clap::Args;

use crate::cli::value::duration;

/// Flags of `run` and `create`.
#[derive(Debug, Clone, Args)]
#[command(disable_help_flag = true)]
pub struct Flags {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// The container as such.
    #[command(flatten)]
    pub whole: Whole,
    /// Its first process.
    #[command(flatten)]
    pub process: ProcessFlags,
    /// Its files.
    #[command(flatten)]
    pub files: FileFlags,
    /// Its networks.
    #[command(flatten)]
    pub network: NetworkFlags,
    /// What it may do.
    #[command(flatten)]
    pub security: SecurityFlags,
    /// How much it may use.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// How it is asked whether it is well.
    #[command(flatten)]
    pub health: HealthFlags,
    /// Image, and the command with its arguments instead of the image's
    #[arg(help_heading = "Arguments", value_names = ["IMAGE", "COMMAND"], required = true, trailing_var_arg = true, num_args = 1..)]
    pub words: Vec<String>,
}

/// The container as such.
#[derive(Debug, Clone, Args)]
pub struct Whole {
    /// Name of the container [default: two random words]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Remove the container and its unnamed volumes when it ends
    #[arg(long)]
    pub rm: bool,
    /// Write the container's id to a file that is not there yet
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// What is said of the container (repeatable)
    #[arg(short, long = "label", value_name = "NAME[=VALUE]")]
    pub labels: Vec<String>,
    /// A file of labels (repeatable)
    #[arg(long = "label-file", value_name = "FILE")]
    pub label_files: Vec<PathBuf>,
    /// What is said to the OCI runtime (repeatable)
    #[arg(long = "annotation", value_name = "NAME=VALUE")]
    pub annotations: Vec<String>,
    /// When to ask the registry for the image: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = ["always", "missing", "never"])]
    pub pull: String,
    /// Say nothing of fetching the image
    #[arg(short, long)]
    pub quiet: bool,
    /// Machine that the image is for
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// What to do when it ends: no, on-failure, on-failure:TIMES, always or unless-stopped
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "no",
        hide_default_value = true
    )]
    pub restart: String,
    /// Where its output goes: json-file, local or none
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// An option of the log: max-size, max-file (repeatable)
    #[arg(long = "log-opt", value_name = "NAME=VALUE")]
    pub log_options: Vec<String>,
    /// Another OCI runtime: its path, or its name in PATH
    #[arg(long, value_name = "PROGRAM")]
    pub runtime: Option<String>,
    /// A directory of OCI hooks, files as oci-hooks(5) has them (repeatable)
    #[arg(long = "hooks-dir", value_name = "DIR")]
    pub hooks_dirs: Vec<PathBuf>,
    /// Whether signatures of images are left alone, which is all that can be had
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub disable_content_trust: Option<bool>,
}

/// Its first process.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessFlags {
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Attach only stdin, stdout or stderr (repeatable)
    #[arg(short, long, value_name = "STREAM")]
    pub attach: Vec<String>,
    /// A variable; without `=` it comes from the environment (repeatable)
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// A file of variables (repeatable)
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User: name or id, with an optional group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// A further group (repeatable)
    #[arg(long = "group-add", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Program to start instead of the image's; clears its CMD
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Put an init in front, which passes signals on and reaps
    #[arg(long)]
    pub init: bool,
    /// Signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and the kill
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub stop_timeout: Option<i64>,
    /// A limit of the processes (repeatable)
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    pub ulimits: Vec<String>,
    /// How ready the kernel is to kill it for memory, from -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub oom_score_adj: Option<i32>,
}

/// Its files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Files")]
pub struct FileFlags {
    /// A volume, or a directory or file of the host's (repeatable)
    #[arg(short, long = "volume", value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    pub volumes: Vec<String>,
    /// The same in words: type=bind|volume|tmpfs, source=, target=, readonly … (repeatable)
    #[arg(long = "mount", value_name = "NAME=VALUE,…")]
    pub mounts: Vec<String>,
    /// A directory in memory (repeatable)
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// All volumes of another container (repeatable)
    #[arg(long, value_name = "CONTAINER[:ro]")]
    pub volumes_from: Vec<String>,
    /// Driver of volumes: local
    #[arg(long, value_name = "DRIVER")]
    pub volume_driver: Option<String>,
    /// The process cannot write to the image's file system
    #[arg(long)]
    pub read_only: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = crate::cli::value::size)]
    pub shm_size: Option<u64>,
    /// A device of the host's (repeatable)
    #[arg(long = "device", value_name = "HOST[:CONTAINER[:rwm]]")]
    pub devices: Vec<String>,
    /// An option of the storage driver: not done, refused
    #[arg(long = "storage-opt", value_name = "NAME=VALUE", hide = true)]
    pub storage_options: Vec<String>,
    /// Graphics processors: not done, refused
    #[arg(long, value_name = "WHICH", hide = true)]
    pub gpus: Option<String>,
}

/// Its networks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// Network: bridge, host, none, container:NAME or a network's name (repeatable)
    #[arg(long = "network", alias = "net", value_name = "NETWORK")]
    pub networks: Vec<String>,
    /// Another name on the network (repeatable)
    #[arg(long = "network-alias", alias = "net-alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// Publish a port (repeatable)
    #[arg(short, long, value_name = "[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]")]
    pub publish: Vec<String>,
    /// Publish all ports that the image or --expose names
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// A port that it listens on (repeatable)
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub expose: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// Link-local address: not done, refused
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub link_local_ip: Vec<String>,
    /// Hardware address
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// Another container, under a name of this one's: not done, refused
    #[arg(long, value_name = "CONTAINER[:ALIAS]", hide = true)]
    pub link: Vec<String>,
    /// Name server (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Domain in which names are looked for (repeatable)
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Option of resolv.conf (repeatable)
    #[arg(long = "dns-option", alias = "dns-opt", value_name = "OPTION")]
    pub dns_options: Vec<String>,
    /// A line of /etc/hosts (repeatable)
    #[arg(long = "add-host", value_name = "HOST:ADDRESS")]
    pub extra_hosts: Vec<String>,
    /// Host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Domain name
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
}

/// What it may do.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rights")]
pub struct SecurityFlags {
    /// All rights, all devices, nothing masked
    #[arg(long)]
    pub privileged: bool,
    /// A capability more (repeatable)
    #[arg(long, value_name = "NAME")]
    pub cap_add: Vec<String>,
    /// A capability less (repeatable)
    #[arg(long, value_name = "NAME")]
    pub cap_drop: Vec<String>,
    /// no-new-privileges, seccomp=unconfined, apparmor=… (repeatable)
    #[arg(long = "security-opt", value_name = "OPTION")]
    pub options: Vec<String>,
    /// A variable of the kernel's that belongs to a namespace (repeatable)
    #[arg(long = "sysctl", value_name = "NAME=VALUE")]
    pub sysctls: Vec<String>,
    /// Processes that it sees: host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// Shared memory that it sees: private, shareable, host, none or container:NAME
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Host name that it sees: host
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// Users that it sees: host
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Control groups that it sees: private or host
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
    /// A rule for devices: not done, refused
    #[arg(long = "device-cgroup-rule", value_name = "RULE", hide = true)]
    pub device_rules: Vec<String>,
    /// Isolation of Windows: default
    #[arg(long, value_name = "MODE", hide = true)]
    pub isolation: Option<String>,
}

/// How much it may use.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// Memory
    #[arg(short, long, value_name = "BYTES", value_parser = crate::cli::value::size)]
    pub memory: Option<u64>,
    /// Memory that it is brought back to when the host lacks some
    #[arg(long, value_name = "BYTES", value_parser = crate::cli::value::size)]
    pub memory_reservation: Option<u64>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "BYTES", value_parser = crate::cli::value::size_or_all, allow_negative_numbers = true)]
    pub memory_swap: Option<i64>,
    /// Readiness to swap: not done, refused
    #[arg(
        long,
        value_name = "PERCENT",
        hide = true,
        allow_negative_numbers = true
    )]
    pub memory_swappiness: Option<i64>,
    /// Memory of the kernel: not done, refused
    #[arg(long, value_name = "BYTES", hide = true)]
    pub kernel_memory: Option<String>,
    /// Processors, such as 1.5
    #[arg(long, value_name = "NUMBER", value_parser = crate::cli::value::nano_cpus)]
    pub cpus: Option<u64>,
    /// Share of the processors, relative to 1024
    #[arg(short, long, value_name = "NUMBER")]
    pub cpu_shares: Option<u64>,
    /// Microseconds of a period of processor time
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// Microseconds of processor time in a period
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// Real-time period: not done, refused
    #[arg(long, value_name = "MICROSECONDS", hide = true)]
    pub cpu_rt_period: Option<u64>,
    /// Real-time runtime: not done, refused
    #[arg(long, value_name = "MICROSECONDS", hide = true)]
    pub cpu_rt_runtime: Option<u64>,
    /// Processors that it may run on, such as 0-3 or 0,1
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes that it may use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Processes; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Weight of disk access: not done, refused
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub blkio_weight: Option<u16>,
    /// Weight by device: not done, refused
    #[arg(long, value_name = "DEVICE:WEIGHT", hide = true)]
    pub blkio_weight_device: Vec<String>,
    /// Rate by device: not done, refused
    #[arg(long, value_name = "DEVICE:RATE", hide = true)]
    pub device_read_bps: Vec<String>,
    /// Rate by device: not done, refused
    #[arg(long, value_name = "DEVICE:RATE", hide = true)]
    pub device_read_iops: Vec<String>,
    /// Rate by device: not done, refused
    #[arg(long, value_name = "DEVICE:RATE", hide = true)]
    pub device_write_bps: Vec<String>,
    /// Rate by device: not done, refused
    #[arg(long, value_name = "DEVICE:RATE", hide = true)]
    pub device_write_iops: Vec<String>,
    /// Never kill it for memory: not done, refused
    #[arg(long, hide = true)]
    pub oom_kill_disable: bool,
    /// Control group under which it is put
    #[arg(long, value_name = "GROUP")]
    pub cgroup_parent: Option<String>,
}

/// How it is asked whether it is well.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Health")]
pub struct HealthFlags {
    /// Command that says whether it is well
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between two questions
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_interval: Option<i64>,
    /// Failures before it counts as unwell
    #[arg(long, value_name = "NUMBER")]
    pub health_retries: Option<u32>,
    /// Time in which failures do not count
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_start_period: Option<i64>,
    /// Time between two questions in the start period
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_start_interval: Option<i64>,
    /// Time for an answer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub health_timeout: Option<i64>,
    /// Ask nothing, whatever the image says
    #[arg(long)]
    pub no_healthcheck: bool,
}
