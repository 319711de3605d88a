//! Questions that others have to answer: one after another of the host's servers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::message::{Answer, Query};

const PORT: u16 = 53;
/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Questions at once.
const MOST: usize = 128;
const LARGEST: usize = 64 << 10;

/// Bytes for whom.
pub(super) type Reply = (SocketAddr, Vec<u8>);

#[derive(Debug)]
pub(super) struct Forwarder {
    servers: Vec<IpAddr>,
    allowed: bool,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    asker: SocketAddr,
    question: Vec<u8>,
    socket: UdpSocket,
    server: usize,
    until: Instant,
}

impl Forwarder {
    pub(super) fn new(servers: &[IpAddr]) -> Self {
        Self {
            servers: servers.to_vec(),
            allowed: true,
            waiting: Vec::new(),
        }
    }

    pub(super) fn allow(&mut self, allowed: bool) {
        self.allowed = allowed;
    }

    /// The first server; none when nobody may be asked.
    pub(super) fn first(&self) -> Option<IpAddr> {
        self.servers.first().copied().filter(|_| self.allowed)
    }

    /// Whether somebody was asked.
    pub(super) fn ask(&mut self, question: &[u8], asker: SocketAddr) -> bool {
        if !self.allowed || self.waiting.len() >= MOST {
            return false;
        }
        let asked = self.send(question, 0);
        let is_asked = asked.is_some();
        self.waiting.extend(asked.map(|(server, socket)| Waiting {
            asker,
            question: question.to_vec(),
            socket,
            server,
            until: Instant::now() + PATIENCE,
        }));
        is_asked
    }

    /// Asks the first server from this one on that can be sent anything.
    fn send(&self, question: &[u8], from: usize) -> Option<(usize, UdpSocket)> {
        (from..self.servers.len()).find_map(|at| {
            let server = self.servers[at];
            let here: SocketAddr = match server {
                IpAddr::V4(_) => ([0; 4], 0).into(),
                IpAddr::V6(_) => ([0_u16; 8], 0).into(),
            };
            let socket = UdpSocket::bind(here).ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect((server, PORT)).ok()?;
            socket.send(question).ok()?;
            Some((at, socket))
        })
    }

    pub(super) fn descriptors<'s>(&'s self, list: &mut Vec<(BorrowedFd<'s>, PollFlags)>) {
        let sockets = self.waiting.iter().map(|waiting| &waiting.socket);
        list.extend(sockets.map(|socket| (socket.as_fd(), PollFlags::IN)));
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        let first = self.waiting.iter().map(|waiting| waiting.until).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Answers that came; none when the descriptor is no server's.
    pub(super) fn ready(&mut self, fd: RawFd) -> Option<Vec<Reply>> {
        let at = self
            .waiting
            .iter()
            .position(|waiting| waiting.socket.as_raw_fd() == fd)?;
        let mut buffer = vec![0; LARGEST];
        match self.waiting[at].socket.recv(&mut buffer) {
            Ok(count) if buffer[..count].get(..2) == self.waiting[at].question.get(..2) => {
                let waiting = self.waiting.swap_remove(at);
                buffer.truncate(count);
                Some(vec![(waiting.asker, buffer)])
            }
            Ok(_) => Some(Vec::new()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(Vec::new()),
            // nobody is there: the next one
            Err(_) => Some(self.next(at).into_iter().collect()),
        }
    }

    /// What is said to those who waited long enough.
    pub(super) fn tick(&mut self) -> Vec<Reply> {
        let now = Instant::now();
        let mut replies = Vec::new();
        while let Some(at) = self.waiting.iter().position(|waiting| waiting.until <= now) {
            replies.extend(self.next(at));
        }
        replies
    }

    /// Asks the next server; when there is none, that is the answer.
    fn next(&mut self, at: usize) -> Option<Reply> {
        let mut waiting = self.waiting.swap_remove(at);
        if let Some((server, socket)) = self.send(&waiting.question, waiting.server + 1) {
            waiting.server = server;
            waiting.socket = socket;
            waiting.until = Instant::now() + PATIENCE;
            self.waiting.push(waiting);
            return None;
        }
        let query = Query::parse(&waiting.question)?;
        Some((waiting.asker, query.reply(&Answer::Failed)))
    }
}
