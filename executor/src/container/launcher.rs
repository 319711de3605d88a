//! The launcher as the rest of the program sees it: start it once, ask for containers, end it.
//! Knows nothing of namespaces and mounts; those are on the other side of the socket.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::error::ContainerError;
use super::running::Running;
use super::server::seal;
use super::spec::{ContainerSpec, Mount, RootFs};
use super::wire::{self, Request, Setup};

/// The hidden first argument that makes this program a launcher.
pub const LAUNCHER_ARGUMENT: &str = "rbuild-launcher";

/// How long the kernel may take to close one socket of a dead process after another.
const CLOSING: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// What a launcher is started with.
#[derive(Debug, Clone)]
pub struct LaunchOptions {
    /// The store's root; all paths of layers are relative to it.
    pub store_root: PathBuf,
    /// Files and directories of the host that containers may mount, with what is mounted below them.
    pub host_sources: Vec<PathBuf>,
}

/// What goes with a spec and is never part of it.
#[derive(Debug, Default)]
pub struct Attachments<'a> {
    /// Bytes of the [`Content`](super::spec::MountSource::Content) mounts, by index.
    pub contents: Vec<Vec<u8>>,
    /// Variables added to the environment.
    pub secret_env: Vec<(String, String)>,
    /// Descriptors that the launcher holds until the container is reaped: locks.
    pub held: Vec<BorrowedFd<'a>>,
    /// Namespaces to join, by the index in [`Namespace::Given`](super::spec::Namespace::Given) and
    /// [`Network::Given`](super::spec::Network::Given).
    pub joined: Vec<BorrowedFd<'a>>,
    /// Whether [`Running::started`] will be asked.
    pub announce: bool,
}

/// Where the process's input comes from and its output goes.
#[derive(Debug)]
pub enum Stdio {
    /// Nothing in, nothing out.
    Null,
    /// Nothing in; standard output and error come through two pipes to [`Running::wait`].
    Pipes,
    /// A terminal of the container's own; its other side is [`Running::take_terminal`].
    Terminal,
    /// This program's own three.
    Inherit,
    /// These three.
    Given([OwnedFd; 3]),
}

/// A launcher: every container that it starts ends with it, and it ends when this is dropped or
/// this process dies.
#[derive(Debug)]
pub struct Launcher {
    control: Mutex<UnixStream>,
    process: Mutex<Child>,
}

impl Launcher {
    /// Starts it and waits until it is ready. The calling process must have `CAP_SYS_ADMIN` in its
    /// user namespace ([`namespace::enter`](crate::namespace::enter) gets it).
    ///
    /// # Errors
    /// [`ContainerError::Launch`] or [`ContainerError::Namespaces`].
    pub fn start(options: &LaunchOptions) -> Result<Self, ContainerError> {
        let launch = |what: &str| {
            let what = what.to_owned();
            move |cause: std::io::Error| ContainerError::Launch {
                what,
                cause: cause.into(),
            }
        };
        let (ours, theirs) = UnixStream::pair().map_err(launch("socketpair"))?;
        let process = seal::start(LAUNCHER_ARGUMENT, theirs, std::process::Stdio::inherit())
            .map_err(launch("executing this program from a read-only mount"))?;
        let launcher = Self {
            control: Mutex::new(ours),
            process: Mutex::new(process),
        };
        let setup = Setup {
            store_root: options.store_root.clone(),
            host_sources: options.host_sources.clone(),
            name: name(),
            own_pids: true,
            root: crate::namespace::is_initial() && crate::namespace::is_admin(),
        };
        let control = launcher.control();
        wire::send(&control, &setup, &[], &[]).map_err(launch("setup"))?;
        let ready: Result<(), ContainerError> = wire::receive(&control)
            .map_err(launch("setup"))?
            .ok_or(ContainerError::LauncherEnded)?
            .parse()?;
        drop(control);
        ready.map(|()| launcher)
    }

    /// Asks for a container. Many may run at once; this blocks no longer than it takes to write
    /// the request. That it could not be started is known from [`Running::wait`].
    ///
    /// # Errors
    /// [`ContainerError::LauncherEnded`], [`ContainerError::Invalid`].
    pub fn run(
        &self,
        spec: &ContainerSpec,
        attachments: Attachments<'_>,
        stdio: Stdio,
    ) -> Result<Running, ContainerError> {
        if spec.process.terminal != matches!(stdio, Stdio::Terminal) {
            return Err(ContainerError::Invalid {
                why: "`terminal` and the kind of stdio differ".to_owned(),
            });
        }
        let local = |cause: std::io::Error| ContainerError::Prepare {
            what: "descriptors for a container".to_owned(),
            cause: cause.into(),
        };
        let (given, outputs) = connect(stdio).map_err(local)?;
        let secrets: Vec<String> = attachments
            .secret_env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = Request {
            spec: spec.clone(),
            contents: attachments.contents.iter().map(Vec::len).collect(),
            secret_env: secrets.iter().map(String::len).collect(),
            stdio: given.len(),
            joined: attachments.joined.len(),
            hold: false,
            announce: attachments.announce,
        };
        let blobs: Vec<&[u8]> = attachments
            .contents
            .iter()
            .map(Vec::as_slice)
            .chain(secrets.iter().map(String::as_bytes))
            .collect();
        let fds: Vec<BorrowedFd<'_>> = given
            .iter()
            .map(AsFd::as_fd)
            .chain(attachments.joined.iter().copied())
            .chain(attachments.held.iter().copied())
            .collect();
        let (ours, theirs) = UnixStream::pair().map_err(local)?;
        let ended = |_| ContainerError::LauncherEnded;
        wire::send(&self.control(), &(), &[], &[theirs.as_fd()]).map_err(ended)?;
        wire::send(&ours, &request, &blobs, &fds).map_err(ended)?;
        Ok(Running::new(ours, outputs))
    }

