//! Orders to a monitor, over the socket in its container's folder.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::attached::Attached;
use super::error::MonitorError;
use super::life::Restart;
use super::status::Status;
use crate::container::spec::{Process, Resources};
use crate::network::Interface;

/// A connection to a monitor. Each order is one call; a connection may give any number, one by one.
#[derive(Debug)]
pub struct Control {
    #[expect(dead_code, reason = "the bodies follow")]
    socket: UnixStream,
}

/// A namespace of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    #[expect(dead_code, reason = "the bodies follow")]
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
        Ok(|_| todo!())
    }

    /// Blocks until it ended, and gives its code as a shell reports it.
    ///
    /// # Errors
    /// [`MonitorError::Ended`] when the container ended with it.
    pub fn wait(self) -> Result<i32, MonitorError> {
        todo!()
    }
}

impl Control {
    /// Connects to the monitor of the container in `folder` (absolute); none when there is none.
    ///
    /// # Errors
    /// When the folder is not there or the socket refuses.
    pub fn connect(folder: &Path) -> Result<Option<Self>, MonitorError> {
        let _ = folder;
        todo!()
    }

    /// How the container is, by its monitor's own word.
    ///
    /// # Errors
    /// [`MonitorError::Ended`].
    pub fn status(&mut self) -> Result<Status, MonitorError> {
        todo!()
    }

    /// Sends a signal to the first process (`kill`). SIGKILL ends the container by order.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn signal(&mut self, signal: i32) -> Result<(), MonitorError> {
        let _ = signal;
        todo!()
    }

    /// Asks it to stop, kills it when it has not after `timeout` seconds, and comes back when its
    /// monitor is gone. None for either is the container's own; a negative timeout waits for ever.
    ///
    /// # Errors
    /// [`MonitorError::Protocol`].
    pub fn stop(self, signal: Option<i32>, timeout: Option<i64>) -> Result<(), MonitorError> {
        let _ = (signal, timeout);
        todo!()
    }

    /// Stops its processes where they are.
    ///
    /// # Errors
    /// [`MonitorError::Paused`], or why it cannot be done here.
    pub fn pause(&mut self) -> Result<(), MonitorError> {
        todo!()
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`MonitorError::NotPaused`].
    pub fn unpause(&mut self) -> Result<(), MonitorError> {
        todo!()
    }

    /// Blocks until the container has ended and is not started again, and gives its code.
    ///
    /// # Errors
    /// [`MonitorError::Protocol`].
    pub fn wait(self) -> Result<i32, MonitorError> {
        todo!()
    }

    /// Hears the container from now on, and may talk to it when `stdin`.
    ///
    /// # Errors
    /// [`MonitorError::Ended`].
    pub fn attach(self, stdin: bool) -> Result<Attached, MonitorError> {
        let _ = stdin;
        todo!()
    }

    /// Starts one more process.
    ///
    /// # Errors
    /// [`MonitorError::Paused`], [`MonitorError::NotRunning`], or why it could not be started.
    pub fn exec(self, exec: Exec) -> Result<Executed, MonitorError> {
        let _ = exec;
        todo!()
    }

    /// The container's root as it sees it, what is mounted in there included. Open what is below with
    /// openat2(2) and `RESOLVE_IN_ROOT`.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn root(&mut self) -> Result<OwnedFd, MonitorError> {
        todo!()
    }

    /// One of its namespaces, for another container to join.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn namespace(&mut self, kind: Kind) -> Result<OwnedFd, MonitorError> {
        let _ = kind;
        todo!()
    }

    /// Process ids of everything in it, as the host sees them.
    ///
    /// # Errors
    /// [`MonitorError::NotRunning`].
    pub fn processes(&mut self) -> Result<Vec<i32>, MonitorError> {
        todo!()
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
        let _ = (restart, resources);
        todo!()
    }

    /// Connects it to one more network.
    ///
    /// # Errors
    /// [`MonitorError::Network`].
    pub fn connect_network(&mut self, interface: &Interface) -> Result<(), MonitorError> {
        let _ = interface;
        todo!()
    }

    /// Takes it off the network with this id.
    ///
    /// # Errors
    /// [`MonitorError::Network`].
    pub fn disconnect_network(&mut self, network_id: &str) -> Result<(), MonitorError> {
        let _ = network_id;
        todo!()
    }
}
