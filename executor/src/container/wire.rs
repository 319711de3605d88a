//! Frames on the launcher's sockets: a JSON body, raw bytes beside it that are never part of the
//! body (secrets), and descriptors. Knows nothing of what they mean.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::ContainerError;
use super::exit::Exit;
use super::spec::ContainerSpec;

/// The most descriptors in one frame; the kernel refuses more than 253.
const MAX_FDS: usize = 240;
/// The largest body or blob: a frame beyond it is no frame of ours.
const MAX_BYTES: usize = 256 << 20;
pub(crate) const HEADER: usize = 12;

/// First frame on the control socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The store's root directory.
    pub(crate) store_root: std::path::PathBuf,
    /// Host files and directories that containers may mount.
    pub(crate) host_sources: Vec<std::path::PathBuf>,
    /// What no other launcher is called.
    pub(crate) name: String,
    /// Whether the launcher is the first process of a pid namespace.
    pub(crate) own_pids: bool,
    /// Whether capabilities count in the first user namespace.
    pub(crate) root: bool,
}

/// A container asked for: first frame of a conversation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What to start.
    pub(crate) spec: ContainerSpec,
    /// Lengths of the contents in the blob.
    pub(crate) contents: Vec<usize>,
    /// Lengths of the `NAME=value` of the secret variables that follow them.
    pub(crate) secret_env: Vec<usize>,
    /// How many standard descriptors come with the frame: none, or three.
    pub(crate) stdio: usize,
    /// How many descriptors of namespaces follow those.
    pub(crate) joined: usize,
    /// Whether only its root is wanted, sent over the first standard descriptor.
    pub(crate) hold: bool,
    /// Whether to say when the program was executed.
    pub(crate) announce: bool,
}

/// What the caller says later in a conversation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Sends a signal to the container's first process.
    Signal(i32),
}

/// What the launcher says in a conversation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Descriptors: the terminal's other side first if there is one, then the listeners.
    Opened {
        /// Whether there is a terminal.
        terminal: bool,
    },
    /// The program was executed.
    Started {
        /// Its process id, as the launcher sees it.
        pid: i32,
    },
    /// Nothing follows.
    Ended(Result<Exit, ContainerError>),
}

/// What was received.
pub(crate) struct Frame {
    pub(crate) body: Vec<u8>,
    pub(crate) blob: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Frame {
    /// The body as a value.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ContainerError> {
        serde_json::from_slice(&self.body).map_err(|error| ContainerError::Protocol {
            why: error.to_string(),
        })
    }
}

/// Sends one frame, whole.
pub(crate) fn send<T: Serialize>(
    socket: &UnixStream,
    body: &T,
    blobs: &[&[u8]],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(body).map_err(io::Error::other)?;
    let blob_len: usize = blobs.iter().map(|blob| blob.len()).sum();
    if fds.len() > MAX_FDS || body.len() > MAX_BYTES || blob_len > MAX_BYTES {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    let mut first = Vec::with_capacity(HEADER + body.len());
    for number in [body.len(), blob_len, fds.len()] {
        first.extend_from_slice(&(number as u32).to_le_bytes());
    }
    first.extend_from_slice(&body);

    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    let sent = retry(|| {
        rustix::net::sendmsg(
            socket.as_fd(),
            &[IoSlice::new(&first)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
    })?;
    let mut rest = socket;
    rest.write_all(&first[sent..])?;
    for blob in blobs {
        rest.write_all(blob)?;
    }
    Ok(())
}

/// Receives one frame; none at the end of the socket.
pub(crate) fn receive(socket: &UnixStream) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    let mut fds = Vec::new();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = retry(|| {
        rustix::net::recvmsg(
            socket.as_fd(),
            &mut [IoSliceMut::new(&mut header)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?
    .bytes;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if got == 0 {
        return Ok(None);
    }
    let mut rest = socket;
    rest.read_exact(&mut header[got..])?;
    let [body_len, blob_len, fd_count] = [0, 4, 8].map(|at| {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        u32::from_le_bytes(bytes) as usize
    });
    if body_len > MAX_BYTES || blob_len > MAX_BYTES || fd_count != fds.len() {
        return Err(io::Error::from_raw_os_error(libc::EBADMSG));
    }
    let mut body = vec![0; body_len];
    rest.read_exact(&mut body)?;
    let mut blob = vec![0; blob_len];
    rest.read_exact(&mut blob)?;
    Ok(Some(Frame { body, blob, fds }))
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_crosses_with_its_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(b"inside").unwrap();
        let big = vec![7; 1 << 20];
        let sender = std::thread::spawn(move || {
            send(&here, &"body", &[b"se", b"cret", &big], &[file.as_fd()]).unwrap();
        });
        let frame = receive(&there).unwrap().unwrap();
        sender.join().unwrap();
        assert_eq!(frame.parse::<String>().unwrap(), "body");
        assert_eq!(&frame.blob[..6], b"secret");
        assert_eq!(frame.blob.len(), 6 + (1 << 20));
        assert_eq!(frame.fds.len(), 1);
        assert_eq!(rustix::fs::fstat(&frame.fds[0]).unwrap().st_size, 6);
        assert!(receive(&there).unwrap().is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&[0xff; HEADER]).unwrap();
        assert!(receive(&there).is_err());
        let (mut here, there) = UnixStream::pair().unwrap();
        here.write_all(&[1]).unwrap();
        drop(here);
        assert!(receive(&there).is_err());
    }
}
