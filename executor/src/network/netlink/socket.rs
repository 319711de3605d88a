//! A netlink socket: requests with their answers, transactions of the packet filter, lists.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::message::{Message, split};

/// The largest piece that the kernel hands out.
const PIECE: usize = 64 << 10;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;

/// Whom a socket talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Family {
    /// Links, addresses, routes.
    Route,
    /// The packet filter.
    Filter,
}

/// A socket in the network namespace in which it was opened.
#[derive(Debug)]
pub(in crate::network) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// Opens one.
    pub(in crate::network) fn open(family: Family) -> Result<Self, Errno> {
        let protocol = match family {
            // its number is 0, which is no protocol to the crate, and the default to the kernel
            Family::Route => None,
            Family::Filter => Some(netlink::NETFILTER),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends requests one after another; the first that is refused ends it. They must not ask for lists.
    pub(in crate::network) fn request(&mut self, messages: Vec<Message>) -> Result<(), Errno> {
        for message in messages {
            self.send(vec![message])?;
            self.answers(|_, _| ())?;
        }
        Ok(())
    }

    /// Sends messages that count together or not at all: a transaction of the packet filter, its
    /// first and last message included.
    pub(in crate::network) fn transaction(&mut self, messages: Vec<Message>) -> Result<(), Errno> {
        self.send(messages)?;
        self.answers(|_, _| ())
    }

    /// Sends a request and gives what follows the header of each answer to it.
    pub(in crate::network) fn ask(&mut self, message: Message) -> Result<Vec<Vec<u8>>, Errno> {
        let mut found = Vec::new();
        self.send(vec![message])?;
        self.answers(|_, body| found.push(body.to_vec()))?;
        Ok(found)
    }

    fn send(&mut self, messages: Vec<Message>) -> Result<(), Errno> {
        let mut bytes = Vec::new();
        for message in messages {
            self.sequence += 1;
            bytes.extend(message.finish(self.sequence));
        }
        rustix::net::send(&self.fd, &bytes, SendFlags::empty()).map(drop)
    }

    /// Reads until there is nothing more; gives the first error in it.
    fn answers(&mut self, mut each: impl FnMut(u16, &[u8])) -> Result<(), Errno> {
        let mut buffer = vec![0; PIECE];
        let mut result = Ok(());
        loop {
            let flags = RecvFlags::DONTWAIT;
            let (length, _) = match rustix::net::recv(&self.fd, buffer.as_mut_slice(), flags) {
                Err(Errno::AGAIN) => return result,
                Err(Errno::INTR) => continue,
                got => got?,
            };
            let mut rest = &buffer[..length];
            while let Some(received) = split(&mut rest) {
                let number = received
                    .body
                    .get(..4)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map_or(0, i32::from_ne_bytes);
                match received.kind {
                    ERROR | DONE if number < 0 => {
                        result = result.and(Err(Errno::from_raw_os_error(-number)));
                    }
                    ERROR | DONE => {}
                    // of an earlier request that failed in the middle
                    _ if received.sequence != self.sequence => {}
                    kind => each(kind, received.body),
                }
            }
        }
    }
}
