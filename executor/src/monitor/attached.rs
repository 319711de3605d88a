//! The stream of a container's output to whoever is attached, and of input to the container.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use super::error::MonitorError;
use super::protocol::{Order, Reply};
use crate::container::{Stream, wire};

/// What an attached program hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The container wrote something. With a terminal all of it is [`Stream::Out`].
    Output(Stream, Vec<u8>),
    /// The container ended with this code, as a shell reports it; all its output was before this.
    Ended(i32),
    /// The monitor is gone without a word of the container's end.
    Lost,
}

/// A connection that hears a container. Dropping it is no harm to the container.
#[derive(Debug)]
pub struct Attached {
    socket: Arc<UnixStream>,
    turn: Arc<Mutex<()>>,
    /// What was written before the program was known to be executed.
    early: VecDeque<(Stream, Vec<u8>)>,
}

/// The way in, for another thread.
#[derive(Debug, Clone)]
pub struct Input {
    socket: Arc<UnixStream>,
    turn: Arc<Mutex<()>>,
}

impl Attached {
    /// Blocks until something happens.
    ///
    /// # Errors
    /// [`MonitorError::Protocol`].
    #[expect(
        clippy::should_implement_trait,
        reason = "whoever hears an end or an error goes another way than on to the next"
    )]
    pub fn next(&mut self) -> Result<Event, MonitorError> {
        if let Some((stream, bytes)) = self.early.pop_front() {
            return Ok(Event::Output(stream, bytes));
        }
        let frame = match wire::receive(&self.socket) {
            Ok(Some(frame)) => frame,
            // whoever hangs up, or is killed, resets the connection
            Ok(None) | Err(_) => return Ok(Event::Lost),
        };
        match frame.parse()? {
            Reply::Output(stream) => Ok(Event::Output(stream, frame.blob)),
            Reply::Ended(code) => Ok(Event::Ended(code)),
            Reply::Failed(error) => Err(error),
            other => Err(MonitorError::unexpected(&other)),
        }
    }

    /// The way in.
    pub fn input(&self) -> Input {
        Input {
            socket: Arc::clone(&self.socket),
            turn: Arc::clone(&self.turn),
        }
    }

    /// That of a connection on which the monitor knows it.
    pub(super) fn new(socket: UnixStream, early: Vec<(Stream, Vec<u8>)>) -> Self {
        Self {
            socket: Arc::new(socket),
            turn: Arc::default(),
            early: early.into(),
        }
    }
}

impl Input {
    /// Ends the connection, with no harm to the container: [`Attached::next`] then gives
    /// [`Event::Lost`].
    pub fn hang_up(&self) {
        // it fails only for a connection that is gone
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    /// Passes bytes to the container's standard input, or types them on its terminal. Blocks when the
    /// container does not read.
    ///
    /// # Errors
    /// [`MonitorError::Ended`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), MonitorError> {
        self.send(&Order::Input, bytes)
            .map_err(|_| MonitorError::Ended)
    }

    /// Says that no more input follows.
    pub fn end(&self) {
        self.say(&Order::InputEnd);
    }

    /// Sets the size of the container's terminal.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.say(&Order::Resize { rows, columns });
    }

    /// Sends a signal to the container's first process.
    pub fn signal(&self, signal: i32) {
        self.say(&Order::Signal {
            signal,
            quiet: true,
        });
    }

    /// Says that whoever attached at the start removes the container himself, now that it ended:
    /// [`Life::afterwards`](super::Life) is then left undone. Call it after [`Event::Ended`].
    pub fn take_over(&self) {
        self.say(&Order::TakeOver);
    }

    /// Says something to which there is no reply; a monitor that is gone does not miss it.
    fn say(&self, order: &Order) {
        let _ = self.send(order, b"");
    }

    fn send(&self, order: &Order, blob: &[u8]) -> std::io::Result<()> {
        // frames of several threads must not be mixed
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        wire::send(&self.socket, order, &[blob], &[])
    }
}
