//! Orders to a monitor, over the socket in its container's folder.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use serde::{Deserialize, Serialize};

use super::attached::Attached;
use super::error::MonitorError;
use super::life::Restart;
use super::lock::Lock;
use super::protocol::{Order, Reply};
use super::status::Status;
use crate::container::spec::{Process, Resources};
use crate::container::wire::{self, Frame};
use crate::network::Interface;

/// The socket's name in a container's folder.
pub(super) const SOCKET: &str = "control";

/// A connection to a monitor. Each order is one call; a connection may give any number, one by one.
#[derive(Debug)]
pub struct Control {
    socket: UnixStream,
    folder: PathBuf,
}

/// A namespace of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Process ids.
    Pid,
    /// IPC.
    Ipc,
    /// Host name.
    Uts,
    /// Network.
    Network,
    /// Mounts.
    Mount,
    /// Control groups.
    Cgroup,
}

/// One more process in a running container.
#[derive(Debug)]
pub struct Exec {
    /// The process; its environment and user are not completed from the container's.
    pub process: Process,
    /// All capabilities and no filter.
    pub privileged: bool,
    /// Its standard descriptors.
    pub stdio: ExecStdio,
}

/// Standard descriptors of one more process.
#[derive(Debug)]
pub enum ExecStdio {
    /// Nothing in, nothing out (`-d`).
    Null,
    /// These three.
    Given([OwnedFd; 3]),
    /// A terminal of its own, whose other side is [`Executed::take_terminal`].
    Terminal {
        /// Its height.
        rows: u16,
        /// Its width.
        columns: u16,
    },
}

/// One more process that was started in a container.
#[derive(Debug)]
pub struct Executed {
    socket: UnixStream,
    terminal: Option<OwnedFd>,
}

impl Executed {
    /// The other side of its terminal.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// What signals it from another thread.
    ///
    /// # Errors
    /// As dup(2).
    pub fn signaller(&self) -> Result<impl Fn(i32) + Send + 'static, MonitorError> {
        let socket = self.socket.try_clone();
        let socket = socket.map_err(MonitorError::refused("a connection"))?;
        Ok(move |signal| {
            let order = Order::Signal {
                signal,
                quiet: true,
            };
            // a monitor that is gone has taken the process with it
            let _ = wire::send(&socket, &order, &[], &[]);
        })
    }

    /// Blocks until it ended, and gives its code as a shell reports it.
    ///
    /// # Errors
    /// [`MonitorError::Ended`] when the container ended with it.
    pub fn wait(self) -> Result<i32, MonitorError> {
        match reply(&self.socket)?.0 {
            Reply::Ended(code) => Ok(code),
            other => Err(failed(other)),
        }
    }
}

/// The next reply, with its frame.
fn reply(socket: &UnixStream) -> Result<(Reply, Frame), MonitorError> {
    let frame = wire::receive(socket)
        .ok()
        .flatten()
        .ok_or(MonitorError::Ended)?;
    Ok((frame.parse()?, frame))
}

/// The error in a reply that was none of those expected.
fn failed(reply: Reply) -> MonitorError {
    match reply {
        Reply::Failed(error) => error,
        other => MonitorError::unexpected(&other),
    }
}

