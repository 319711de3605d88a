//! The new process, from its first instruction to the program's. Nothing of the launcher's goes
//! with it: what stays is written here. Knows no other container.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::hooks;
use super::init;
use super::mounts::Builder;
use super::process::{self, Rights};
use super::report::Reporter;
use super::root::Launch;
use super::start::{Start, joined};
use super::sysctl;
use crate::container::error::ContainerError;
use crate::container::plan::{asked, plan};
use crate::container::spec::{Namespace, Network};
use crate::container::wire;
use crate::sys::process::{close_all_but, exit_now, raise_loopback};

/// Runs in the clone, and never comes back.
pub(super) fn run(start: &Start<'_>, launch: &Launch, reporter: Reporter) -> ! {
    reporter.watch(|reporter| prepare(start, launch, reporter))
}

fn prepare(
    start: &Start<'_>,
    launch: &Launch,
    reporter: &Reporter,
) -> Result<std::convert::Infallible, ContainerError> {
    let failed = ContainerError::prepare;
    let spec = start.spec;
    let terminal = start.terminal.as_ref();
    let mut keep = vec![reporter.pipe().as_raw_fd()];
    keep.extend(start.stdio.iter().map(AsRawFd::as_raw_fd));
    keep.extend(start.made.tree.iter().map(AsRawFd::as_raw_fd));
    keep.extend(start.joined.iter().map(AsRawFd::as_raw_fd));
    keep.extend(start.terminals.iter().map(AsRawFd::as_raw_fd));
    keep.extend(start.gate.iter().map(AsRawFd::as_raw_fd));
    keep.extend(terminal.iter().map(|terminal| terminal.peer.as_raw_fd()));
    close_all_but(&keep).map_err(failed("closing descriptors"))?;
    rustix::process::setsid().map_err(failed("setsid"))?;
    join(start)?;

    let steps = if start.hold {
        asked(spec)
    } else {
        plan(spec, &launch.machine)
    };
    let root = Builder::new(start, launch, reporter)?.build(&steps)?;
    reporter.tell();
    if start.hold {
        hand_over(&root, &start.stdio)?;
        exit_now(0);
    }
    if spec.namespaces.uts == Namespace::Own {
        rustix::system::sethostname(spec.hostname.as_bytes()).map_err(failed("the host name"))?;
    }
    if spec.network == Network::None {
        raise_loopback().map_err(failed("loopback"))?;
    }
    if spec.security.privileged || spec.security.unfiltered {
        // a filter keeps the others from keys; who gets none gets a keyring of its own
        let _ = crate::sys::process::join_new_session_keyring();
    }
    sysctl::set(spec)?;
    if let Some(score) = spec.oom_score_adj {
        process::oom_score(score)?;
    }
    if let Some(gate) = &start.gate {
        hooks::wait_at(gate)?;
    }
    rustix::process::fchdir(&root)
        .and_then(|()| rustix::process::pivot_root(".", "."))
        .and_then(|()| unmount(".", UnmountFlags::DETACH))
        .and_then(|()| rustix::process::chdir("/"))
        .map_err(failed("changing the root"))?;
    drop(root);

    take_stdio(terminal.map(|terminal| &terminal.peer), &start.stdio)?;
    close_all_but(&[reporter.pipe().as_raw_fd()]).map_err(failed("closing descriptors"))?;

    let (who, env) = process::identify(&spec.process, start.secret_env)?;
    process::give_stdio(&who, terminal.is_some())
        .map_err(failed("giving the standard descriptors to the user"))?;
    process::enter_directory(&spec.process.cwd, &who, true)?;
    process::limits(&spec.process)?;
    if spec.process.init {
        init::stay_in_front(reporter)?;
    }
    let rights = Rights {
        capabilities: start.capabilities,
        ambient: spec.security.privileged,
        filter: start.filter.as_deref(),
        scoped: spec.network == Network::Host && !spec.security.privileged,
        no_new_privileges: spec.process.no_new_privileges,
    };
    process::become_user(&who, &rights, launch)?;
    if let Some(parent) = start.parent {
        end_with(parent)?;
    }
    if let Some(inside) = &start.inside {
        hooks::call(inside)?;
    }
    Err(process::execute(&spec.process.args, &env))
}

