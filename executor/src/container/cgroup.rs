//! Limits by control groups of version 2, where those can be had; else they are refused, never
//! ignored. Version 1 is not written. Knows no process.
//!
//! A container gets a group of its own only when something is limited: the clone goes right into
//! it. See the kernel's Documentation/admin-guide/cgroup-v2.rst.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::{ContainerError, Errno as Number};
use super::own_group;
use super::spec::{ContainerSpec, Most, Resources};

/// Where containers go when no parent is named.
const PARENT: &str = "rbuild";
/// Length of the period in which processor time is counted, in microseconds.
pub(super) const PERIOD: u64 = 100_000;

/// What the kernel calls no limit.
const ALL: &str = "max";
/// What is limited and counted, where it can be.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "io", "memory", "pids"];

/// How long a look at a freezing group lasts, and how many there are: ten seconds.
const FREEZE_STEP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
const FREEZE_TRIES: usize = 100;

/// A control group for one container; removed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    parent: OwnedFd,
    name: String,
    directory: OwnedFd,
    /// From the tree's root, beginning with `/`.
    path: String,
}

impl Group {
    /// Where it is, from the tree's root.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// For clone3.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Stops everything in it where it is, or lets it go on, and waits until that is so.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<(), Errno> {
        write(
            &self.directory,
            "cgroup.freeze",
            if frozen { "1" } else { "0" },
        )?;
        self.becomes(if frozen { "frozen 1" } else { "frozen 0" })
    }

    /// Waits until a line of cgroup.events is so.
    fn becomes(&self, wanted: &str) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let events = rustix::fs::openat(&self.directory, "cgroup.events", flags, Mode::empty())?;
        for _ in 0..FREEZE_TRIES {
            let mut text = [0; 256];
            let count = rustix::io::pread(&events, &mut text, 0)?;
            let text = String::from_utf8_lossy(&text[..count]);
            if text.lines().any(|line| line == wanted) {
                return Ok(());
            }
            // the kernel says when the file changes
            let mut fds = [PollFd::new(&events, PollFlags::PRI)];
            poll(&mut fds, Some(&FREEZE_STEP))?;
        }
        Err(Errno::TIMEDOUT)
    }

    /// Kills everything in it, and waits until it is empty; see cgroup.kill (Linux 5.14).
    pub(crate) fn kill(&self) -> Result<(), Errno> {
        write(&self.directory, "cgroup.kill", "1")?;
        self.becomes("populated 0")
    }

    /// Its processes, as this process sees them.
    pub(crate) fn processes(&self) -> Result<Vec<i32>, Errno> {
        let text = read(&self.directory, "cgroup.procs")?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Changes limits.
    pub(crate) fn set(&self, resources: &Resources) -> Result<(), ContainerError> {
        let files = limits(resources);
        delegate(&self.parent);
        for (controller, file, value) in &files {
            write(&self.directory, file, value).map_err(|cause| ContainerError::Resources {
                what: (*controller).to_owned(),
                why: format!(
                    "the controller is not delegated here: {}",
                    Number::from(cause)
                ),
            })?;
        }
        Ok(())
    }

    /// Whether the kernel killed a process in it for want of memory.
    pub(crate) fn ran_out(&self) -> bool {
        read(&self.directory, "memory.events").is_ok_and(|text| kills(&text) > 0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // empty, since the container's pid 1 has taken all with it; else it stays to be seen
        let _ = rustix::fs::unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR);
    }
}

/// The group of a container whose spec asks for one. `root` is the root of the tree of version 2,
/// if the machine has one; `own` is the group of this process in it, below which alone an ordinary
/// user may make others.
pub(crate) fn make(
    spec: &ContainerSpec,
    name: String,
    root: Option<&OwnedFd>,
    own: Option<&str>,
) -> Result<Option<Group>, ContainerError> {
    let files = limits(&spec.resources);
    let what = match (bounds(&spec.resources).first(), &spec.cgroup_parent) {
        (Some((controller, _, _)), _) => (*controller).to_owned(),
        (None, Some(parent)) => format!("the group below `{parent}`"),
        (None, None) => return Ok(None),
    };
    let refused = |why: String| ContainerError::Resources {
        what: what.clone(),
        why,
    };
    let root = root.ok_or_else(|| {
        refused("this machine's control groups are not one tree of version 2".to_owned())
    })?;
    let failed = |step: &str, cause: Errno| {
        let cure = own.map_or(
            "",
            |_| " (start rbuild with `systemd-run --user --scope -p Delegate=yes`)",
        );
        refused(format!("{step}: {}{cure}", Number::from(cause)))
    };
    let wanted = spec.cgroup_parent.as_deref().unwrap_or(PARENT);
    let group = below(root, own, wanted, name).map_err(|(step, cause)| failed(&step, cause))?;
    for (controller, file, value) in &files {
        write(&group.directory, file, value)
            .map_err(|cause| failed(&format!("{controller} is not delegated here"), cause))?;
    }
    Ok(Some(group))
}

