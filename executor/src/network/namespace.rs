//! Network namespaces, held by descriptors only: nothing of them has a name on the host.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The network namespace of this thread.
pub(super) fn own() -> Result<OwnedFd, Errno> {
    rustix::fs::open(
        "/proc/thread-self/ns/net",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Makes a new one, and leaves this thread where it was.
pub(super) fn make() -> Result<OwnedFd, Errno> {
    let here = own()?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    let made = own();
    enter(&here)?;
    made
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
pub(super) fn no_ipv6() {
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}
