//! Network namespaces, held by descriptors only: nothing of them has a name on the host.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::container::wire;
use crate::sys::process::{Cloned, clone_process, exit_now, raise_loopback, wait};

/// The network namespace of this thread.
pub(super) fn own() -> Result<OwnedFd, Errno> {
    rustix::fs::open(
        "/proc/thread-self/ns/net",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Makes a new one with loopback up and IPv6 shut, and leaves this thread where it was.
pub(super) fn make() -> Result<OwnedFd, Errno> {
    if !crate::namespace::is_initial() {
        return by_child();
    }
    let here = own()?;
    unshare()?;
    let made = prepared();
    enter(&here)?;
    made
}

/// An ordinary user may leave the host's network and not come back to it: a child makes the namespace
/// and hands it over. This process must have one thread.
fn by_child() -> Result<OwnedFd, Errno> {
    let number =
        |error: std::io::Error| Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
    let (ours, theirs) = UnixStream::pair().map_err(number)?;
    match clone_process(0, None)? {
        Cloned::Child => {
            let made = unshare().and_then(|()| prepared());
            let (answer, fds) = match &made {
                Ok(namespace) => (0, vec![namespace.as_fd()]),
                Err(error) => (error.raw_os_error(), Vec::new()),
            };
            let sent = wire::send(&theirs, &answer, &[], &fds);
            exit_now(i32::from(sent.is_err()))
        }
        Cloned::Parent { pid, .. } => {
            drop(theirs);
            let frame = wire::receive(&ours).map_err(number)?;
            wait(Some(pid), true)?;
            let frame = frame.ok_or(Errno::PIPE)?;
            match frame.parse::<i32>() {
                Ok(0) => frame.fds.into_iter().next().ok_or(Errno::PIPE),
                Ok(error) => Err(Errno::from_raw_os_error(error)),
                Err(_) => Err(Errno::PROTO),
            }
        }
    }
}

fn unshare() -> Result<(), Errno> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|error| Errno::from_raw_os_error(error as i32))
}

/// The namespace of this thread, which is new.
fn prepared() -> Result<OwnedFd, Errno> {
    raise_loopback()?;
    no_ipv6();
    own()
}

/// Does something inside `namespace`, and comes back.
pub(super) fn within<T, E: From<Errno>>(
    namespace: impl AsFd,
    act: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let here = own()?;
    enter(namespace)?;
    let result = act();
    enter(here)?;
    result
}

fn enter(namespace: impl AsFd) -> Result<(), Errno> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

/// Shuts IPv6 in the namespace of this thread, as docker does in a network that has none. A kernel
/// without it has nothing to shut.
fn no_ipv6() {
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}