/// A group without limits, by which a container is stopped, and what it uses counted; none where none
/// can be had.
pub(crate) fn plain(name: String, root: &OwnedFd, own: Option<&str>) -> Option<Group> {
    let group = below(root, own, PARENT, name).ok()?;
    // one that another user left can be opened, and nothing else
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let usable = rustix::fs::openat(&group.directory, "cgroup.procs", flags, Mode::empty());
    usable.is_ok().then_some(group)
}

/// The group `name` below `wanted`, below `own` if there is one. What fails is told with what it was
/// about.
fn below(
    root: &OwnedFd,
    own: Option<&str>,
    wanted: &str,
    name: String,
) -> Result<Group, (String, Errno)> {
    let at = |what: &str| {
        let what = what.to_owned();
        move |cause| (what, cause)
    };
    let parts = own.into_iter().chain([wanted]);
    let parts = parts.flat_map(|path| path.split('/').filter(|part| !part.is_empty()));
    let mut parent = open(root, ".").map_err(at("opening the tree"))?;
    let mut path = String::new();
    for part in parts {
        delegate(&parent);
        parent = step(&parent, part).map_err(at(part))?;
        path = path + "/" + part;
    }
    delegate(&parent);
    let directory = step(&parent, &name).map_err(at("making a group"))?;
    Ok(Group {
        path: path + "/" + &name,
        parent,
        name,
        directory,
    })
}

/// Removes the group of that name which a monitor left that was killed.
pub(crate) fn forget(name: &str) {
    for tree in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own_group::own(&own)
            .unwrap_or_default()
            .trim_matches('/')
            .to_owned();
        for path in [
            format!("{tree}/{PARENT}/{name}"),
            format!("{tree}/{own}/{PARENT}/{name}"),
        ] {
            // it is there in one tree, or in none
            let _ = rustix::fs::rmdir(path);
        }
    }
}

/// Why `resources` cannot be limited on this machine, as far as can be said without trying; none when
/// they can be, or nothing is limited.
pub fn obstacle(resources: &Resources) -> Option<String> {
    let files = bounds(resources);
    if files.is_empty() {
        return None;
    }
    let Ok(known) = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") else {
        return Some("this machine's control groups are not one tree of version 2".to_owned());
    };
    let missing = files
        .iter()
        .find(|(controller, _, _)| !known.split_whitespace().any(|name| name == *controller));
    missing.map(|(controller, _, _)| format!("this machine has no {controller} controller"))
}

/// The files of `limits` that hold something back: not those that take a limit back.
fn bounds(resources: &Resources) -> Vec<(&'static str, &'static str, String)> {
    let mut files = limits(resources);
    files.retain(|(_, _, value)| !value.starts_with(ALL));
    files
}

fn most(most: Most) -> String {
    match most {
        Most::All => ALL.to_owned(),
        Most::Of(number) => number.to_string(),
    }
}

/// Controller, file, value.
fn limits(resources: &Resources) -> Vec<(&'static str, &'static str, String)> {
    let mut files = Vec::new();
    if let Some(bytes) = resources.memory {
        files.push(("memory", "memory.max", bytes.to_string()));
    }
    if resources.cpu_quota.is_some() || resources.cpu_period.is_some() {
        let quota = most(resources.cpu_quota.unwrap_or(Most::All));
        let period = resources.cpu_period.unwrap_or(PERIOD);
        files.push(("cpu", "cpu.max", format!("{quota} {period}")));
    }
    if let Some(count) = resources.pids {
        files.push(("pids", "pids.max", most(count)));
    }
    if let Some(bytes) = resources.swap {
        files.push(("memory", "memory.swap.max", most(bytes)));
    }
    if let Some(bytes) = resources.memory_reservation {
        files.push(("memory", "memory.low", bytes.to_string()));
    }
    if let Some(shares) = resources.cpu_shares {
        // Docker's measure is 2 to 262144, the kernel's 1 to 10000
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
        files.push(("cpu", "cpu.weight", weight.to_string()));
    }
    if let Some(list) = &resources.cpuset_cpus {
        files.push(("cpuset", "cpuset.cpus", list.clone()));
    }
    if let Some(list) = &resources.cpuset_mems {
        files.push(("cpuset", "cpuset.mems", list.clone()));
    }
    files
}

