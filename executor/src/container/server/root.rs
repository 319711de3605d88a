//! The launcher's own root: the store, the announced host paths, /dev, one /proc, one /sys with its
//! masks, and nothing else, since every container's clone copies this mount table.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::tree;
use crate::container::capability::Capabilities;
use crate::container::error::{ContainerError, Errno as Number};
use crate::container::plan::{DEVICES, MASKED_SYS, Machine};
use crate::container::wire::Setup;
use crate::container::{limit, own_group};

/// What the launcher knows when it is ready.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) machine: Machine,
    /// In the order of `/host/0`, `/host/1` …
    pub(crate) host_sources: Vec<PathBuf>,
    /// What this process has, and can give.
    pub(crate) capabilities: Capabilities,
    /// Whether supplementary groups may be set here.
    pub(crate) sets_groups: bool,
    /// How many user ids are mapped here.
    pub(crate) mapped: u64,
    /// The root of the control groups, where they are one tree of version 2.
    pub(crate) groups: Option<OwnedFd>,
    /// The tree of version 2 that has no controllers, beside those of version 1: it can stop processes.
    pub(crate) freezer: Option<OwnedFd>,
    /// The control group of this process in it.
    pub(crate) own_group: String,
    /// What no other launcher is called.
    pub(crate) name: String,
}

const DIRECTORIES: [&str; 8] = [
    "store", "host", "dev", "proc", "sys", "empty", "scratch", "root",
];

/// Prepares this process: fixed limits and attributes, then its root.
pub(crate) fn enter(setup: &Setup) -> Result<Launch, ContainerError> {
    attributes();
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(failed("making mounts one-way"))?;
    let trees = sources(setup)?;
    // a descriptor is enough: groups are made and written below it
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let groups = rustix::fs::stat("/sys/fs/cgroup/cgroup.controllers")
        .and_then(|_| rustix::fs::open("/sys/fs/cgroup", flags, Mode::empty()))
        .ok();
    let freezer = groups.is_none().then(|| {
        rustix::fs::stat("/sys/fs/cgroup/unified/cgroup.procs")
            .and_then(|_| rustix::fs::open("/sys/fs/cgroup/unified", flags, Mode::empty()))
            .ok()
    });
    let own_group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own_group = own_group::own(&own_group).unwrap_or_default().to_owned();
    build(setup, &trees)?;

    let unified_cgroups = groups.is_some();
    mask_sys(unified_cgroups).map_err(failed("masking /sys"))?;
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let capabilities = rustix::thread::capabilities(None).map_err(failed("capabilities"))?;
    Ok(Launch {
        machine: Machine {
            root: setup.root,
            layer_by_layer: crate::kernel::mounts_layer_by_layer("/empty").unwrap_or(false),
            unified_cgroups,
            tty_group: maps(&text("/proc/self/gid_map"), 5),
        },
        host_sources: setup.host_sources.clone(),
        capabilities: Capabilities(capabilities.permitted.bits()),
        sets_groups: text("/proc/self/setgroups").trim() != "deny",
        mapped: mapped(&text("/proc/self/uid_map")),
        groups,
        freezer: freezer.flatten(),
        own_group,
        name: setup.name.clone(),
    })
}

/// What every container inherits, set once.
fn attributes() {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    limit::fix();
    // each of these is refused where less was given to this process, and then less stays
    let _ = rustix::process::setpriority_process(None, 0);
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    let _ = crate::sys::process::join_new_session_keyring();
}

