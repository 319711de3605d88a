//! Starting a monitor, and looking into the root of a container that has none.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::MONITOR_ARGUMENT;
use super::attached::Attached;
use super::error::MonitorError;
use super::life::Life;
use super::protocol::{Opening, Reply};
use crate::container::server::seal;
use crate::container::spec::{Mount, RootFs};
use crate::container::{LaunchOptions, Launcher, own_group, wire};

/// How whoever starts a container hears it from its first byte.
#[derive(Debug, Clone, Copy)]
pub struct Attach {
    /// Whether he may talk to it too.
    pub stdin: bool,
    /// Size of his terminal, in rows and columns.
    pub size: Option<(u16, u16)>,
}

/// A container that was started.
#[derive(Debug)]
pub struct Started {
    /// The connection asked for.
    pub attached: Option<Attached>,
}

/// A process that waits to be told whose monitor it is. To execute a program takes a millisecond, in
/// which whoever needs one can do something else. Dropped, it is gone.
#[derive(Debug)]
pub struct Waiting {
    socket: UnixStream,
    process: Process,
}

#[derive(Debug)]
struct Process(Child);

impl Waiting {
    /// Starts it. Call it inside the namespace that [`namespace::enter`](crate::namespace::enter) gives.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn new() -> Result<Self, MonitorError> {
        let (ours, theirs) = UnixStream::pair().map_err(MonitorError::refused("a connection"))?;
        let process = seal::start(MONITOR_ARGUMENT, theirs, Stdio::null())
            .map_err(MonitorError::refused("the monitor"))?;
        Ok(Self {
            socket: ours,
            process: Process(process),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it has nothing yet; once it was told what to do it is gone already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes of `waiting` the monitor of `life`, which starts the container; comes back when the container's
/// program was executed. `joined` are the namespaces that the spec names by index.
///
/// # Errors
/// Why it could not be started; then no process is left, and the status says it too.
pub fn start(
    waiting: Waiting,
    life: &Life,
    joined: &[OwnedFd],
    attach: Option<Attach>,
) -> Result<Started, MonitorError> {
    own_group::step_aside(&life.spec.resources);
    let Waiting {
        socket,
        mut process,
    } = waiting;
    let opening = Opening {
        life: life.clone(),
        attach: attach.map(|attach| attach.stdin),
        size: attach.and_then(|attach| attach.size),
    };
    let fds: Vec<BorrowedFd<'_>> = joined.iter().map(AsFd::as_fd).collect();
    let sent = wire::send(&socket, &opening, &[], &fds);
    if sent.is_ok() {
        // it makes the process that stays, and goes away at once
        let _ = process.0.wait();
    }
    sent.map_err(|_| MonitorError::Ended)?;
    let mut early = Vec::new();
    loop {
        let frame = wire::receive(&socket)
            .ok()
            .flatten()
            .ok_or(MonitorError::Ended)?;
        match frame.parse()? {
            Reply::Done => break,
            Reply::Output(stream) => early.push((stream, frame.blob)),
            Reply::Failed(error) => return Err(error),
            other => return Err(MonitorError::unexpected(&other)),
        }
    }
    Ok(Started {
        attached: attach.map(|_| Attached::new(socket, early)),
    })
}

/// The root of a container that does not run, mounted for this process alone as long as this lives.
#[derive(Debug)]
pub struct Held {
    /// `/`, as the container would see it. Open what is below with openat2(2) and `RESOLVE_IN_ROOT`.
    pub root: OwnedFd,
    _namespace: OwnedFd,
}

/// Mounts the root of a container that does not run, with `mounts` in it (volumes and host paths, the
/// latter at or below one of `host_sources`).
///
/// # Errors
/// Why it could not be mounted.
pub fn hold_root(
    store_root: &Path,
    root: &RootFs,
    mounts: &[Mount],
    host_sources: &[PathBuf],
) -> Result<Held, MonitorError> {
    let launcher = Launcher::start(&LaunchOptions {
        store_root: store_root.to_owned(),
        host_sources: host_sources.to_vec(),
    })?;
    let (root, namespace) = launcher.hold(root, mounts)?;
    Ok(Held {
        root,
        _namespace: namespace,
    })
}
