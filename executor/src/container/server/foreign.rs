//! The pieces of a container's making that are needed when another runtime makes it: its root, and who
//! its process is. Knows no runtime.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, move_mount};

use super::root::Launch;
use super::{child, process, tree};
use crate::container::error::ContainerError;
use crate::container::spec::{ContainerSpec, Process};
use crate::container::user::{self, Identity};

/// The root of a container, mounted nowhere yet. In the launcher's root.
pub(crate) fn root_of(spec: &ContainerSpec, launch: &Launch) -> Result<OwnedFd, ContainerError> {
    tree::overlay(&spec.root, &launch.machine)
}

/// Mounts it on `name`, a directory that is made in the working directory.
pub(crate) fn attach_root(root: &OwnedFd, name: &str) -> Result<(), ContainerError> {
    let failed = ContainerError::prepare("mounting the container's root");
    match rustix::fs::mkdir(name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(failed(error)),
    }
    move_mount(
        root.as_fd(),
        "",
        rustix::fs::CWD,
        name,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(failed)
}

/// Who a process is, by what `read` gives of its files, and its whole environment.
pub(crate) fn identify_by(
    asked: &Process,
    read: &mut dyn FnMut(&str) -> Result<String, ContainerError>,
) -> Result<(Identity, Vec<String>), ContainerError> {
    let who = user::identify(&asked.user, &asked.groups, read)?;
    let passwd = read("/etc/passwd").unwrap_or_default();
    let env = process::complete(asked, &[], &|| user::home(who.uid, &passwd));
    Ok((who, env))
}

/// Puts three descriptors, or none, where a program looks for them.
pub(crate) fn stdio_of(given: &[OwnedFd]) -> Result<(), ContainerError> {
    child::take_stdio(None, given)
}

/// A container's file of users or groups; nothing, if it has none.
pub(crate) fn read_in(root: &OwnedFd, path: &str) -> Result<String, ContainerError> {
    let failed = |cause: Errno| ContainerError::UserFile {
        file: path.to_owned(),
        why: crate::container::error::Errno::from(cause).to_string(),
    };
    let opened = rustix::fs::openat2(
        root,
        path.trim_start_matches('/'),
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    let file = match opened {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(process::USER_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
