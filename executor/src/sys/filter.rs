//! Loading a seccomp filter and a Landlock scope. What they contain is decided elsewhere.

use rustix::io::Errno;

use super::check;

/// One instruction of classic BPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many to skip when true.
    pub yes: u8,
    /// How many to skip when false.
    pub no: u8,
    /// Operand.
    pub operand: u32,
}

/// Loads a seccomp filter for this thread and all that it becomes. Needs `CAP_SYS_ADMIN` or
/// no_new_privs. See seccomp(2).
///
/// # Errors
/// As seccomp(2).
pub fn load_seccomp(program: &[Instruction]) -> Result<(), Errno> {
    const SET_MODE_FILTER: libc::c_uint = 1;
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const Instruction,
    }
    let program = Program {
        len: u16::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        filter: program.as_ptr(),
    };
    // SAFETY: length and pointer are of one live slice, laid out as sock_filter is
    check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) })
        .map(|_| ())
}

/// The version of Landlock that the kernel has; 0 for none.
pub fn landlock_version() -> i64 {
    const VERSION: libc::c_uint = 1;
    // SAFETY: asking for the version takes no structure
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            VERSION,
        )
    };
    version.max(0)
}

/// Shuts abstract Unix sockets of other domains and signals to them, with a Landlock scope. Gives
/// false when the kernel has none (before 6.12). Needs `CAP_SYS_ADMIN` or no_new_privs.
///
/// # Errors
/// As landlock_restrict_self(2).
pub fn scope_abstract_sockets() -> Result<bool, Errno> {
    const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
    #[repr(C)]
    struct Ruleset {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    if landlock_version() < 6 {
        return Ok(false);
    }
    let ruleset = Ruleset {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: SCOPE_ABSTRACT_UNIX_SOCKET,
    };
    // SAFETY: a live structure of the size given
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const ruleset,
            size_of::<Ruleset>(),
            0,
        )
    })?;
    // SAFETY: takes two numbers; the descriptor is ours alone, and closed once
    let result = check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0) });
    // SAFETY: as above
    unsafe { libc::close(fd as i32) };
    result.map(|_| true)
}
