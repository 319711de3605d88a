//! From a request to a cloned process: what has to be made before the clone, the clone, and what
//! the launcher keeps. Knows no loop.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::DumpableBehavior;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::content::{self, Made};
use super::hooks::Inside;
use super::report::{Report, Reporter};
use super::root::Launch;
use super::{child, mounts};
use crate::container::capability::Capabilities;
use crate::container::cgroup::{self, Group};
use crate::container::error::ContainerError;
use crate::container::seccomp;
use crate::container::spec::{ContainerSpec, Namespace, Network};
use crate::container::wire::{Frame, Request};
use crate::sys::filter::Instruction;
use crate::sys::process::{Cloned, clone_process};

/// Filters by the capabilities that they were made for.
pub(crate) type Filters = HashMap<Capabilities, Arc<[Instruction]>>;

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) spec: &'a ContainerSpec,
    /// Bytes of the content mounts.
    pub(crate) contents: &'a [&'a [u8]],
    /// `NAME=value`, beyond the spec's.
    pub(crate) secret_env: &'a [String],
    /// None, or three.
    pub(crate) stdio: Vec<OwnedFd>,
    /// Namespaces that the spec names by index.
    pub(crate) joined: &'a [OwnedFd],
    /// Where the process is put; none for no group of its own.
    pub(crate) group: Option<Group>,
    /// Whether other processes may need terminals in it later.
    pub(crate) keep_terminals: bool,
    /// Whether only the root is wanted.
    pub(crate) hold: bool,
    /// Where the process waits, when all is made, until hooks of the host are done.
    pub(crate) gate: Option<OwnedFd>,
    /// Hooks that the process calls itself.
    pub(crate) inside: Option<Inside<'a>>,
}

/// Everything that the new process needs.
pub(super) struct Start<'a> {
    pub(super) spec: &'a ContainerSpec,
    pub(super) secret_env: &'a [String],
    pub(super) stdio: Vec<OwnedFd>,
    pub(super) joined: &'a [OwnedFd],
    pub(super) made: Made,
    pub(super) terminals: Option<OwnedFd>,
    pub(super) terminal: Option<Terminal>,
    pub(super) hold: bool,
    pub(super) gate: Option<OwnedFd>,
    pub(super) inside: Option<Inside<'a>>,
    /// Whose death is the container's too, where no pid namespace sees to that.
    pub(super) parent: Option<i32>,
    pub(super) capabilities: Capabilities,
    pub(super) filter: Option<Arc<[Instruction]>>,
}

/// A terminal of a container's own.
pub(crate) struct Terminal {
    /// The side of whoever looks at it.
    pub(crate) master: OwnedFd,
    /// The container's side.
    pub(crate) peer: OwnedFd,
}

/// A process that was cloned for a container.
pub(crate) struct Cloning {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) report: Report,
    pub(crate) group: Option<Group>,
    pub(crate) terminal: Option<Terminal>,
    /// The file system of its terminals, where that was asked for.
    pub(crate) terminals: Option<OwnedFd>,
    /// Of the socket mounts, by index.
    pub(crate) listeners: Vec<OwnedFd>,
    pub(crate) capabilities: Capabilities,
    pub(crate) filter: Option<Arc<[Instruction]>>,
}

/// A container that the launcher started.
pub(super) struct Container {
    pub(super) conversation: Option<UnixStream>,
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) report: Report,
    pub(super) announce: bool,
    pub(super) upper: Option<std::path::PathBuf>,
    pub(super) group: Option<Group>,
    /// Locks, held until the container is reaped.
    pub(super) _held: Vec<OwnedFd>,
    /// For the caller: the terminal's master, and the listeners.
    pub(super) opened: (Option<OwnedFd>, Vec<OwnedFd>),
}

/// Starts what `frame` asks for.
pub(super) fn start(
    frame: Frame,
    number: u64,
    launch: &Launch,
    filters: &mut Filters,
) -> Result<Container, ContainerError> {
    let request: Request = frame.parse()?;
    let (contents, secret_env) = split(&frame.blob, &request)?;
    let mut stdio = frame.fds;
    if request.stdio + request.joined > stdio.len() {
        return Err(ContainerError::Protocol {
            why: "descriptors are missing".to_owned(),
        });
    }
    let held = stdio.split_off(request.stdio + request.joined);
    let joined = stdio.split_off(request.stdio);
    let name = format!("{}-{number}", launch.name);
    let own = (!launch.machine.root).then_some(launch.own_group.as_str());
    let asked = Asked {
        spec: &request.spec,
        contents: &contents,
        secret_env: &secret_env,
        stdio,
        joined: &joined,
        group: cgroup::make(&request.spec, name, launch.groups.as_ref(), own)?,
        keep_terminals: false,
        hold: request.hold,
        gate: None,
        inside: None,
    };
    let cloning = begin(asked, launch, filters)?;
    Ok(Container {
        conversation: None,
        pid: cloning.pid,
        pidfd: cloning.pidfd,
        report: cloning.report,
        announce: request.announce,
        upper: request.spec.root.upper.map(|upper| upper.fs),
        group: cloning.group,
        _held: held,
        opened: (
            cloning.terminal.map(|terminal| terminal.master),
            cloning.listeners,
        ),
    })
}

