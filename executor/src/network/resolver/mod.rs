//! The resolver of a container: 127.0.0.11 inside its network namespace. It knows the containers on
//! its networks by name and passes the rest to the host's servers. Never blocks; its owner polls.

mod forward;
mod message;
mod names;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;

use super::error::NetworkError;
use super::filter::{Chain, Expression, Hook, Side, Table};
use super::namespace::within;
use super::plan::{Interface, Protocol};
use super::proxy::Stream;
use forward::Forwarder;
use message::{Answer, Query};
use names::Names;

/// Where a container asks.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// The largest question over TCP.
const LARGEST: usize = 4096;
/// Conversations over TCP at once.
const MOST: usize = 32;
const TURNS: usize = 32;

/// A container's resolver.
#[derive(Debug)]
pub(super) struct Resolver {
    datagrams: UdpSocket,
    listener: TcpListener,
    callers: Vec<TcpStream>,
    streams: Vec<Stream>,
    forwarder: Forwarder,
    names: Names,
    /// Leads what is for port 53 to the ports above, which leaves 53 to the container.
    _table: Option<Table>,
}

impl Resolver {
    /// Opens it in `namespace`. `servers` know what it does not.
    pub(super) fn open(
        namespace: &OwnedFd,
        servers: &[IpAddr],
        store: &Path,
        container: &str,
    ) -> Result<Self, NetworkError> {
        let failed = NetworkError::refused;
        let number = |error: std::io::Error| {
            rustix::io::Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))
        };
        let open = |port| -> Result<_, rustix::io::Errno> {
            within(namespace, || {
                let datagrams = UdpSocket::bind((ADDRESS, port)).map_err(number)?;
                let listener = TcpListener::bind((ADDRESS, port)).map_err(number)?;
                datagrams.set_nonblocking(true).map_err(number)?;
                listener.set_nonblocking(true).map_err(number)?;
                Ok((datagrams, listener))
            })
        };
        let (datagrams, listener) = open(0).map_err(failed("the resolver's sockets"))?;
        let ports = [
            datagrams.local_addr().map(|at| at.port()),
            listener.local_addr().map(|at| at.port()),
        ];
        let [Ok(udp), Ok(tcp)] = ports else {
            return Err(failed("the resolver's ports")(rustix::io::Errno::IO));
        };
        let table = within(namespace, || {
            let mut table = Table::open("rbuild-names")?;
            table.set(&[redirects(udp, tcp)])?;
            Ok::<_, rustix::io::Errno>(table)
        });
        // without rules it has to stand where it is asked
        let (datagrams, listener, table) = match table {
            Ok(table) => (datagrams, listener, Some(table)),
            Err(_) => {
                let (datagrams, listener) = open(PORT).map_err(failed("the resolver's sockets"))?;
                (datagrams, listener, None)
            }
        };
        Ok(Self {
            datagrams,
            listener,
            callers: Vec::new(),
            streams: Vec::new(),
            forwarder: Forwarder::new(servers),
            names: Names::new(store, container),
            _table: table,
        })
    }

    pub(super) fn moved(&mut self, store: &Path) {
        self.names.moved(store);
    }

    /// Knows the containers on these networks from now on; passes nothing on when all of them are
    /// internal.
    pub(super) fn turn(&mut self, interfaces: &[Interface]) {
        self.names.turn(interfaces);
        let is_open = interfaces.iter().any(|interface| !interface.internal);
        self.forwarder.allow(is_open);
    }

    pub(super) fn descriptors<'s>(&'s self, list: &mut Vec<(BorrowedFd<'s>, PollFlags)>) {
        list.push((self.datagrams.as_fd(), PollFlags::IN));
        if self.callers.len() + self.streams.len() < MOST {
            list.push((self.listener.as_fd(), PollFlags::IN));
        }
        list.extend(
            self.callers
                .iter()
                .map(|caller| (caller.as_fd(), PollFlags::IN)),
        );
        for stream in &self.streams {
            stream.descriptors(list);
        }
        self.forwarder.descriptors(list);
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.forwarder.timeout()
    }

    /// Asks the next server where one does not answer.
    pub(super) fn tick(&mut self) {
        for (asker, bytes) in self.forwarder.tick() {
            let _ = self.datagrams.send_to(&bytes, asker);
        }
    }

    /// Whether `fd` is one of its own.
    pub(super) fn ready(&mut self, fd: RawFd) -> bool {
        if self.datagrams.as_raw_fd() == fd {
            self.questions();
        } else if self.listener.as_raw_fd() == fd {
            if let Ok((caller, _)) = self.listener.accept()
                && caller.set_nonblocking(true).is_ok()
            {
                self.callers.push(caller);
            }
        } else if let Some(at) = self.callers.iter().position(|one| one.as_raw_fd() == fd) {
            let caller = self.callers.swap_remove(at);
            self.hear(caller);
        } else if let Some(at) = self.streams.iter().position(|stream| stream.has(fd)) {
            if !self.streams[at].pump() {
                self.streams.swap_remove(at);
            }
        } else if let Some(answered) = self.forwarder.ready(fd) {
            for (asker, bytes) in answered {
                let _ = self.datagrams.send_to(&bytes, asker);
            }
        } else {
            return false;
        }
        true
    }

    fn questions(&mut self) {
        let mut buffer = [0; LARGEST];
        for _ in 0..TURNS {
            match self.datagrams.recv_from(&mut buffer) {
                Ok((count, asker)) => self.question(&buffer[..count], asker),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn question(&mut self, bytes: &[u8], asker: SocketAddr) {
        // what is no question gets no answer
        let Some(query) = Query::parse(bytes) else {
            return;
        };
        let answer = match self.names.answer(&query) {
            Some(answer) => answer,
            None if self.forwarder.ask(bytes, asker) => return,
            None => Answer::Failed,
        };
        // who asked and went away needs no answer
        let _ = self.datagrams.send_to(&query.reply(&answer), asker);
    }

    /// One question over TCP. What is not known here goes to a server, and so does the rest of the
    /// conversation.
    fn hear(&mut self, mut caller: TcpStream) {
        let mut buffer = [0; LARGEST];
        let count = match caller.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.callers.push(caller);
                return;
            }
            Err(_) => return,
        };
        let bytes = &buffer[..count];
        let known = bytes.get(2..).and_then(|body| {
            let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
            let query = Query::parse(body.get(..length)?)?;
            Some(query.reply(&self.names.answer(&query)?))
        });
        if let Some(reply) = known {
            let mut framed = (reply.len() as u16).to_be_bytes().to_vec();
            framed.extend(reply);
            if caller.write_all(&framed).is_ok() {
                self.callers.push(caller);
            }
            return;
        }
        if let Some(IpAddr::V4(server)) = self.forwarder.first() {
            let to = SocketAddrV4::new(server, PORT);
            self.streams
                .extend(Stream::new(caller, to, bytes.to_vec()).ok());
        }
    }
}

/// What is sent to port 53 of the address goes to these.
fn redirects(udp: u16, tcp: u16) -> Chain {
    let rule = |protocol, port| {
        vec![
            Expression::Address(Side::To, ADDRESS, 32),
            Expression::Port(protocol, PORT),
            Expression::Redirect(ADDRESS, port),
        ]
    };
    Chain {
        hook: Hook::Departure,
        rules: vec![rule(Protocol::Udp, udp), rule(Protocol::Tcp, tcp)],
    }
}