/// Sends a root, and the mount namespace that keeps together what is mounted in it.
fn hand_over(root: &OwnedFd, stdio: &[OwnedFd]) -> Result<(), ContainerError> {
    let failed = ContainerError::prepare("handing over a root");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = rustix::fs::open("/proc/self/ns/mnt", flags, Mode::empty()).map_err(&failed)?;
    // the namespace's own root is still the launcher's
    let Some(Ok(socket)) = stdio
        .first()
        .map(OwnedFd::try_clone)
        .map(|fd| fd.map(UnixStream::from))
    else {
        return Err(failed(rustix::io::Errno::BADF));
    };
    wire::send(&socket, &(), &[], &[root.as_fd(), namespace.as_fd()]).map_err(|error| {
        failed(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
    })
}

/// Joins the namespaces of others.
fn join(start: &Start<'_>) -> Result<(), ContainerError> {
    let namespaces = &start.spec.namespaces;
    let network = match start.spec.network {
        Network::Given(index) => Namespace::Given(index),
        Network::Host | Network::None => Namespace::Own,
    };
    let all = [
        (
            namespaces.ipc,
            LinkNameSpaceType::InterProcessCommunication,
            "ipc",
        ),
        (
            namespaces.uts,
            LinkNameSpaceType::HostNameAndNISDomainName,
            "uts",
        ),
        (namespaces.cgroup, LinkNameSpaceType::ControlGroup, "cgroup"),
        (network, LinkNameSpaceType::Network, "network"),
    ];
    for (namespace, kind, name) in all {
        if let Namespace::Given(index) = namespace {
            move_into_link_name_space(joined(start.joined, index)?.as_fd(), Some(kind)).map_err(
                ContainerError::prepare(&format!("joining the {name} namespace")),
            )?;
        }
    }
    Ok(())
}

/// Has the kernel end this process when its parent ends, and ends it when that is so already. What
/// comes back to a process that is no pid 1 of a namespace of its own.
fn end_with(parent: i32) -> Result<(), ContainerError> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(ContainerError::prepare("the signal of the parent's death"))?;
    let now = rustix::process::getppid().map_or(0, |parent| parent.as_raw_pid());
    // 0 is a parent in another pid namespace, of which nothing can be seen
    if now != parent && now != 0 {
        exit_now(1);
    }
    Ok(())
}

/// Puts a terminal, or three descriptors, where a program looks for them.
pub(super) fn take_stdio(
    terminal: Option<&OwnedFd>,
    given: &[OwnedFd],
) -> Result<(), ContainerError> {
    let failed = ContainerError::prepare;
    let [stdin, stdout, stderr] = match (terminal, given) {
        (Some(terminal), _) => {
            rustix::process::ioctl_tiocsctty(terminal).map_err(failed("the terminal"))?;
            [terminal; 3].map(Some)
        }
        (None, [stdin, stdout, stderr]) => [stdin, stdout, stderr].map(Some),
        // the launcher's own three are /dev/null and its caller's standard error
        (None, _) => [None; 3],
    };
    stdio(stdin, stdout, stderr)
        .map_err(|error| rustix::io::Errno::from_raw_os_error(error as i32))
        .map_err(failed("standard descriptors"))
}

fn stdio(
    stdin: Option<&OwnedFd>,
    stdout: Option<&OwnedFd>,
    stderr: Option<&OwnedFd>,
) -> nix::Result<()> {
    if let Some(fd) = stdin {
        dup2_stdin(fd)?;
    }
    if let Some(fd) = stdout {
        dup2_stdout(fd)?;
    }
    match stderr {
        Some(fd) => dup2_stderr(fd),
        None => dup2_stderr(std::io::stdin()),
    }
}
