//! A container's mounts as a value: what is mounted where, in which order. Targets are not
//! resolved here; that happens when a step is applied, after all before it. Knows no system call.

use std::path::PathBuf;

use super::spec::{
    ContainerSpec, Device, Mount, MountSource, Namespace, Network, Propagation, RootFs,
};

/// What the machine and the rights of this process allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Whether the capabilities of this process count in the first user namespace.
    pub root: bool,
    /// Whether an overlay takes its layers one by one (`lowerdir+`, Linux 6.7).
    pub layer_by_layer: bool,
    /// Whether the control groups are one tree of version 2.
    pub unified_cgroups: bool,
    /// Whether group 5, which owns terminals, is mapped here.
    pub tty_group: bool,
}

/// Where something is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory of every system, which no link may stand for; stays when it had to be made.
    Standard(&'static str),
    /// A path of the spec, with links that are followed inside the root; a stub when it had to be made.
    Path(String),
    /// A name in the container's own /dev.
    Dev(String),
    /// A path below the container's /sys.
    Sys(&'static str),
}

/// What is mounted: something that can be made as a tree on its own first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// The processes of the container.
    Proc,
    /// The launcher's read-only /sys, masks included.
    Sys,
    /// A /sys of the container's own network.
    OwnSys,
    /// Control groups, as seen from the container's own.
    Cgroup,
    /// Memory.
    Tmpfs {
        /// Bytes, or the kernel's default.
        size: Option<u64>,
        /// Mode of its root.
        mode: Option<u32>,
        /// Owner of its root.
        uid: u32,
        /// Group of its root.
        gid: u32,
    },
    /// One device of the launcher's /dev.
    Device(&'static str),
    /// Terminals.
    Terminals {
        /// Whether group 5 owns them.
        tty_group: bool,
    },
    /// The container's own terminal.
    Console,
    /// POSIX message queues.
    Queues,
    /// A path of the store.
    Store(PathBuf),
    /// A path of the host.
    Host {
        /// Which.
        path: PathBuf,
        /// What becomes of mounts made later.
        propagation: Propagation,
    },
    /// A path of the launcher's /dev: the nodes in it are what the kernel takes them for.
    Node(PathBuf),
    /// Processes of the host.
    HostProc,
    /// A path in a stack of layers.
    Layers {
        /// The stack.
        stack: RootFs,
        /// The path.
        path: String,
    },
    /// A file that the launcher made of bytes that came over its socket, or a socket.
    Made(String),
}

/// One thing to do, in the container's new mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Mounts a tree. `nodev` always, but on a device.
    Mount {
        /// What.
        tree: Tree,
        /// Where.
        at: Place,
        /// Whether writing is refused.
        readonly: bool,
        /// Whether set-id bits count for nothing.
        nosuid: bool,
        /// Whether programs cannot be started from it.
        noexec: bool,
    },
    /// Every device that the launcher's /dev has.
    AllDevices,
    /// A symbolic link in the container's own /dev.
    Link {
        /// Its name.
        name: &'static str,
        /// What it says.
        to: &'static str,
    },
    /// Hides a path below /proc.
    MaskProc(&'static str),
    /// Hides a path below /sys.
    MaskSys(&'static str),
    /// Makes a path below /proc read-only.
    ProtectProc(&'static str),
    /// Makes the root read-only; after everything else.
    SealRoot,
}

/// The devices that every container has.
pub(crate) const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Where the host's shared memory is, for a container that shares its ipc namespace.
pub(crate) const HOST_SHM: &str = "/dev/shm";

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

const MASKED: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Paths of /sys that tell about the machine's firmware and power.
pub(crate) const MASKED_SYS: [&str; 2] = ["firmware", "devices/virtual/powercap"];

const PROTECTED: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Paths that a container sees nothing of, unless it has all rights.
pub fn masked() -> Vec<String> {
    let proc = MASKED.iter().map(|path| format!("/proc/{path}"));
    let sys = MASKED_SYS.iter().map(|path| format!("/sys/{path}"));
    proc.chain(sys).collect()
}

/// Paths that it cannot write to.
pub fn protected() -> Vec<String> {
    let paths = PROTECTED.iter();
    paths.map(|path| format!("/proc/{path}")).collect()
}

/// The mounts of `spec` on `machine`, its root excepted.
pub fn plan(spec: &ContainerSpec, machine: &Machine) -> Vec<Step> {
    let privileged = spec.security.privileged;
    // who has no pid namespace of his own cannot mount another's /proc as a user
    let proc = if spec.namespaces.pid == Namespace::Host && !machine.root {
        Tree::HostProc
    } else {
        Tree::Proc
    };
    let mut steps = vec![
        system(proc, Place::Standard("proc"), false, true),
        system(
            Tree::Tmpfs {
                size: Some(64 << 20),
                mode: Some(0o755),
                uid: 0,
                gid: 0,
            },
            Place::Standard("dev"),
            false,
            false,
        ),
    ];
    if privileged {
        steps.push(Step::AllDevices);
    } else {
        steps.extend(DEVICES.map(|name| Step::Mount {
            tree: Tree::Device(name),
            at: Place::Dev(name.to_owned()),
            readonly: false,
            nosuid: true,
            noexec: true,
        }));
    }
    steps.extend(LINKS.map(|(name, to)| Step::Link { name, to }));
    let dev = |name: &str| Place::Dev(name.to_owned());
    let terminals = Tree::Terminals {
        tty_group: machine.tty_group,
    };
    steps.push(system(terminals, dev("pts"), false, true));
    let shared = |path: &str| Tree::Host {
        path: path.into(),
        propagation: Propagation::Private,
    };
    let shm = Tree::Tmpfs {
        size: Some(spec.shm_size),
        mode: Some(0o1777),
        uid: 0,
        gid: 0,
    };
    let (shm, queues) = match spec.namespaces.ipc {
        Namespace::Host => (shared(HOST_SHM), machine.root),
        Namespace::Own | Namespace::Given(_) => (shm, true),
    };
    steps.push(system(shm, dev("shm"), false, true));
    // a user cannot mount those of a namespace that is not his own
    if queues {
        steps.push(system(Tree::Queues, dev("mqueue"), false, true));
    }
    if spec.process.terminal {
        steps.push(system(Tree::Console, dev("console"), false, true));
    }
    sys(spec, machine, &mut steps);
    steps.extend(spec.devices.iter().map(device));
    steps.extend(spec.mounts.iter().map(one));
    if !privileged && !spec.security.unmasked {
        steps.extend(MASKED.map(Step::MaskProc));
        steps.extend(PROTECTED.map(Step::ProtectProc));
    }
    if spec.root.readonly {
        steps.push(Step::SealRoot);
    }
    steps
}

fn sys(spec: &ContainerSpec, machine: &Machine, steps: &mut Vec<Step>) {
    let privileged = spec.security.privileged;
    // only who owns a network namespace may mount its /sys
    let own = spec.network != Network::Host || (privileged && machine.root);
    let tree = if own { Tree::OwnSys } else { Tree::Sys };
    steps.push(system(tree, Place::Standard("sys"), !privileged, true));
    if own && !privileged && !spec.security.unmasked {
        steps.extend(MASKED_SYS.map(Step::MaskSys));
    }
    if machine.unified_cgroups {
        let at = Place::Sys("fs/cgroup");
        steps.push(system(Tree::Cgroup, at, !privileged, true));
    } else if own {
        steps.push(Step::MaskSys("fs/cgroup"));
    }
}

fn system(tree: Tree, at: Place, readonly: bool, noexec: bool) -> Step {
    Step::Mount {
        tree,
        at,
        readonly,
        nosuid: true,
        noexec,
    }
}

/// The mounts that were asked for, alone.
pub(crate) fn asked(spec: &ContainerSpec) -> Vec<Step> {
    spec.mounts.iter().map(one).collect()
}

fn device(device: &Device) -> Step {
    let path = device.source.strip_prefix("/dev").unwrap_or(&device.source);
    let at = match device.target.strip_prefix("/dev/") {
        // below a directory of its own /dev it is resolved like any other path
        Some(name) if !name.contains('/') => Place::Dev(name.to_owned()),
        _ => Place::Path(device.target.clone()),
    };
    Step::Mount {
        tree: Tree::Node(path.to_owned()),
        at,
        readonly: false,
        nosuid: true,
        noexec: true,
    }
}

fn one(mount: &Mount) -> Step {
    let tree = match &mount.source {
        MountSource::Store(path) => Tree::Store(path.clone()),
        MountSource::Host(path) => Tree::Host {
            path: path.clone(),
            propagation: mount.propagation,
        },
        MountSource::Layers { lower, upper, path } => Tree::Layers {
            stack: RootFs {
                lower: lower.clone(),
                upper: upper.clone(),
                volatile: true,
                readonly: false,
            },
            path: path.clone(),
        },
        MountSource::Tmpfs {
            size,
            mode,
            uid,
            gid,
        } => Tree::Tmpfs {
            size: (*size > 0).then_some(*size),
            mode: *mode,
            uid: *uid,
            gid: *gid,
        },
        MountSource::Content { index, .. } => Tree::Made(content_name(*index)),
        MountSource::Socket { index, .. } => Tree::Made(socket_name(*index)),
    };
    Step::Mount {
        tree,
        at: Place::Path(mount.target.clone()),
        readonly: mount.readonly,
        nosuid: mount.nosuid,
        noexec: mount.noexec,
    }
}

/// The name of a content's file among what the launcher made.
pub(crate) fn content_name(index: usize) -> String {
    format!("content-{index}")
}

/// The name of a socket among what the launcher made.
pub(crate) fn socket_name(index: usize) -> String {
    format!("socket-{index}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::container::spec::{Process, Resources, Security};

    const MACHINE: Machine = Machine {
        root: true,
        layer_by_layer: true,
        unified_cgroups: false,
        tty_group: true,
    };

    pub(crate) fn spec() -> ContainerSpec {
        ContainerSpec {
            root: RootFs {
                lower: vec!["layers/v1/a/fs".into()],
                upper: None,
                volatile: false,
                readonly: false,
            },
            mounts: vec![Mount {
                target: "/src".to_owned(),
                source: MountSource::Store("mounts/v1/x".into()),
                readonly: true,
                nosuid: true,
                noexec: false,
                propagation: crate::container::spec::Propagation::Private,
            }],
            process: Process::default(),
            hostname: "box".to_owned(),
            network: Network::Host,
            security: Security::default(),
            resources: Resources::default(),
            cgroup_parent: None,
            shm_size: 64 << 20,
            ..ContainerSpec::default()
        }
    }

    /// One line a step: what, where, and how it is restricted.
    fn show(steps: &[Step]) -> Vec<String> {
        let line = |step: &Step| match step {
            Step::Mount {
                tree,
                at,
                readonly,
                nosuid,
                noexec,
            } => {
                let mut line = format!("{tree:?} at {at:?}");
                for (set, word) in [(readonly, "ro"), (nosuid, "nosuid"), (noexec, "noexec")] {
                    if *set {
                        line.push(' ');
                        line.push_str(word);
                    }
                }
                line
            }
            other => format!("{other:?}"),
        };
        steps.iter().map(line).collect()
    }

    #[test]
    fn the_usual_container() {
        let expected = r#"
Proc at Standard("proc") nosuid noexec
Tmpfs { size: Some(67108864), mode: Some(493), uid: 0, gid: 0 } at Standard("dev") nosuid
Device("null") at Dev("null") nosuid noexec
Device("zero") at Dev("zero") nosuid noexec
Device("full") at Dev("full") nosuid noexec
Device("random") at Dev("random") nosuid noexec
Device("urandom") at Dev("urandom") nosuid noexec
Device("tty") at Dev("tty") nosuid noexec
Link { name: "fd", to: "/proc/self/fd" }
Link { name: "stdin", to: "/proc/self/fd/0" }
Link { name: "stdout", to: "/proc/self/fd/1" }
Link { name: "stderr", to: "/proc/self/fd/2" }
Link { name: "ptmx", to: "pts/ptmx" }
Terminals { tty_group: true } at Dev("pts") nosuid noexec
Tmpfs { size: Some(67108864), mode: Some(1023), uid: 0, gid: 0 } at Dev("shm") nosuid noexec
Queues at Dev("mqueue") nosuid noexec
Sys at Standard("sys") ro nosuid noexec
Store("mounts/v1/x") at Path("/src") ro nosuid
MaskProc("acpi")
MaskProc("asound")
MaskProc("interrupts")
MaskProc("kcore")
MaskProc("keys")
MaskProc("latency_stats")
MaskProc("sched_debug")
MaskProc("scsi")
MaskProc("timer_list")
MaskProc("timer_stats")
ProtectProc("bus")
ProtectProc("fs")
ProtectProc("irq")
ProtectProc("sys")
ProtectProc("sysrq-trigger")"#;
        assert_eq!(show(&plan(&spec(), &MACHINE)).join("\n"), expected.trim());
    }

    #[test]
    fn a_network_of_its_own_has_a_sys_of_its_own_with_the_same_masks() {
        let mut spec = spec();
        spec.network = Network::None;
        let lines = show(&plan(&spec, &MACHINE));
        assert!(lines.contains(&r#"OwnSys at Standard("sys") ro nosuid noexec"#.to_owned()));
        for path in MASKED_SYS {
            assert!(lines.contains(&format!("MaskSys({path:?})")), "{path}");
        }
        assert!(lines.contains(&r#"MaskSys("fs/cgroup")"#.to_owned()));
    }

    #[test]
    fn a_privileged_container_has_no_masks_and_all_devices() {
        let mut spec = spec();
        spec.security.privileged = true;
        let steps = plan(&spec, &MACHINE);
        assert!(steps.contains(&Step::AllDevices));
        let hides = |step: &Step| {
            matches!(
                step,
                Step::MaskProc(_) | Step::MaskSys("firmware") | Step::ProtectProc(_)
            )
        };
        assert!(!steps.iter().any(hides));
        assert!(show(&steps).contains(&r#"OwnSys at Standard("sys") nosuid noexec"#.to_owned()));
    }

    #[test]
    fn version_2_groups_are_mounted_and_a_read_only_root_comes_last() {
        let mut spec = spec();
        spec.root.readonly = true;
        spec.process.terminal = true;
        let machine = Machine {
            unified_cgroups: true,
            ..MACHINE
        };
        let steps = plan(&spec, &machine);
        assert_eq!(steps.last(), Some(&Step::SealRoot));
        let lines = show(&steps);
        assert!(lines.contains(&r#"Cgroup at Sys("fs/cgroup") ro nosuid noexec"#.to_owned()));
        assert!(lines.contains(&r#"Console at Dev("console") nosuid noexec"#.to_owned()));
    }
}
