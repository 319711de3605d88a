//! One connection to a monitor: frames in and out without ever blocking. Knows not what they mean.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::Serialize;

use super::serve::Role;
use crate::container::wire::{Frame, HEADER};

/// The most descriptors with one frame to a monitor that runs.
const MAX_FDS: usize = 8;
/// The largest frame to a monitor that runs: arguments and an environment fit.
const MAX_FRAME: usize = 8 << 20;
/// How much is read at once.
const PIECE: usize = 16 << 10;

/// A connection.
pub(super) struct Link {
    socket: UnixStream,
    unread: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    unsent: VecDeque<Piece>,
    pending: usize,
    ended: bool,
    pub(super) role: Role,
}

/// Bytes to be sent, with the descriptors that go with the first of them.
struct Piece {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

impl Link {
    /// A connection on `socket`, which no longer blocks.
    pub(super) fn new(socket: UnixStream) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            unread: Vec::new(),
            fds: VecDeque::new(),
            unsent: VecDeque::new(),
            pending: 0,
            ended: false,
            role: Role::default(),
        })
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the other side is gone, or spoke nonsense.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes that wait to be sent.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Reads what there is, at most one piece, and gives the frames that are whole.
    pub(super) fn receive(&mut self) -> Vec<Frame> {
        let mut buffer = [0; PIECE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                self.fds.extend(received);
            }
        }
        match got.map(|got| got.bytes) {
            Ok(0) => self.ended = true,
            Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.ended = true,
        }
        let mut frames = Vec::new();
        while let Some(frame) = self.frame() {
            frames.push(frame);
        }
        frames
    }

    fn frame(&mut self) -> Option<Frame> {
        let header = self.unread.get(..HEADER)?;
        let [body, blob, fds] = [0, 4, 8].map(|at| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u32::from_le_bytes(bytes) as usize
        });
        if body > MAX_FRAME || blob > MAX_FRAME || fds > MAX_FDS {
            self.ended = true;
            return None;
        }
        let end = HEADER + body + blob;
        if self.unread.len() < end || self.fds.len() < fds {
            return None;
        }
        let frame = Frame {
            body: self.unread[HEADER..HEADER + body].to_vec(),
            blob: self.unread[HEADER + body..end].to_vec(),
            fds: self.fds.drain(..fds).collect(),
        };
        self.unread.drain(..end);
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
        Some(frame)
    }

    /// Sends a frame, now as far as that goes, and the rest when [`flush`](Self::flush) is called.
    pub(super) fn send<T: Serialize>(&mut self, body: &T, blob: &[u8], fds: Vec<OwnedFd>) {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER + body.len() + blob.len());
        for number in [body.len(), blob.len(), fds.len()] {
            bytes.extend_from_slice(&(number as u32).to_le_bytes());
        }
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(blob);
        self.pending += bytes.len();
        self.unsent.push_back(Piece {
            bytes,
            sent: 0,
            fds,
        });
        self.flush();
    }

    /// Sends what waits, as far as that goes.
    pub(super) fn flush(&mut self) {
        while let Some(piece) = self.unsent.front_mut() {
            let fds: Vec<BorrowedFd<'_>> = piece.fds.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !fds.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&fds));
            }
            let sent = rustix::net::sendmsg(
                &self.socket,
                &[IoSlice::new(&piece.bytes[piece.sent..])],
                &mut control,
                SendFlags::NOSIGNAL,
            );
            match sent {
                Ok(count) => {
                    piece.fds.clear();
                    piece.sent += count;
                    self.pending -= count;
                    if piece.sent == piece.bytes.len() {
                        self.unsent.pop_front();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.ended = true;
                    self.unsent.clear();
                    self.pending = 0;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::wire;

    #[test]
    fn frames_cross_in_pieces_and_never_block() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut link = Link::new(here).unwrap();
        assert!(link.receive().is_empty() && !link.has_ended());
        let big = vec![7; 1 << 20];
        let fd = OwnedFd::from(tempfile::tempfile().unwrap());
        link.send(&"first", &big, vec![fd]);
        link.send(&"second", b"", Vec::new());
        assert!(link.pending() > 0, "more than a socket holds");
        let reader = std::thread::spawn(move || {
            let first = wire::receive(&there).unwrap().unwrap();
            let second = wire::receive(&there).unwrap().unwrap();
            wire::send(&there, &"answer", &[b"blob"], &[first.fds[0].as_fd()]).unwrap();
            (first.blob.len(), second.parse::<String>().unwrap())
        });
        while link.pending() > 0 {
            link.flush();
            std::thread::yield_now();
        }
        assert_eq!(reader.join().unwrap(), (1 << 20, "second".to_owned()));
        // what comes with descriptors is read apart from what follows it
        let mut frames = link.receive();
        while frames.is_empty() && !link.has_ended() {
            frames = link.receive();
        }
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].parse::<String>().unwrap(), "answer");
        assert_eq!(
            (frames[0].blob.as_slice(), frames[0].fds.len()),
            (&b"blob"[..], 1)
        );
        link.receive();
        assert!(link.has_ended());
    }

    #[test]
    fn nonsense_ends_a_connection() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut link = Link::new(here).unwrap();
        std::io::Write::write_all(&mut &there, &[0xff; HEADER]).unwrap();
        assert!(link.receive().is_empty() && link.has_ended());
    }
}
