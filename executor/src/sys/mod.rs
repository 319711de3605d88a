//! The system calls that neither nix nor rustix has; the only unsafe code of the project.
//!
//! Every function here is safe to call: what a kernel refuses comes back as an error number, and
//! nothing keeps a pointer. Nothing here decides anything.
#![expect(
    unsafe_code,
    reason = "raw system calls; each block says why it is sound"
)]

pub mod filter;
pub mod memory;
pub mod mount;
pub mod process;

use rustix::io::Errno;

/// The calling thread's error number, after a call gave -1.
fn last() -> Errno {
    // SAFETY: the location is this thread's and always valid
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// Turns the result of `libc::syscall` into ours.
fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 { Err(last()) } else { Ok(result) }
}
