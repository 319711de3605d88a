//! The monitor's own process: pid 1 of a pid namespace with a root that holds only what its container
//! is made of, and one loop. Knows no command line and no row of the store.

mod checks;
mod execs;
mod foreign;
mod freeze;
mod hooks;
mod lifecycle;
mod link;
mod log;
mod orders;
mod output;
mod policy;
mod serve;
mod setup;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::error::MonitorError;
use super::protocol::{Opening, Reply};
use crate::container::ContainerError;
use crate::container::server::inherited_socket;
use crate::container::spec::Namespace;
use crate::container::wire;
use crate::sys::process::{Cloned, clone_process, close_all_but, exit_now, reset_signals};

/// The monitor's entry point: call it before anything else when the first argument is
/// [`MONITOR_ARGUMENT`](super::MONITOR_ARGUMENT), in a process with one thread whose standard input
/// is the socket. Gives the exit code of the process that goes away at once; the one that stays never
/// comes back.
pub fn monitor_main() -> i32 {
    reset_signals();
    let _ = close_all_but(&[]);
    // no terminal of whoever started it may end it
    let _ = rustix::process::setsid();
    let Ok(socket) = inherited_socket() else {
        return 1;
    };
    let opening = match receive(&socket) {
        Ok(opening) => opening,
        Err(error) => return refuse(&socket, error),
    };
    let outside = match setup::Outside::keep(&opening.0.life) {
        Ok(outside) => outside,
        Err(error) => return refuse(&socket, error),
    };
    let mut flags = libc::CLONE_NEWNS;
    if opening.0.life.spec.namespaces.pid == Namespace::Own {
        flags |= libc::CLONE_NEWPID;
    }
    match clone_process(flags as u64, None) {
        Ok(Cloned::Child) => {
            let (opening, joined) = opening;
            exit_now(inside(socket, opening, joined, outside))
        }
        Ok(Cloned::Parent { .. }) => 0,
        Err(cause) => {
            let error = ContainerError::Namespaces {
                cause: cause.into(),
                cure: crate::namespace::cure(),
            };
            refuse(&socket, error.into())
        }
    }
}

fn receive(socket: &UnixStream) -> Result<(Opening, Vec<OwnedFd>), MonitorError> {
    let frame = wire::receive(socket)
        .map_err(MonitorError::refused("the opening"))?
        .ok_or(MonitorError::Ended)?;
    Ok((frame.parse()?, frame.fds))
}

/// Answers the opening with an error. Gives the exit code.
fn refuse(socket: &UnixStream, error: MonitorError) -> i32 {
    let _ = wire::send(socket, &Reply::Failed(error), &[], &[]);
    1
}

fn inside(
    socket: UnixStream,
    opening: Opening,
    joined: Vec<OwnedFd>,
    outside: setup::Outside,
) -> i32 {
    // lent to the loop, so that a failed start can be told
    let spare = socket.as_fd().try_clone_to_owned().map(UnixStream::from);
    match setup::monitor(socket, opening, joined) {
        Ok(mut monitor) => {
            monitor.host_mounts = outside.mounts();
            let removed = monitor.serve();
            let network = monitor.network.take();
            // with its lock: the container is over, and whoever waits for that goes on
            drop(monitor);
            // the kernel needs tens of milliseconds to remove an interface
            drop(network);
            if !removed {
                outside.execute();
            }
            0
        }
        Err(error) => match spare {
            Ok(socket) => refuse(&socket, error),
            Err(_) => 1,
        },
    }
}