struct Sources {
    store: OwnedFd,
    hosts: Vec<OwnedFd>,
    devices: Vec<(&'static str, OwnedFd)>,
    dev: Option<OwnedFd>,
    sys: OwnedFd,
    /// That of others, for a launcher that has none of its own.
    proc: Option<OwnedFd>,
}

/// Opens everything while the old root is still there.
fn sources(setup: &Setup) -> Result<Sources, ContainerError> {
    let hosts = setup.host_sources.iter().map(|path| {
        let text = path.to_str().ok_or(Errno::INVAL);
        text.and_then(|text| {
            let place = rustix::fs::open(text, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            tree::copy(place, "", true)
        })
        .map_err(|cause| ContainerError::Launch {
            what: format!("the host path `{}`", path.display()),
            cause: cause.into(),
        })
    });
    let hosts = hosts.collect::<Result<_, _>>()?;
    let store = setup.store_root.to_str().ok_or(Errno::INVAL);
    let store = store.and_then(either).map_err(failed("the store"))?;
    // an unprivileged namespace may not look under /dev/pts and the like, so it gets no /dev
    let dev = tree::copy(CWD, "/dev", false).ok();
    let mut devices = Vec::new();
    for name in DEVICES {
        if dev.is_none()
            && let Ok(device) = tree::copy(CWD, &format!("/dev/{name}"), false)
        {
            devices.push((name, device));
        }
    }
    let sys = tree::filesystem("sysfs", &[], MountAttrFlags::empty())
        .or_else(|_| either("/sys"))
        .map_err(failed("/sys"))?;
    let proc = (!setup.own_pids && !setup.root).then(|| tree::copy(CWD, "/proc", true));
    let proc = proc.transpose().map_err(failed("/proc"))?;
    Ok(Sources {
        store,
        hosts,
        devices,
        dev,
        sys,
        proc,
    })
}

/// A copy of `path` alone, or with all below it where the kernel insists.
fn either(path: &str) -> Result<OwnedFd, Errno> {
    tree::copy(CWD, path, false).or_else(|_| tree::copy(CWD, path, true))
}

fn build(setup: &Setup, sources: &Sources) -> Result<(), ContainerError> {
    let common = MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let small = [("mode", "755"), ("size", "1m")];
    let root = tree::filesystem("tmpfs", &small, common).map_err(failed("a root"))?;
    for name in DIRECTORIES {
        rustix::fs::mkdirat(&root, name, Mode::from_raw_mode(0o755)).map_err(failed("a root"))?;
    }
    // any directory that exists will do to stand on for a moment
    let store = setup.store_root.to_str().unwrap_or("/");
    tree::attach_at(&root, store).map_err(failed("a root"))?;

    let put = |from: &OwnedFd, name: &str| -> Result<(), Errno> {
        let target = tree::without_links(&root, name)?;
        tree::attach(from, &target)
    };
    let nodev = MountAttrFlags::MOUNT_ATTR_NODEV;
    put(&sources.store, "store").map_err(failed("the store"))?;
    tree::restrict(&sources.store, nodev, false).map_err(failed("the store"))?;
    match &sources.dev {
        Some(dev) => put(dev, "dev").map_err(failed("/dev"))?,
        None => {
            for (name, device) in &sources.devices {
                let name = format!("dev/{name}");
                file(&root, &name).map_err(failed("/dev"))?;
                put(device, &name).map_err(failed("/dev"))?;
            }
        }
    }
    let proc = match &sources.proc {
        Some(proc) => super::duplicate(proc).map_err(failed("/proc"))?,
        None => own_proc(common)?,
    };
    put(&proc, "proc").map_err(failed("/proc"))?;
    put(&sources.sys, "sys").map_err(failed("/sys"))?;
    let read_only = common | MountAttrFlags::MOUNT_ATTR_RDONLY;
    let empty = tree::filesystem("tmpfs", &[("size", "4k"), ("mode", "755")], read_only)
        .map_err(failed("an empty directory"))?;
    put(&empty, "empty").map_err(failed("an empty directory"))?;
    for (index, host) in sources.hosts.iter().enumerate() {
        let name = format!("host/{index}");
        let is_directory = rustix::fs::fstat(host)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        if is_directory {
            rustix::fs::mkdirat(&root, &name, Mode::from_raw_mode(0o755))
        } else {
            file(&root, &name)
        }
        .and_then(|()| put(host, &name))
        .map_err(failed("a host path"))?;
    }
    rustix::process::fchdir(&root)
        .and_then(|()| rustix::process::pivot_root(".", "."))
        .and_then(|()| unmount(".", UnmountFlags::DETACH))
        .and_then(|()| rustix::process::chdir("/"))
        .map_err(failed("changing the root"))
}

/// The /proc of this process's pid namespace.
fn own_proc(attributes: MountAttrFlags) -> Result<OwnedFd, ContainerError> {
    tree::filesystem("proc", &[], attributes).map_err(|cause| ContainerError::Launch {
        what: match cause {
            // the kernel shows nobody more of /proc than he sees already
            Errno::PERM => {
                "mounting /proc, parts of which are hidden here (in a container: start \
                            it with `--security-opt systempaths=unconfined`)"
            }
            _ => "mounting /proc",
        }
        .to_owned(),
        cause: cause.into(),
    })
}

/// The masks of /sys, once for all containers that share the network of the host.
fn mask_sys(unified_cgroups: bool) -> Result<(), Errno> {
    let sys = rustix::fs::open("/sys", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let groups = (!unified_cgroups).then_some("fs/cgroup");
    for path in MASKED_SYS.into_iter().chain(groups) {
        match tree::without_links(&sys, path) {
            Ok(target) => tree::attach(&tree::copy(CWD, "/empty", false)?, target)?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// An empty file to mount on.
fn file(root: &OwnedFd, name: &str) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::WRONLY;
    rustix::fs::openat(root, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

fn failed(what: &'static str) -> impl Fn(Errno) -> ContainerError {
    move |cause| ContainerError::Launch {
        what: what.to_owned(),
        cause: Number::from(cause),
    }
}

fn lines(map: &str) -> impl Iterator<Item = (u64, u64)> {
    map.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let first = words.next()?.parse().ok()?;
        let count = words.nth(1)?.parse().ok()?;
        Some((first, count))
    })
}

fn maps(map: &str, id: u64) -> bool {
    lines(map).any(|(first, count)| (first..first + count).contains(&id))
}

fn mapped(map: &str) -> u64 {
    lines(map).map(|(_, count)| count).sum()
}

/// Where a host path is in the launcher's root: the tree it is in, and its path in there.
pub(crate) fn host<'p>(announced: &[PathBuf], path: &'p Path) -> Option<(String, &'p Path)> {
    announced
        .iter()
        .enumerate()
        .filter_map(|(index, source)| Some((index, source, path.strip_prefix(source).ok()?)))
        .max_by_key(|(_, source, _)| source.components().count())
        .map(|(index, _, rest)| (format!("/host/{index}"), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(maps(map, 0) && maps(map, 5) && maps(map, 65536));
        assert!(!maps(map, 65537));
        assert!(!maps("0 1000 1\n", 5));
        assert_eq!(mapped(map), 65537);
    }

    #[test]
    fn the_nearest_announced_path_holds_a_host_path() {
        let announced = [PathBuf::from("/a"), PathBuf::from("/a/b")];
        let find = |path: &'static str| host(&announced, Path::new(path));
        assert_eq!(find("/a/b/c"), Some(("/host/1".to_owned(), Path::new("c"))));
        assert_eq!(find("/a/bc"), Some(("/host/0".to_owned(), Path::new("bc"))));
        assert_eq!(find("/a"), Some(("/host/0".to_owned(), Path::new(""))));
        assert_eq!(find("/etc"), None);
    }
}