    /// Waits until a launcher that has ended is gone with all its containers: the kernel ends those
    /// after it has closed the sockets, which [`ContainerError::LauncherEnded`] is known by. Comes
    /// back soon from one that lives.
    pub fn bury(&self) {
        let control = self.control();
        let mut fds = [PollFd::new(&*control, PollFlags::IN)];
        // it says nothing on this socket any more: what can be read is the end
        if matches!(poll(&mut fds, Some(&CLOSING)), Ok(1..)) {
            self.reap();
        }
    }

    fn reap(&self) {
        let mut process = self
            .process
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // fails only when it was reaped before
        let _ = process.wait();
    }

    /// Mounts a root with `mounts` in it and starts nothing: gives descriptors of `/` and of the mount
    /// namespace, as long as which everything stays mounted, with or without this launcher.
    ///
    /// # Errors
    /// Why it could not be mounted.
    pub fn hold(
        &self,
        root: &RootFs,
        mounts: &[Mount],
    ) -> Result<(OwnedFd, OwnedFd), ContainerError> {
        let local = |cause: std::io::Error| ContainerError::Prepare {
            what: "descriptors for a root".to_owned(),
            cause: cause.into(),
        };
        let ended = |_| ContainerError::LauncherEnded;
        let request = Request {
            spec: ContainerSpec {
                root: root.clone(),
                mounts: mounts.to_vec(),
                ..ContainerSpec::default()
            },
            contents: Vec::new(),
            secret_env: Vec::new(),
            stdio: 1,
            joined: 0,
            hold: true,
            announce: false,
        };
        let (here, there) = UnixStream::pair().map_err(local)?;
        let (ours, theirs) = UnixStream::pair().map_err(local)?;
        wire::send(&self.control(), &(), &[], &[theirs.as_fd()]).map_err(ended)?;
        wire::send(&ours, &request, &[], &[there.as_fd()]).map_err(ended)?;
        drop((theirs, there));
        let held = wire::receive(&here).map_err(local)?;
        Running::new(ours, Vec::new()).wait(&|| false, &mut |_, _| {})?;
        let mut fds = held.map(|frame| frame.fds).unwrap_or_default().into_iter();
        fds.next().zip(fds.next()).ok_or(ContainerError::Protocol {
            why: "no root was sent".to_owned(),
        })
    }

    fn control(&self) -> std::sync::MutexGuard<'_, UnixStream> {
        self.control
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if self.control().shutdown(std::net::Shutdown::Both).is_err() {
            // it may not have heard the end, and must not be waited for in vain
            let mut process = self
                .process
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            // fails only when it is gone already
            let _ = process.kill();
        }
        self.reap();
    }
}

/// A name that no other launcher of this machine has while it lives.
fn name() -> String {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

/// The descriptors to pass, and the reading ends of pipes.
fn connect(stdio: Stdio) -> std::io::Result<(Vec<OwnedFd>, Vec<File>)> {
    Ok(match stdio {
        Stdio::Null | Stdio::Terminal => (Vec::new(), Vec::new()),
        Stdio::Inherit => (
            vec![
                std::io::stdin().as_fd().try_clone_to_owned()?,
                std::io::stdout().as_fd().try_clone_to_owned()?,
                std::io::stderr().as_fd().try_clone_to_owned()?,
            ],
            Vec::new(),
        ),
        Stdio::Given(three) => (three.into(), Vec::new()),
        Stdio::Pipes => {
            let null = File::open("/dev/null")?;
            let (out_read, out_write) = pipe_with(PipeFlags::CLOEXEC)?;
            let (err_read, err_write) = pipe_with(PipeFlags::CLOEXEC)?;
            for end in [&out_read, &err_read] {
                rustix::fs::fcntl_setfl(end, rustix::fs::OFlags::NONBLOCK)?;
            }
            (
                vec![null.into(), out_write, err_write],
                vec![out_read.into(), err_read.into()],
            )
        }
    })
}
