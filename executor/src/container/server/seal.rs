//! Executing this program again from a file that nobody can write to. A container's first process
//! is this program until it becomes another, and `#!/proc/self/exe` makes it this program once
//! more: who is root in there must not reach the host's file through /proc/self/exe
//! (CVE-2019-5736). Knows no container.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::tree;

/// The argument after the hidden one, of a program that is executed from such a file already.
pub(crate) const SEALED: &str = "sealed";

/// This program as a file that nobody can write to. Who executes that itself spares it from executing
/// once more: `/proc/self/fd/N`, and [`SEALED`] after the hidden argument.
pub(crate) fn program() -> std::io::Result<OwnedFd> {
    mounted().or_else(|_| copied())
}

/// Executes this program again with the hidden argument that it has, and one more. Comes back only with
/// the reason why not.
pub(crate) fn execute_again(hidden: &str) -> std::io::Result<()> {
    let program = program()?;
    let (hidden, sealed) = (CString::new(hidden)?, CString::new(SEALED)?);
    let args = [c"rbuild", &hidden, &sealed];
    let nothing: [&CStr; 0] = [];
    let Err(error) = nix::unistd::fexecve(program, &args, &nothing);
    Err(error.into())
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
