//! Processes: clone3, wait4, signals, descriptors, keyrings, loopback. Decides nothing.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;

use super::{check, last};

/// libc's is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a clone this is.
#[derive(Debug)]
pub enum Cloned {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The new process's id.
        pid: i32,
        /// A descriptor of it.
        pidfd: OwnedFd,
    },
}

/// Makes a copy of this process, which must have one thread, in new namespaces (`CLONE_NEW*` in
/// `flags`), and in the control group of `cgroup`. See clone3(2).
///
/// # Errors
/// As clone3(2); `EBUSY` when this process has more than one thread.
pub fn clone_process(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    if !is_single_threaded() {
        return Err(Errno::BUSY);
    }
    let mut pidfd: RawFd = -1;
    // SAFETY: all zero is a valid clone_args
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has its own copy of the memory and goes on on this very
    // stack; there is one thread, so no lock is held by one that the child lacks
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut args,
            size_of::<libc::clone_args>(),
        )
    })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    Ok(Cloned::Parent {
        pid: pid as i32,
        // SAFETY: the kernel has just made it, and nobody else knows it
        pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
    })
}

/// Whether this process has one thread: a clone of it can do all that it can.
pub fn is_single_threaded() -> bool {
    rustix::fs::stat("/proc/self/task").map_or(true, |stat| stat.st_nlink <= 3)
}

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub struct Waited {
    /// Its process id.
    pub pid: i32,
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal, if one killed it.
    pub signal: Option<i32>,
    /// Time in user mode, of it and of all that it waited for.
    pub user: Duration,
    /// Time in the kernel.
    pub system: Duration,
    /// Largest resident set in bytes.
    pub peak_memory: u64,
}

/// Reaps a child: `pid`, or any when none is given. Without `block`, gives none when no child has
/// ended. See wait4(2).
///
/// # Errors
/// `ECHILD` when there is none.
pub fn wait(pid: Option<i32>, block: bool) -> Result<Option<Waited>, Errno> {
    let mut status = 0;
    // SAFETY: all zero is a valid rusage
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = if block { 0 } else { libc::WNOHANG };
    let reaped = loop {
        // SAFETY: both pointers are to live values of the right type
        let result =
            unsafe { libc::wait4(pid.unwrap_or(-1), &raw mut status, flags, &raw mut usage) };
        if result >= 0 {
            break result;
        }
        match last() {
            Errno::INTR => {}
            error => return Err(error),
        }
    };
    let time =
        |t: libc::timeval| Duration::new(t.tv_sec.max(0) as u64, (t.tv_usec.max(0) * 1000) as u32);
    Ok((reaped != 0).then(|| Waited {
        pid: reaped,
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        peak_memory: usage.ru_maxrss.max(0) as u64 * 1024,
    }))
}

/// Sends a signal of any number, those of real time too; see pidfd_send_signal(2).
///
/// # Errors
/// As pidfd_send_signal(2).
pub fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: no structure goes along
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<u8>(),
            0,
        )
    })
    .map(|_| ())
}

/// Ends this process at once: no destructor, no buffer, no handler.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: does not return
    unsafe { libc::_exit(code) }
}

/// Makes every signal have its default effect, and unblocks them all.
pub fn reset_signals() {
    // as the kernel has it: handler, flags, restorer, mask. libc hides two signals, and they may be
    // ignored all the same
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours; KILL and STOP refuse, as they should
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: an empty set, made by libc itself
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Closes every descriptor of `first..=last`. Whoever owns one of them must not use it again: it
/// is for a process that is about to execute another program.
///
/// # Errors
/// As close_range(2).
pub fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: takes three numbers
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(|_| ())
}

/// Closes every descriptor from 3 up but those in `keep`.
///
/// # Errors
/// As close_range(2).
pub fn close_all_but(keep: &[RawFd]) -> Result<(), Errno> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .filter(|fd| *fd >= 3)
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

/// Joins a new, empty session keyring; see keyctl(2).
///
/// # Errors
/// `ENOSYS` in a kernel without keys, `EDQUOT` when the user has too many.
pub fn join_new_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
            0,
            0,
            0,
        )
    })
    .map(|_| ())
}

/// Raises the loopback interface of the current network namespace; see netdevice(7).
///
/// # Errors
/// As socket(2) and ioctl(2).
pub fn raise_loopback() -> Result<(), Errno> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    // SAFETY: all zero is a valid ifreq
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a valid ifreq with a name that ends
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(libc::c_long::from(result)).map(|_| ())
}

/// Adds `capabilities` (a mask) to the ambient set, out of which they reach the next program.
///
/// # Errors
/// As prctl(2).
pub fn raise_ambient(capability: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers
    let result = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            libc::c_ulong::from(capability),
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    };
    check(libc::c_long::from(result)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_runner_has_threads_and_is_not_cloned() {
        // whatever runs this, it waits in another thread
        let here = || (is_single_threaded(), clone_process(0, None).unwrap_err());
        let (single, error) = std::thread::spawn(here).join().unwrap();
        assert!(!single);
        assert_eq!(error, Errno::BUSY);
    }
}