/// Makes what must be there before the clone, and clones.
pub(crate) fn begin(
    asked: Asked<'_>,
    launch: &Launch,
    filters: &mut Filters,
) -> Result<Cloning, ContainerError> {
    let spec = asked.spec;
    let capabilities = Capabilities::of(&spec.security, launch.capabilities)?;
    let filtered = !spec.security.privileged && !spec.security.unfiltered;
    let filter = filtered.then(|| {
        let made = filters.entry(capabilities);
        Arc::clone(made.or_insert_with(|| seccomp::filter(capabilities).into()))
    });
    let wanted = spec.process.terminal || asked.keep_terminals;
    let failed = ContainerError::prepare("making a terminal");
    let terminals = wanted.then(|| {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        mounts::terminals(launch.machine.tty_group, attributes)
    });
    let terminals = terminals.transpose().map_err(&failed)?;
    let first = terminals.as_ref().filter(|_| spec.process.terminal);
    let terminal = first.map(terminal).transpose().map_err(&failed)?;
    let mut made = content::make(spec, asked.contents)?;
    let listeners = std::mem::take(&mut made.listeners);
    let start = Start {
        spec,
        secret_env: asked.secret_env,
        stdio: asked.stdio,
        joined: asked.joined,
        made,
        terminals,
        terminal,
        hold: asked.hold,
        gate: asked.gate,
        inside: asked.inside,
        parent: (spec.namespaces.pid != Namespace::Own)
            .then(|| rustix::process::getpid().as_raw_pid()),
        capabilities,
        filter,
    };
    let (pid, pidfd, report) = clone(&start, launch, asked.group.as_ref())?;
    Ok(Cloning {
        pid,
        pidfd,
        report,
        group: asked.group,
        terminal: start.terminal,
        terminals: start.terminals,
        listeners,
        capabilities,
        filter: start.filter,
    })
}

fn clone(
    start: &Start<'_>,
    launch: &Launch,
    group: Option<&Group>,
) -> Result<(i32, OwnedFd, Report), ContainerError> {
    let spec = start.spec;
    let mut flags = libc::CLONE_NEWNS;
    for (namespace, flag) in [
        (spec.namespaces.pid, libc::CLONE_NEWPID),
        (spec.namespaces.ipc, libc::CLONE_NEWIPC),
        (spec.namespaces.uts, libc::CLONE_NEWUTS),
        (spec.namespaces.cgroup, libc::CLONE_NEWCGROUP),
    ] {
        if namespace == Namespace::Own {
            flags |= flag;
        }
    }
    if spec.network == Network::None {
        flags |= libc::CLONE_NEWNET;
    }
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(ContainerError::prepare("pipe"))?;
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK).map_err(ContainerError::prepare("pipe"))?;
    let group = group.map(|group| group.directory().as_fd());
    let cloned = within_pid_namespace(pid_namespace(start)?, || clone_process(flags as u64, group));
    match cloned {
        Ok(Cloned::Child) => child::run(start, launch, Reporter::new(write)),
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd, Report::new(read))),
        Err(cause) => Err(ContainerError::Namespaces {
            cause: cause.into(),
            cure: crate::namespace::cure(),
        }),
    }
}

/// The pid namespace that a container joins.
fn pid_namespace<'a>(start: &'a Start<'_>) -> Result<Option<&'a OwnedFd>, ContainerError> {
    match start.spec.namespaces.pid {
        Namespace::Given(index) => joined(start.joined, index).map(Some),
        Namespace::Own | Namespace::Host => Ok(None),
    }
}

/// A namespace that came along.
pub(super) fn joined(joined: &[OwnedFd], index: usize) -> Result<&OwnedFd, ContainerError> {
    joined.get(index).ok_or_else(|| ContainerError::Invalid {
        why: format!("namespace {index} was not sent"),
    })
}

/// Clones with children of this process in another pid namespace than its own. While that is so,
/// nobody in there may look into the clone, which is a copy of this process.
pub(super) fn within_pid_namespace(
    namespace: Option<impl AsFd>,
    clone: impl FnOnce() -> Result<Cloned, Errno>,
) -> Result<Cloned, Errno> {
    let Some(namespace) = namespace else {
        return clone();
    };
    let own = rustix::fs::open(
        "/proc/self/ns/pid",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let kind = Some(LinkNameSpaceType::ProcessID);
    set_dumpable(false)?;
    move_into_link_name_space(namespace.as_fd(), kind)?;
    let cloned = clone();
    if matches!(cloned, Ok(Cloned::Child)) {
        return cloned;
    }
    match move_into_link_name_space(own.as_fd(), kind) {
        // the way back to a namespace that is not this user's is shut, and all that this process makes
        // belongs in the other one
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    set_dumpable(true)?;
    cloned
}

fn set_dumpable(dumpable: bool) -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(if dumpable {
        DumpableBehavior::Dumpable
    } else {
        DumpableBehavior::NotDumpable
    })
}

/// The contents and the secret variables in a blob.
fn split<'f>(
    blob: &'f [u8],
    request: &Request,
) -> Result<(Vec<&'f [u8]>, Vec<String>), ContainerError> {
    let wrong = || ContainerError::Protocol {
        why: "contents are missing".to_owned(),
    };
    let mut rest = blob;
    let mut take = |length: usize| {
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(piece)
    };
    let mut contents = Vec::new();
    for length in &request.contents {
        contents.push(take(*length).ok_or_else(wrong)?);
    }
    let mut secrets = Vec::new();
    for length in &request.secret_env {
        let bytes = take(*length).ok_or_else(wrong)?;
        secrets.push(String::from_utf8(bytes.to_vec()).map_err(|_| wrong())?);
    }
    Ok((contents, secrets))
}

/// A new terminal in a file system of them.
pub(crate) fn terminal(terminals: &OwnedFd) -> rustix::io::Result<Terminal> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::openat(terminals, "ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&master)?;
    let peer = peer(&master)?;
    Ok(Terminal { master, peer })
}

/// The container's side of a terminal.
pub(crate) fn peer(master: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = rustix::pty::OpenptFlags::RDWR
        | rustix::pty::OpenptFlags::NOCTTY
        | rustix::pty::OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(master, flags)
}
