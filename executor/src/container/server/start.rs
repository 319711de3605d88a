//! From a request to a cloned process: what has to be made before the clone, the clone, and what
//! the launcher keeps. Knows no loop.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::content::{self, Made};
use super::report::{Report, Reporter};
use super::root::Launch;
use super::{child, mounts};
use crate::container::capability::Capabilities;
use crate::container::cgroup::{self, Group};
use crate::container::error::ContainerError;
use crate::container::seccomp;
use crate::container::spec::{ContainerSpec, Network};
use crate::container::wire::{Frame, Request};
use crate::sys::filter::Instruction;
use crate::sys::process::{Cloned, clone_process};

/// Filters by the capabilities that they were made for.
pub(super) type Filters = HashMap<Capabilities, Arc<[Instruction]>>;

/// Everything that the new process needs.
pub(super) struct Start {
    pub(super) spec: ContainerSpec,
    pub(super) secret_env: Vec<String>,
    pub(super) stdio: Vec<OwnedFd>,
    pub(super) made: Made,
    pub(super) terminal: Option<Terminal>,
    pub(super) capabilities: Capabilities,
    pub(super) filter: Option<Arc<[Instruction]>>,
}

/// A terminal of a container's own.
pub(super) struct Terminal {
    /// The file system that it is the first of.
    pub(super) tree: OwnedFd,
    /// The side of whoever looks at it.
    pub(super) master: OwnedFd,
    /// The container's side.
    pub(super) peer: OwnedFd,
}

/// A container that was started.
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
    if request.stdio > stdio.len() {
        return Err(ContainerError::Protocol {
            why: "descriptors are missing".to_owned(),
        });
    }
    let held = stdio.split_off(request.stdio);
    let spec = request.spec;
    let capabilities = Capabilities::of(&spec.security, launch.capabilities)?;
    let filtered = !spec.security.privileged && !spec.security.unfiltered;
    let filter = filtered.then(|| {
        let made = filters.entry(capabilities);
        Arc::clone(made.or_insert_with(|| seccomp::filter(capabilities).into()))
    });
    let terminal = spec
        .process
        .terminal
        .then(|| terminal(launch.machine.tty_group))
        .transpose()
        .map_err(ContainerError::prepare("making a terminal"))?;
    let mut made = content::make(&spec, &contents)?;
    let listeners = std::mem::take(&mut made.listeners);
    let name = format!("{}-{number}", launch.name);
    let own = (!launch.machine.root).then_some(launch.own_group.as_str());
    let group = cgroup::make(&spec, name, launch.groups.as_ref(), own)?;
    let start = Start {
        spec,
        secret_env,
        stdio,
        made,
        terminal,
        capabilities,
        filter,
    };
    let (pid, pidfd, report) = clone(&start, launch, group.as_ref())?;
    Ok(Container {
        conversation: None,
        pid,
        pidfd,
        report,
        announce: request.announce,
        upper: start.spec.root.upper.map(|upper| upper.fs),
        group,
        _held: held,
        opened: (start.terminal.map(|terminal| terminal.master), listeners),
    })
}

fn clone(
    start: &Start,
    launch: &Launch,
    group: Option<&Group>,
) -> Result<(i32, OwnedFd, Report), ContainerError> {
    let mut flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    if start.spec.network == Network::None {
        flags |= libc::CLONE_NEWNET;
    }
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(ContainerError::prepare("pipe"))?;
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK).map_err(ContainerError::prepare("pipe"))?;
    let group = group.map(|group| group.directory().as_fd());
    match clone_process(flags as u64, group) {
        Ok(Cloned::Child) => child::run(start, launch, Reporter(write)),
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd, Report::new(read))),
        Err(cause) => Err(ContainerError::Namespaces {
            cause: cause.into(),
            cure: crate::namespace::cure(),
        }),
    }
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

fn terminal(tty_group: bool) -> rustix::io::Result<Terminal> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = mounts::terminals(tty_group, attributes)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::openat(&tree, "ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&master)?;
    let flags = rustix::pty::OpenptFlags::RDWR
        | rustix::pty::OpenptFlags::NOCTTY
        | rustix::pty::OpenptFlags::CLOEXEC;
    let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    Ok(Terminal { tree, master, peer })
}
