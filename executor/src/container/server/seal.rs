//! This program, executed from a file that nobody can write to. A container's first process
//! is this program until it becomes another, and `#!/proc/self/exe` makes it this program once
//! more: who is root in there must not reach the host's file through /proc/self/exe
//! (CVE-2019-5736). Knows no container.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::tree;

/// Starts this program with a hidden argument, `socket` as its standard input, and no variables.
pub(crate) fn start(hidden: &str, socket: UnixStream, stderr: Stdio) -> std::io::Result<Child> {
    let program = mounted().or_else(|_| copied())?;
    Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0("rbuild")
        .arg(hidden)
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(socket))
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
}

/// A read-only mount of this program's file, attached nowhere.
fn mounted() -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let running = rustix::fs::open("/proc/self/exe", flags, Mode::empty())?;
    let program = match tree::copy(&running, "", false) {
        Ok(copy) => copy,
        // executed by a process of another mount namespace: the same file has a name in this one
        Err(_) => {
            let name = rustix::fs::readlinkat(CWD, "/proc/self/exe", Vec::new())?;
            let named = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
            let (a, b) = (rustix::fs::fstat(&running)?, rustix::fs::fstat(&named)?);
            if (a.st_dev, a.st_ino) != (b.st_dev, b.st_ino) {
                return Err(Errno::STALE);
            }
            tree::copy(named, "", false)?
        }
    };
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    tree::restrict(&program, attributes, false)?;
    Ok(program)
}

/// A copy of this program in memory, which cannot be changed any more.
fn copied() -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let copy = File::from(rustix::fs::memfd_create("rbuild", flags)?);
    std::io::copy(&mut File::open("/proc/self/exe")?, &mut &copy)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}