impl Control {
    /// Connects to the monitor of the container in `folder` (absolute); none when there is none.
    ///
    /// # Errors
    /// When the folder is not there or the socket refuses.
    pub fn connect(folder: &Path) -> Result<Option<Self>, MonitorError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(folder, flags, Mode::empty())
            .map_err(MonitorError::refused("the container's folder"))?;
        // a path may be longer than a socket's address
        let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
        match UnixStream::connect(path) {
            Ok(socket) => Ok(Some(Self {
                socket,
                folder: folder.to_owned(),
            })),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(MonitorError::refused("the control socket")(error)),
        }
    }

    /// How the container is, by its monitor's own word.
    ///
    /// # Errors
    /// [`MonitorError::Ended`].
    pub fn status(&mut self) -> Result<Status, MonitorError> {
        match self.ask(&Order::Status, &[])?.0 {
            Reply::Status(status) => Ok(*status),
            other => Err(failed(other)),
        }
    }

    /// Sends a signal to the first process (`kill`). SIGKILL ends the container by order.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn signal(&mut self, signal: i32) -> Result<(), MonitorError> {
        self.order(&Order::Signal {
            signal,
            quiet: false,
        })
    }

    /// Asks it to stop, kills it when it has not after `timeout` seconds, and comes back when its
    /// monitor is gone. None for either is the container's own; a negative timeout waits for ever.
    ///
    /// # Errors
    /// [`MonitorError::Protocol`].
    pub fn stop(self, signal: Option<i32>, timeout: Option<i64>) -> Result<(), MonitorError> {
        self.order_to_stop(signal, timeout, false)
    }

    /// Stops it as [`stop`](Self::stop) does, but leaves undone what is to be done afterwards: it will
    /// be started again.
    ///
    /// # Errors
    /// Those of [`stop`](Self::stop).
    pub fn stop_for_restart(
        self,
        signal: Option<i32>,
        timeout: Option<i64>,
    ) -> Result<(), MonitorError> {
        self.order_to_stop(signal, timeout, true)
    }

    fn order_to_stop(
        self,
        signal: Option<i32>,
        timeout: Option<i64>,
        keep: bool,
    ) -> Result<(), MonitorError> {
        let order = Order::Stop {
            signal,
            timeout,
            keep,
        };
        let sent = wire::send(&self.socket, &order, &[], &[]);
        if sent.is_ok() {
            match reply(&self.socket) {
                // one that ended before it read the order has stopped too
                Ok((Reply::Ended(_), _)) | Err(MonitorError::Ended) => {}
                Ok((other, _)) => return Err(failed(other)),
                Err(error) => return Err(error),
            }
        }
        self.gone()
    }

    /// Blocks until the monitor is gone; its container's folder may be too, then.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn gone(self) -> Result<(), MonitorError> {
        drop(self.socket);
        Lock::wait(&self.folder)
            .map(drop)
            .map_err(MonitorError::refused("the container's lock"))
    }

    /// Stops its processes where they are.
    ///
    /// # Errors
    /// [`MonitorError::Paused`], or why it cannot be done here.
    pub fn pause(&mut self) -> Result<(), MonitorError> {
        self.order(&Order::Pause)
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`MonitorError::NotPaused`].
    pub fn unpause(&mut self) -> Result<(), MonitorError> {
        self.order(&Order::Unpause)
    }

    /// Blocks until the container has ended, and gives its code. It may be started again by its
    /// policy, and its monitor may live a moment longer ([`gone`](Self::gone)).
    ///
    /// # Errors
    /// [`MonitorError::Protocol`], and [`MonitorError::Ended`] when the monitor was killed.
    pub fn wait(&mut self) -> Result<i32, MonitorError> {
        match self.ask(&Order::Wait, &[])?.0 {
            Reply::Ended(code) => Ok(code),
            other => Err(failed(other)),
        }
    }

    /// Hears the container from now on, and may talk to it when `stdin`.
    ///
    /// # Errors
    /// [`MonitorError::Ended`].
    pub fn attach(mut self, stdin: bool) -> Result<Attached, MonitorError> {
        self.order(&Order::Attach { stdin })?;
        Ok(Attached::new(self.socket, Vec::new()))
    }

    /// Starts one more process.
    ///
    /// # Errors
    /// [`MonitorError::Paused`], [`MonitorError::NotRunning`], or why it could not be started.
    pub fn exec(mut self, exec: Exec) -> Result<Executed, MonitorError> {
        let (terminal, given) = match exec.stdio {
            ExecStdio::Null => (None, Vec::new()),
            ExecStdio::Given(three) => (None, three.into()),
            ExecStdio::Terminal { rows, columns } => (Some((rows, columns)), Vec::new()),
        };
        let order = Order::Exec {
            process: Box::new(exec.process),
            privileged: exec.privileged,
            terminal,
        };
        let fds: Vec<BorrowedFd<'_>> = given.iter().map(AsFd::as_fd).collect();
        match self.ask(&order, &fds)? {
            (Reply::Executed { .. }, frame) => Ok(Executed {
                socket: self.socket,
                terminal: frame.fds.into_iter().next(),
            }),
            (other, _) => Err(failed(other)),
        }
    }

    /// The container's root as it sees it, what is mounted in there included. Open what is below with
    /// openat2(2) and `RESOLVE_IN_ROOT`.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn root(&mut self) -> Result<OwnedFd, MonitorError> {
        self.descriptor(&Order::Root)
    }

    /// One of its namespaces, for another container to join.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn namespace(&mut self, kind: Kind) -> Result<OwnedFd, MonitorError> {
        self.descriptor(&Order::Namespace(kind))
    }

    /// Process ids of everything in it, as the host sees them.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn processes(&mut self) -> Result<Vec<i32>, MonitorError> {
        match self.ask(&Order::Processes, &[])?.0 {
            Reply::Processes(pids) => Ok(pids),
            other => Err(failed(other)),
        }
    }

    /// Changes policy and limits; none leaves them.
    ///
    /// # Errors
    /// Why a limit cannot be set.
    pub fn update(
        &mut self,
        restart: Option<Restart>,
        resources: Option<&Resources>,
    ) -> Result<(), MonitorError> {
        self.order(&Order::Update {
            restart,
            resources: resources.cloned().map(Box::new),
        })
    }

    /// Connects it to one more network.
    ///
    /// # Errors
    /// [`MonitorError::Network`].
    pub fn connect_network(&mut self, interface: &Interface) -> Result<(), MonitorError> {
        self.order(&Order::Connect(Box::new(interface.clone())))
    }

    /// Takes it off the network with this id.
    ///
    /// # Errors
    /// [`MonitorError::Network`].
    pub fn disconnect_network(&mut self, network_id: &str) -> Result<(), MonitorError> {
        self.order(&Order::Disconnect(network_id.to_owned()))
    }

    fn ask(
        &mut self,
        order: &Order,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Frame), MonitorError> {
        wire::send(&self.socket, order, &[], fds).map_err(|_| MonitorError::Ended)?;
        reply(&self.socket)
    }

    fn order(&mut self, order: &Order) -> Result<(), MonitorError> {
        match self.ask(order, &[])?.0 {
            Reply::Done => Ok(()),
            other => Err(failed(other)),
        }
    }

    fn descriptor(&mut self, order: &Order) -> Result<OwnedFd, MonitorError> {
        match self.ask(order, &[])? {
            (Reply::Descriptor, frame) => frame.fds.into_iter().next().ok_or(MonitorError::Ended),
            (other, _) => Err(failed(other)),
        }
    }
}