/// Gives all controllers on to the groups below: also what nothing limits is counted there, and a limit
/// can be set later. Where that fails, writing a limit will say so.
fn delegate(group: &OwnedFd) {
    let words = |file: &str| read(group, file).unwrap_or_default();
    let (has, gives) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let named = |text: &str, name: &str| text.split_whitespace().any(|word| word == name);
    for name in CONTROLLERS {
        if named(&has, name) && !named(&gives, name) {
            let _ = write(group, "cgroup.subtree_control", &format!("+{name}"));
        }
    }
}

fn step(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => open(parent, name),
        Err(error) => Err(error),
    }
}

fn open(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        parent,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

fn write(group: &OwnedFd, file: &str, value: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(group.as_fd(), file, flags, Mode::empty())?;
    rustix::io::write(file, value.as_bytes()).map(|_| ())
}

fn read(group: &OwnedFd, file: &str) -> Result<String, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(group.as_fd(), file, flags, Mode::empty())?;
    let mut text = String::new();
    std::fs::File::from(file)
        .read_to_string(&mut text)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(text)
}

/// How many processes memory.events says were killed.
fn kills(events: &str) -> u64 {
    events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_files() {
        let resources = Resources {
            memory: Some(1 << 20),
            cpu_quota: Some(Most::Of(150_000)),
            pids: Some(Most::Of(7)),
            swap: Some(Most::All),
            ..Resources::default()
        };
        assert_eq!(
            limits(&resources),
            [
                ("memory", "memory.max", "1048576".to_owned()),
                ("cpu", "cpu.max", "150000 100000".to_owned()),
                ("pids", "pids.max", "7".to_owned()),
                ("memory", "memory.swap.max", "max".to_owned()),
            ]
        );
        assert_eq!(bounds(&resources), limits(&resources)[..3]);
        let period = Resources {
            cpu_period: Some(50_000),
            ..Resources::default()
        };
        let whole = ("cpu", "cpu.max", "max 50000".to_owned());
        assert_eq!(limits(&period), [whole]);
        assert!(obstacle(&period).is_none(), "it holds nothing back");
        assert!(limits(&Resources::default()).is_empty());
    }

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(kills("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(kills("low 0\n"), 0);
    }

    #[test]
    fn a_group_is_made_written_and_removed() {
        // a directory that looks like a tree of groups, as far as these files go
        let tree = tempfile::tempdir().unwrap();
        let group = tree.path().join("rbuild/c1");
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(group.join("pids.max"), "").unwrap();
        let root = OwnedFd::from(std::fs::File::open(tree.path()).unwrap());
        let resources = Resources {
            pids: Some(Most::Of(5)),
            ..Resources::default()
        };
        let spec = spec(resources);
        let made = make(&spec, "c1".to_owned(), Some(&root), None)
            .unwrap()
            .unwrap();
        assert_eq!(std::fs::read(group.join("pids.max")).unwrap(), b"5");
        assert!(!made.ran_out());
        std::fs::write(group.join("memory.events"), "oom_kill 1\n").unwrap();
        assert!(made.ran_out());
        for file in ["pids.max", "memory.events"] {
            std::fs::remove_file(group.join(file)).unwrap();
        }
        drop(made);
        assert!(!group.exists());
    }

    #[test]
    fn what_cannot_be_limited_is_refused() {
        let error = make(&spec(resources_of_memory()), "c".to_owned(), None, None).unwrap_err();
        assert!(matches!(error, ContainerError::Resources { .. }), "{error}");
        let none = make(&spec(Resources::default()), "c".to_owned(), None, None);
        assert!(none.unwrap().is_none());
        // a tree without the file: the controller is not delegated
        let tree = tempfile::tempdir().unwrap();
        let root = OwnedFd::from(std::fs::File::open(tree.path()).unwrap());
        let error = make(
            &spec(resources_of_memory()),
            "c".to_owned(),
            Some(&root),
            Some("/u"),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("memory is not delegated") && error.contains("systemd-run"),
            "{error}"
        );
    }

    fn resources_of_memory() -> Resources {
        Resources {
            memory: Some(5),
            ..Resources::default()
        }
    }

    fn spec(resources: Resources) -> ContainerSpec {
        ContainerSpec {
            resources,
            ..crate::container::plan::tests::spec()
        }
    }
}
