//! What leads from a port of the host to a container where the kernel does not: from loopback, from
//! IPv6, and for whatever passes by our rules. Never blocks; its owner polls.

mod datagrams;
mod stream;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::PollFlags;

use super::doors::Door;
use super::plan::{Protocol, Publish};
use datagrams::Datagrams;
pub(super) use stream::Stream;

/// Connections at once; beyond, callers wait in the door.
const MOST: usize = 400;

/// The doors of a container, and who went through.
#[derive(Debug, Default)]
pub(super) struct Proxy {
    doors: Vec<Door>,
    datagrams: Vec<Datagrams>,
    streams: Vec<Stream>,
    /// The container's address; none while it has none.
    target: Option<Ipv4Addr>,
}

impl Proxy {
    /// Leads from `doors` to `target`.
    pub(super) fn new(doors: Vec<Door>, target: Option<Ipv4Addr>) -> Self {
        let (doors, datagrams): (Vec<_>, Vec<_>) = doors
            .into_iter()
            .partition(|door| door.publish.protocol == Protocol::Tcp);
        Self {
            doors,
            datagrams: datagrams.into_iter().map(Datagrams::new).collect(),
            streams: Vec::new(),
            target,
        }
    }

    /// What is published, with the ports that were found.
    pub(super) fn published(&self) -> Vec<Publish> {
        let doors = self.doors.iter().map(|door| door.publish);
        let mut all: Vec<_> = doors
            .chain(self.datagrams.iter().map(Datagrams::publish))
            .collect();
        all.sort();
        all
    }

    /// Leads to another address from now on.
    pub(super) fn turn(&mut self, target: Option<Ipv4Addr>) {
        self.target = target;
    }

    pub(super) fn descriptors<'s>(&'s self, list: &mut Vec<(BorrowedFd<'s>, PollFlags)>) {
        if self.streams.len() < MOST {
            list.extend(
                self.doors
                    .iter()
                    .map(|door| (door.socket.as_fd(), PollFlags::IN)),
            );
        }
        for stream in &self.streams {
            stream.descriptors(list);
        }
        for datagrams in &self.datagrams {
            datagrams.descriptors(list);
        }
    }

    /// Whether there is anything that [`tick`](Self::tick) will forget.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.datagrams.iter().filter_map(Datagrams::timeout).min()
    }

    pub(super) fn tick(&mut self) {
        self.datagrams.iter_mut().for_each(Datagrams::tick);
    }

    /// Whether `fd` is one of its own.
    pub(super) fn ready(&mut self, fd: RawFd) -> bool {
        if let Some(door) = self.doors.iter().find(|door| door.socket.as_raw_fd() == fd) {
            let to = self
                .target
                .map(|target| SocketAddrV4::new(target, door.publish.port));
            let stream = Stream::accept(&door.socket, to);
            self.streams.extend(stream);
            return true;
        }
        if let Some(at) = self.streams.iter().position(|stream| stream.has(fd)) {
            if !self.streams[at].pump() {
                self.streams.swap_remove(at);
            }
            return true;
        }
        let target = self.target;
        self.datagrams
            .iter_mut()
            .any(|datagrams| datagrams.ready(fd, target))
    }
}
