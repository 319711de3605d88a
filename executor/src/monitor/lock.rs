//! The lock of a container: held as long as its monitor lives, and by nothing that outlives it. See
//! fcntl(2) on open file description locks. Knows no container.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

/// The lock of one container. Released when dropped, or by the kernel.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Lock {
    /// The file's name in a container's folder.
    pub const FILE: &str = "lock";

    /// Takes it; none when somebody has it.
    ///
    /// # Errors
    /// When the folder is not there, or as fcntl(2).
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        let file = open(folder)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole())) {
            Ok(_) => Ok(Some(Self(file))),
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until nobody has it, and takes it; none when the folder is gone, or was never locked.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn wait(folder: &Path) -> io::Result<Option<Self>> {
        let found = File::options()
            .read(true)
            .write(true)
            .open(folder.join(Self::FILE));
        let file = match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        loop {
            match fcntl(&file, FcntlArg::F_OFD_SETLKW(&whole())) {
                Ok(_) => return Ok(Some(Self(file))),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether somebody has it, without ever standing in the way of somebody who takes it.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn is_held(folder: &Path) -> io::Result<bool> {
        let file = open(folder)?;
        let mut found = whole();
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut found))?;
        Ok(found.l_type != libc::F_UNLCK as libc::c_short)
    }
}

fn open(folder: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(folder.join(Lock::FILE))
}

fn whole() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Lock::is_held(folder.path()).unwrap());
        let lock = Lock::take(folder.path()).unwrap().unwrap();
        assert!(Lock::is_held(folder.path()).unwrap());
        assert!(Lock::take(folder.path()).unwrap().is_none());
        drop(lock);
        assert!(!Lock::is_held(folder.path()).unwrap());
        drop(Lock::wait(folder.path()).unwrap());
        assert!(Lock::take(Path::new("/nonexistent")).is_err());
    }
}
