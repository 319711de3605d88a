//! The stream of a container's output to whoever is attached, and of input to the container.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::error::MonitorError;
use crate::container::Stream;

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
}

/// The way in: of another thread's use.
#[derive(Debug, Clone)]
pub struct Input(Arc<UnixStream>);

impl Attached {
    /// Blocks until something happens.
    ///
    /// # Errors
    /// [`MonitorError::Protocol`].
    pub fn next(&mut self) -> Result<Event, MonitorError> {
        todo!()
    }

    /// The way in.
    pub fn input(&self) -> Input {
        Input(Arc::clone(&self.socket))
    }

    /// Ends the connection, from any thread that has the input: [`next`](Self::next) then gives
    /// [`Event::Lost`].
    pub fn hang_up(input: &Input) {
        let _ = input.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Input {
    /// Passes bytes to the container's standard input, or types them on its terminal. Blocks when the
    /// container does not read.
    ///
    /// # Errors
    /// [`MonitorError::Ended`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), MonitorError> {
        let _ = bytes;
        todo!()
    }

    /// Says that no more input follows.
    pub fn end(&self) {
        todo!()
    }

    /// Sets the size of the container's terminal.
    pub fn resize(&self, rows: u16, columns: u16) {
        let _ = (rows, columns);
        todo!()
    }

    /// Sends a signal to the container's first process.
    pub fn signal(&self, signal: i32) {
        let _ = signal;
        todo!()
    }

    /// Says that whoever attached at the start removes the container himself, now that it ended:
    /// [`Life::afterwards`](super::Life) is then left undone. Call it after [`Event::Ended`].
    pub fn take_over(&self) {
        todo!()
    }
}
