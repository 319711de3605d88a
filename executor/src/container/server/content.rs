//! Files and sockets that exist for one container alone, on memory that is never swapped out:
//! secrets, hosts, resolv.conf, an agent's socket. Knows not which of them is which.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::tree;
use crate::container::error::ContainerError;
use crate::container::plan::{content_name, socket_name};
use crate::container::spec::{ContainerSpec, MountSource};

/// What was made for a container.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// A detached file system that holds it; none when nothing was asked for.
    pub(super) tree: Option<OwnedFd>,
    /// The sockets' listeners, by index.
    pub(super) listeners: Vec<OwnedFd>,
}

/// Makes what the mounts of `spec` ask for.
pub(super) fn make(spec: &ContainerSpec, contents: &[&[u8]]) -> Result<Made, ContainerError> {
    let wanted = spec.mounts.iter().filter(|mount| {
        matches!(
            mount.source,
            MountSource::Content { .. } | MountSource::Socket { .. }
        )
    });
    let mut made = Made::default();
    let mut listeners = Vec::new();
    for mount in wanted {
        let failed = |cause: Errno| ContainerError::Mount {
            what: "a file made for this container".to_owned(),
            target: mount.target.clone(),
            cause: cause.into(),
        };
        let tree = match made.tree.take() {
            Some(tree) => tree,
            None => memory().map_err(failed)?,
        };
        match mount.source {
            MountSource::Content {
                index,
                uid,
                gid,
                mode,
            } => {
                let bytes = contents.get(index).ok_or_else(|| ContainerError::Invalid {
                    why: format!("content {index} of `{}` was not sent", mount.target),
                })?;
                file(&tree, &content_name(index), bytes, (uid, gid, mode)).map_err(failed)?;
            }
            MountSource::Socket {
                index,
                uid,
                gid,
                mode,
            } => {
                let listener = socket(&tree, &socket_name(index), (uid, gid, mode));
                listeners.push((index, listener.map_err(failed)?));
            }
            _ => {}
        }
        made.tree = Some(tree);
    }
    listeners.sort_by_key(|(index, _)| *index);
    made.listeners = listeners.into_iter().map(|(_, fd)| fd).collect();
    Ok(made)
}

fn memory() -> Result<OwnedFd, Errno> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    tree::filesystem("ramfs", &[("mode", "755")], attributes)
}

fn file(
    tree: &OwnedFd,
    name: &str,
    bytes: &[u8],
    (uid, gid, mode): (u32, u32, u32),
) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // the same content may be mounted twice
    let file = match rustix::fs::openat(tree, name, flags, Mode::from_raw_mode(0o600)) {
        Err(Errno::EXIST) => return Ok(()),
        file => file?,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = rustix::io::write(&file, rest)?;
        rest = &rest[count..];
    }
    owned(uid, gid, |uid, gid| rustix::fs::fchown(&file, uid, gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
}

fn socket(tree: &OwnedFd, name: &str, (uid, gid, mode): (u32, u32, u32)) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}/{name}", tree.as_raw_fd());
    let listener = UnixListener::bind(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    owned(uid, gid, |uid, gid| {
        rustix::fs::chownat(tree, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
    })?;
    rustix::fs::chmodat(tree, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    Ok(listener.into())
}

/// Changes the owner, unless it is root already.
fn owned(
    uid: u32,
    gid: u32,
    change: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if uid == 0 && gid == 0 {
        return Ok(());
    }
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    change(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}
