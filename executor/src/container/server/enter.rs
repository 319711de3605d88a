//! One more process in a container that runs: it gets the namespaces, rights and attributes of the
//! container, and nothing of whoever asked. Knows no loop.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::child;
use super::process::{self, Rights};
use super::report::{Report, Reporter};
use super::root::Launch;
use super::start::{Terminal, within_pid_namespace};
use crate::container::capability::Capabilities;
use crate::container::cgroup::Group;
use crate::container::error::ContainerError;
use crate::container::spec::{ContainerSpec, Namespace, Network, Process};
use crate::container::wire;
use crate::sys::filter::Instruction;
use crate::sys::process::{Cloned, clone_process, close_all_but, exit_now, wait};

/// What is asked for.
pub(crate) struct Entry<'a> {
    /// The container as it was started.
    pub(crate) spec: &'a ContainerSpec,
    /// Its first process.
    pub(crate) container: &'a OwnedFd,
    pub(crate) group: Option<&'a Group>,
    pub(crate) process: &'a Process,
    /// None, or three.
    pub(crate) stdio: &'a [OwnedFd],
    pub(crate) terminal: Option<&'a Terminal>,
    pub(crate) capabilities: Capabilities,
    pub(crate) filter: Option<&'a [Instruction]>,
    pub(crate) privileged: bool,
}

/// Starts it. What goes wrong in it is in the report.
pub(crate) fn enter(
    entry: &Entry<'_>,
    launch: &Launch,
) -> Result<(i32, OwnedFd, Report), ContainerError> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(ContainerError::prepare("pipe"))?;
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK).map_err(ContainerError::prepare("pipe"))?;
    let apart = entry.spec.namespaces.pid != Namespace::Host;
    let group = entry.group.map(|group| group.directory().as_fd());
    // the clone may not write there itself: in another pid namespace it is nobody's
    let score = entry.spec.oom_score_adj;
    let before = score.map(process::swap_oom_score).transpose()?;
    let cloned = within_pid_namespace(apart.then_some(entry.container), || clone_process(0, group));
    if let Some(before) = before
        && !matches!(cloned, Ok(Cloned::Child))
    {
        process::oom_score(before)?;
    }
    match cloned {
        Ok(Cloned::Child) => run(entry, launch, Reporter::new(write)),
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd, Report::new(read))),
        Err(cause) => Err(ContainerError::prepare("entering the container")(cause)),
    }
}

/// Runs in the clone, and never comes back.
fn run(entry: &Entry<'_>, launch: &Launch, reporter: Reporter) -> ! {
    reporter.watch(|reporter| prepare(entry, launch, reporter))
}

fn prepare(
    entry: &Entry<'_>,
    launch: &Launch,
    reporter: &Reporter,
) -> Result<std::convert::Infallible, ContainerError> {
    let failed = ContainerError::prepare;
    let mut keep = vec![reporter.pipe().as_raw_fd(), entry.container.as_raw_fd()];
    keep.extend(entry.stdio.iter().map(AsRawFd::as_raw_fd));
    keep.extend(
        entry
            .terminal
            .iter()
            .map(|terminal| terminal.peer.as_raw_fd()),
    );
    close_all_but(&keep).map_err(failed("closing descriptors"))?;
    rustix::process::setsid().map_err(failed("setsid"))?;
    join(entry.container, namespaces(entry.spec)).map_err(failed("joining the namespaces"))?;
    child::take_stdio(entry.terminal.map(|terminal| &terminal.peer), entry.stdio)?;
    close_all_but(&[reporter.pipe().as_raw_fd()]).map_err(failed("closing descriptors"))?;

    let (who, env) = process::identify(entry.process, &[])?;
    process::give_stdio(&who, entry.terminal.is_some())
        .map_err(failed("giving the standard descriptors to the user"))?;
    process::enter_directory(&entry.process.cwd, &who, false)?;
    process::limits(entry.process)?;
    let privileged = entry.privileged || entry.spec.security.privileged;
    let rights = Rights {
        capabilities: if privileged {
            launch.capabilities
        } else {
            entry.capabilities
        },
        ambient: privileged,
        filter: entry.filter,
        scoped: entry.spec.network == Network::Host && !privileged,
        no_new_privileges: entry.spec.process.no_new_privileges,
    };
    process::become_user(&who, &rights, launch)?;
    Err(process::execute(&entry.process.args, &env))
}

/// Those that a container has for itself, or shares with another.
fn namespaces(spec: &ContainerSpec) -> ThreadNameSpaceType {
    let mut kinds = ThreadNameSpaceType::MOUNT;
    let namespaces = &spec.namespaces;
    for (namespace, kind) in [
        (
            namespaces.ipc,
            ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
        ),
        (
            namespaces.uts,
            ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
        ),
        (namespaces.cgroup, ThreadNameSpaceType::CONTROL_GROUP),
    ] {
        kinds.set(kind, namespace != Namespace::Host);
    }
    kinds.set(ThreadNameSpaceType::NETWORK, spec.network != Network::Host);
    kinds
}

fn join(container: &OwnedFd, kinds: ThreadNameSpaceType) -> Result<(), Errno> {
    move_into_thread_name_spaces(container.as_fd(), kinds)
}

/// A container's root as it sees it, whatever its processes made their own root.
pub(crate) fn root(container: &OwnedFd) -> Result<OwnedFd, ContainerError> {
    let failed = ContainerError::prepare("opening the container's root");
    let socket = |error: std::io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let (here, there) = UnixStream::pair().map_err(socket)?;
    match clone_process(0, None).map_err(&failed)? {
        Cloned::Child => {
            let root = join(container, ThreadNameSpaceType::MOUNT).and_then(|()| {
                rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            });
            let sent = root.map(|root| wire::send(&there, &(), &[], &[root.as_fd()]));
            exit_now(i32::from(!matches!(sent, Ok(Ok(())))));
        }
        Cloned::Parent { pid, .. } => {
            drop(there);
            let frame = wire::receive(&here).map_err(socket)?;
            let _ = wait(Some(pid), true);
            frame
                .and_then(|frame| frame.fds.into_iter().next())
                .ok_or_else(|| failed(Errno::SRCH))
        }
    }
}

/// The terminals of a container, as it sees them: what is mounted there may be its own work, and is
/// taken for what it should be only if the kernel says that it is.
pub(crate) fn terminals(container: &OwnedFd) -> Result<OwnedFd, ContainerError> {
    const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
    let failed = ContainerError::prepare("the container's terminals");
    let found = super::tree::without_links(root(container)?, "dev/pts").map_err(&failed)?;
    let kind = rustix::fs::fstatfs(&found).map_err(&failed)?.f_type;
    if kind as i64 != DEVPTS_SUPER_MAGIC {
        return Err(failed(Errno::NOTTY));
    }
    Ok(found)
}
