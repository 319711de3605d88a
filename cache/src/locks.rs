//! Open-file-description locks on ranges of a file, see fcntl(2): they go with the descriptor, and
//! nobody can leave one behind. Knows no meaning of any.

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// Locks `length` bytes (0: to the end) for writing, if nobody else has any of them.
pub(crate) fn try_lock(file: &File, at: u64, length: u64) -> nix::Result<bool> {
    match fcntl(
        file,
        FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, at, length)),
    ) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Locks them for reading, which others may do too.
pub(crate) fn share(file: &File, at: u64, length: u64) -> nix::Result<()> {
    fcntl(
        file,
        FcntlArg::F_OFD_SETLK(&range(libc::F_RDLCK, at, length)),
    )
    .map(drop)
}

/// Whether somebody else has a lock on any of them.
pub(crate) fn is_locked(file: &File, at: u64, length: u64) -> nix::Result<bool> {
    let mut asked = range(libc::F_WRLCK, at, length);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked))?;
    Ok(i32::from(asked.l_type) != libc::F_UNLCK)
}

fn range(kind: i32, at: u64, length: u64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: at as libc::off_t,
        l_len: length as libc::off_t,
        l_pid: 0,
    }
}
