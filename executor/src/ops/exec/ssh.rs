//! Relays a step's connections to the user's SSH agent.
//!
//! The step has a socket of its own; its listener is here, outside, so that the agent's own socket
//! is never inside. What is said on it is not looked at.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};

/// A relay; ends, with all its connections, when dropped.
pub struct Relay {
    /// Its other end is polled by the thread: closing it is the request to stop.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Begins to accept on `listener`.
    pub fn start(listener: OwnedFd, agent: PathBuf) -> io::Result<Self> {
        let listener = UnixListener::from(listener);
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::Builder::new()
            .name("ssh-agent".to_owned())
            .spawn(move || accept(&listener, &stopped, &agent))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A relay that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &UnixListener, stopped: &UnixStream, agent: &Path) {
    let mut open: Vec<UnixStream> = Vec::new();
    loop {
        let mut fds = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
        if !fds[1].revents().is_empty() {
            break;
        }
        if fds[0].revents().is_empty() {
            continue;
        }
        // An agent that is gone shows as a connection that closes at once, as it would without us.
        if let Ok((inside, _)) = listener.accept()
            && let Ok(outside) = UnixStream::connect(agent)
            && relay(&inside, &outside).is_ok()
        {
            open.push(inside);
            open.push(outside);
        }
        open.retain(|stream| stream.take_error().is_ok_and(|error| error.is_none()));
    }
    for stream in open {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Copies both ways in two threads until either side ends.
fn relay(inside: &UnixStream, outside: &UnixStream) -> io::Result<()> {
    for (from, to) in [(inside, outside), (outside, inside)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        std::thread::Builder::new()
            .name("ssh-agent".to_owned())
            .spawn(move || {
                // However it ends, the other side hears of it.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
                let _ = from.shutdown(Shutdown::Read);
            })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_is_said_inside_is_heard_outside_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, agent) = (dir.path().join("inside"), dir.path().join("agent"));
        let listener = UnixListener::bind(&inside).unwrap();
        let server = UnixListener::bind(&agent).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut question = [0; 4];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(&question).unwrap();
        });
        let relay = Relay::start(listener.into(), agent).unwrap();
        let mut step = UnixStream::connect(&inside).unwrap();
        step.write_all(b"ping").unwrap();
        let mut answer = Vec::new();
        step.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"ping");
        answering.join().unwrap();
        drop(relay);
        assert!(UnixStream::connect(&inside).is_err());
    }
}
