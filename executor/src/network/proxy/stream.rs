//! Two connections, and what is read from one written to the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, acceptfrom_with, connect, socket_with};

/// Bytes that wait for one side at most.
const BUFFER: usize = 32 << 10;
/// Turns of a connection before others have theirs.
const TURNS: usize = 16;

/// Two connections that are one to those at their ends.
#[derive(Debug)]
pub(in crate::network) struct Stream {
    caller: TcpStream,
    callee: TcpStream,
    connected: bool,
    there: Way,
    back: Way,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    buffer: Vec<u8>,
    written: usize,
    ended: bool,
    told: bool,
}

impl Stream {
    /// Takes up the next caller at a door, and leads it to `to`; none when it went away, or when there
    /// is nobody to lead it to, and then it is turned away.
    pub(super) fn accept(door: &OwnedFd, to: Option<SocketAddrV4>) -> Option<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (caller, _) = acceptfrom_with(door, flags).ok()?;
        Self::new(caller.into(), to?, Vec::new()).ok()
    }

    /// Leads a caller, whose connection does not block, to `to`; `first` was read of it already.
    pub(in crate::network) fn new(
        caller: TcpStream,
        to: SocketAddrV4,
        first: Vec<u8>,
    ) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let callee = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        let connected = match connect(&callee, &to) {
            Ok(()) => true,
            Err(Errno::INPROGRESS) => false,
            Err(error) => return Err(error),
        };
        Ok(Self {
            caller,
            callee: callee.into(),
            connected,
            there: Way {
                buffer: first,
                ..Way::default()
            },
            back: Way::default(),
        })
    }

    pub(in crate::network) fn has(&self, fd: RawFd) -> bool {
        self.caller.as_raw_fd() == fd || self.callee.as_raw_fd() == fd
    }

    /// A side from which nothing is wanted is not polled, or its end would be heard again and again.
    pub(in crate::network) fn descriptors<'s>(
        &'s self,
        list: &mut Vec<(BorrowedFd<'s>, PollFlags)>,
    ) {
        let mut add = |side: &'s TcpStream, from: &Way, to: &Way| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, from.wants_bytes());
            flags.set(PollFlags::OUT, to.has_bytes());
            if !flags.is_empty() {
                list.push((side.as_fd(), flags));
            }
        };
        if self.connected {
            add(&self.caller, &self.there, &self.back);
            add(&self.callee, &self.back, &self.there);
        } else {
            list.push((self.callee.as_fd(), PollFlags::OUT));
        }
    }

    /// Moves what can be moved now; false when all is done or one side broke off.
    pub(in crate::network) fn pump(&mut self) -> bool {
        if !self.connected {
            match self.callee.take_error() {
                Ok(None) => self.connected = true,
                _ => return false,
            }
        }
        let there = self.there.pump(&self.caller, &self.callee);
        let back = self.back.pump(&self.callee, &self.caller);
        there && back && !(self.there.told && self.back.told)
    }
}

impl Way {
    fn has_bytes(&self) -> bool {
        self.written < self.buffer.len()
    }

    fn wants_bytes(&self) -> bool {
        !self.ended && !self.has_bytes()
    }

    fn pump(&mut self, mut from: &TcpStream, mut to: &TcpStream) -> bool {
        for _ in 0..TURNS {
            if self.wants_bytes() {
                self.buffer.resize(BUFFER, 0);
                self.written = 0;
                match from.read(&mut self.buffer) {
                    Ok(count) => {
                        self.buffer.truncate(count);
                        self.ended = count == 0;
                    }
                    Err(error) => {
                        self.buffer = Vec::new();
                        return would_wait(&error);
                    }
                }
            }
            if self.has_bytes() {
                match to.write(&self.buffer[self.written..]) {
                    Ok(count) => self.written += count,
                    Err(error) => return would_wait(&error),
                }
            }
            if self.ended && !self.has_bytes() {
                if !self.told {
                    self.told = true;
                    // a side that is gone needs not be told
                    let _ = to.shutdown(Shutdown::Write);
                }
                return true;
            }
        }
        true
    }
}

fn would_wait(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
