//! A container that runs: its output, its end, and how to end it. Knows one socket and two pipes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::ContainerError;
use super::exit::Exit;
use super::wire::{self, Order, Reply};

/// How long a cancellation may go unnoticed.
const CANCEL_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
const PIPE: usize = 64 << 10;

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A container that was asked for. Dropping it kills the container.
#[derive(Debug)]
pub struct Running {
    conversation: Arc<UnixStream>,
    outputs: Vec<File>,
    terminal: Option<OwnedFd>,
    listeners: Vec<OwnedFd>,
    opened: bool,
    early: Option<Result<Exit, ContainerError>>,
}

/// Sends signals to a container from another thread.
#[derive(Debug, Clone)]
pub struct Killer(Arc<UnixStream>);

impl Killer {
    /// Sends `signal` to the container's first process; nothing happens when that has ended.
    pub fn signal(&self, signal: i32) {
        // a launcher that is gone has taken the container with it
        let _ = wire::send(&self.0, &Order::Signal(signal), &[], &[]);
    }

    /// Ends the container and everything in it at once.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }
}

impl Running {
    pub(crate) fn new(conversation: UnixStream, outputs: Vec<File>) -> Self {
        Self {
            conversation: Arc::new(conversation),
            outputs,
            terminal: None,
            listeners: Vec::new(),
            opened: false,
            early: None,
        }
    }

    /// Ends the container and everything in it at once.
    pub fn kill(&self) {
        self.killer().kill();
    }

    /// What sends signals to it.
    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.conversation))
    }

    /// The other side of the container's terminal, of a container that has one. Blocks until it is made.
    ///
    /// # Errors
    /// Why the container could not be started.
    pub fn take_terminal(&mut self) -> Result<Option<OwnedFd>, ContainerError> {
        self.open()?;
        Ok(self.terminal.take())
    }

    /// The listeners of its [`Socket`](super::spec::MountSource::Socket) mounts, by index. Blocks
    /// until they are made; call it only for a spec that has some.
    ///
    /// # Errors
    /// Why the container could not be started.
    pub fn take_listeners(&mut self) -> Result<Vec<OwnedFd>, ContainerError> {
        self.open()?;
        Ok(std::mem::take(&mut self.listeners))
    }

    /// Blocks until the program was executed, and gives its process id as the launcher sees it.
    /// Only for a container asked for with `announce`.
    ///
    /// # Errors
    /// Why the container could not be started.
    pub fn started(&mut self) -> Result<i32, ContainerError> {
        loop {
            match self.next()? {
                Reply::Started { pid } => return Ok(pid),
                Reply::Ended(Ok(exit)) => {
                    self.early = Some(Ok(exit));
                    return Ok(0);
                }
                Reply::Ended(Err(error)) => return Err(error),
                Reply::Opened { .. } => {}
            }
        }
    }

    /// Blocks until the container has ended, passing its output on. Output ends when the first
    /// process has ended and the pipes are empty, whoever still holds them. When `cancelled`
    /// gives true the container is killed; its end is reported all the same.
    ///
    /// # Errors
    /// Why the container could not be started.
    pub fn wait(
        mut self,
        cancelled: &dyn Fn() -> bool,
        on_output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Exit, ContainerError> {
        let mut buffer = vec![0; PIPE];
        let mut open = [true; 2];
        let mut killed = false;
        if let Some(exit) = self.early.take() {
            self.drain(&mut buffer, open, on_output);
            return exit;
        }
        loop {
            if !killed && cancelled() {
                self.kill();
                killed = true;
            }
            let (talks, readable) = self.ready(open, killed)?;
            for (at, ready) in readable.into_iter().enumerate() {
                if ready {
                    open[at] = self.read(at, &mut buffer, on_output) != Got::End;
                }
            }
            if talks && let Reply::Ended(exit) = self.next()? {
                self.drain(&mut buffer, open, on_output);
                return exit;
            }
        }
    }

    /// Which descriptors have something: the conversation, the two pipes.
    fn ready(&self, open: [bool; 2], killed: bool) -> Result<(bool, [bool; 2]), ContainerError> {
        let mut fds = vec![PollFd::new(&*self.conversation, PollFlags::IN)];
        let mut at = Vec::new();
        for (index, pipe) in self.outputs.iter().enumerate() {
            if open[index] {
                fds.push(PollFd::new(pipe, PollFlags::IN));
                at.push(index);
            }
        }
        let timeout = (!killed).then_some(&CANCEL_INTERVAL);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(cause) => {
                return Err(ContainerError::Prepare {
                    what: "poll".to_owned(),
                    cause: cause.into(),
                });
            }
        }
        let mut readable = [false; 2];
        for (fd, index) in fds[1..].iter().zip(at) {
            readable[index] = !fd.revents().is_empty();
        }
        Ok((!fds[0].revents().is_empty(), readable))
    }

    fn read(
        &mut self,
        at: usize,
        buffer: &mut [u8],
        on_output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Got {
        match self.outputs[at].read(buffer) {
            Ok(0) => Got::End,
            Ok(count) => {
                let stream = if at == 0 { Stream::Out } else { Stream::Err };
                on_output(stream, &buffer[..count]);
                Got::Bytes
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Got::Nothing,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Got::Bytes,
            Err(_) => Got::End,
        }
    }

    /// Passes on what the pipes hold, without waiting for more.
    fn drain(
        &mut self,
        buffer: &mut [u8],
        open: [bool; 2],
        on_output: &mut dyn FnMut(Stream, &[u8]),
    ) {
        for (at, open) in open.iter().enumerate().take(self.outputs.len()) {
            while *open && self.read(at, buffer, on_output) == Got::Bytes {}
        }
    }

    fn open(&mut self) -> Result<(), ContainerError> {
        while !self.opened {
            match self.next()? {
                Reply::Ended(Err(error)) => return Err(error),
                Reply::Ended(exit) => {
                    self.early = Some(exit);
                    return Ok(());
                }
                Reply::Started { .. } | Reply::Opened { .. } => {}
            }
        }
        Ok(())
    }

    /// The next reply; descriptors are put where they belong.
    fn next(&mut self) -> Result<Reply, ContainerError> {
        let frame = wire::receive(&self.conversation)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
                    ContainerError::LauncherEnded
                }
                _ => ContainerError::Protocol {
                    why: error.to_string(),
                },
            })?
            .ok_or(ContainerError::LauncherEnded)?;
        let reply = frame.parse()?;
        if let Reply::Opened { terminal } = reply {
            let mut fds = frame.fds.into_iter();
            self.terminal = if terminal { fds.next() } else { None };
            self.listeners = fds.collect();
            self.opened = true;
        }
        Ok(reply)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // a killer may hold the socket longer than this; the launcher kills at the end of it
        let _ = self.conversation.shutdown(std::net::Shutdown::Both);
    }
}

#[derive(PartialEq, Eq)]
enum Got {
    Bytes,
    Nothing,
    End,
}
