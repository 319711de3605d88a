//! Datagrams that come to a port of the host, and the answers to them.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::network::doors::Door;
use crate::network::plan::Publish;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Senders at once; the one that was silent longest goes.
const MOST: usize = 256;
/// Datagrams of one sender before others have their turn.
const TURNS: usize = 32;
const LARGEST: usize = 64 << 10;

/// One door for datagrams.
#[derive(Debug)]
pub(super) struct Datagrams {
    door: UdpSocket,
    publish: Publish,
    senders: HashMap<SocketAddr, Sender>,
}

#[derive(Debug)]
struct Sender {
    socket: UdpSocket,
    heard: Instant,
}

impl Datagrams {
    pub(super) fn new(door: Door) -> Self {
        Self {
            door: door.socket.into(),
            publish: door.publish,
            senders: HashMap::new(),
        }
    }

    pub(super) fn publish(&self) -> Publish {
        self.publish
    }

    pub(super) fn descriptors<'s>(&'s self, list: &mut Vec<(BorrowedFd<'s>, PollFlags)>) {
        list.push((self.door.as_fd(), PollFlags::IN));
        let sockets = self.senders.values().map(|sender| &sender.socket);
        list.extend(sockets.map(|socket| (socket.as_fd(), PollFlags::IN)));
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        let oldest = self.senders.values().map(|sender| sender.heard).min()?;
        Some((oldest + PATIENCE).saturating_duration_since(Instant::now()))
    }

    pub(super) fn tick(&mut self) {
        self.senders
            .retain(|_, sender| sender.heard.elapsed() < PATIENCE);
    }

    pub(super) fn ready(&mut self, fd: RawFd, target: Option<Ipv4Addr>) -> bool {
        let mut buffer = vec![0; LARGEST];
        if self.door.as_raw_fd() == fd {
            for _ in 0..TURNS {
                match self.door.recv_from(&mut buffer) {
                    Ok((count, from)) => self.pass(from, &buffer[..count], target),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            return true;
        }
        let found = self
            .senders
            .iter_mut()
            .find(|(_, sender)| sender.socket.as_raw_fd() == fd);
        let Some((to, sender)) = found else {
            return false;
        };
        for _ in 0..TURNS {
            match sender.socket.recv(&mut buffer) {
                Ok(count) => {
                    sender.heard = Instant::now();
                    // a sender that is gone loses its answer
                    let _ = self.door.send_to(&buffer[..count], to);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // nothing more, or nobody listens inside: the sender hears nothing
                Err(_) => break,
            }
        }
        true
    }

    fn pass(&mut self, from: SocketAddr, bytes: &[u8], target: Option<Ipv4Addr>) {
        let Some(target) = target else { return };
        if !self.senders.contains_key(&from) {
            if self.senders.len() >= MOST
                && let Some(oldest) = self
                    .senders
                    .iter()
                    .min_by_key(|(_, sender)| sender.heard)
                    .map(|(from, _)| *from)
            {
                self.senders.remove(&oldest);
            }
            let Ok(socket) = connected(SocketAddr::from((target, self.publish.port))) else {
                return;
            };
            let heard = Instant::now();
            self.senders.insert(from, Sender { socket, heard });
        }
        if let Some(sender) = self.senders.get_mut(&from) {
            sender.heard = Instant::now();
            let _ = sender.socket.send(bytes);
        }
    }
}

/// A socket for datagrams to and from `to` that does not block.
fn connected(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(to)?;
    Ok(socket)
}
