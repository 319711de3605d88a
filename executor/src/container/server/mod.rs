//! The launcher's own process: single-threaded, pid 1 of a pid namespace, with a root that holds
//! only what containers are made of. It ends when its socket ends, and the kernel then ends every
//! container, however the program that asked for them died. Knows no build.

mod child;
mod content;
pub(crate) mod enter;
pub(crate) mod foreign;
pub(crate) mod hooks;
mod init;
mod mounts;
mod process;
pub(crate) mod report;
pub(crate) mod root;
pub(crate) mod seal;
mod serve;
pub(crate) mod start;
mod sysctl;
mod target;
mod tree;

pub(crate) use serve::stubs;
pub use sysctl::SysctlNamespace;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::OFlags;

use super::error::ContainerError;
use super::wire::{self, Setup};
use crate::sys::process::{Cloned, clone_process, close_all_but, exit_now, reset_signals, wait};

/// The launcher's entry point: call it before anything else when the first argument is
/// [`LAUNCHER_ARGUMENT`](super::LAUNCHER_ARGUMENT), in a process with one thread whose standard
/// input is the socket. Gives the exit code.
pub fn launcher_main() -> i32 {
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    reset_signals();
    let _ = close_all_but(&[]);
    // the terminal's Ctrl-C is for the program that asked, which then says what to kill
    let _ = rustix::process::setsid();
    let control = match inherited_socket() {
        Ok(control) => control,
        Err(_) => return 1,
    };
    match clone_process(flags as u64, None) {
        Ok(Cloned::Child) => exit_now(inside(control)),
        Ok(Cloned::Parent { pid, .. }) => {
            // the end of the inner process must be the end of the socket
            drop(control);
            match wait(Some(pid), true) {
                Ok(Some(waited)) => waited.code.unwrap_or(1),
                _ => 1,
            }
        }
        Err(cause) => refuse(
            &control,
            ContainerError::Namespaces {
                cause: cause.into(),
                cure: crate::namespace::cure(),
            },
        ),
    }
}

/// Answers the setup with an error. Gives the exit code.
fn refuse(control: &UnixStream, error: ContainerError) -> i32 {
    let refused: Result<(), _> = Err(error);
    let _ = wire::receive(control);
    let _ = wire::send(control, &refused, &[], &[]);
    1
}

/// Takes the socket off standard input, and puts nothing there.
pub(crate) fn inherited_socket() -> std::io::Result<UnixStream> {
    let control = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, rustix::fs::Mode::empty())?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    Ok(control.into())
}

fn inside(control: UnixStream) -> i32 {
    let Ok(Some(frame)) = wire::receive(&control) else {
        return 1;
    };
    let ready = frame
        .parse::<Setup>()
        .and_then(|setup| root::enter(&setup).map(|launch| (setup, launch)));
    let (answer, launch) = match ready {
        Ok((_, launch)) => (Ok(()), Some(launch)),
        Err(error) => (Err(error), None),
    };
    if wire::send(&control, &answer, &[], &[]).is_err() {
        return 1;
    }
    match launch {
        Some(launch) => serve::serve(&control, launch),
        None => 1,
    }
}

/// A copy of a descriptor that is closed when another program is executed.
fn duplicate(fd: impl AsFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3)
}
