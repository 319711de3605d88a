//! The small init of `--init`: pid 1 that passes signals on, reaps what is left to it, and ends as
//! the program does. Knows no container.

use std::os::fd::AsRawFd;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::report::Reporter;
use crate::container::error::ContainerError;
use crate::sys::process::{Cloned, clone_process, close_all_but, exit_now, wait};

/// Makes another process for the program and comes back in it; the calling one stays as init.
pub(super) fn stay_in_front(reporter: &Reporter) -> Result<(), ContainerError> {
    // blocked before the clone, so that no signal is lost between
    let all = SigSet::all();
    let blocked = |error: nix::Error| ContainerError::Prepare {
        what: "signals".to_owned(),
        cause: crate::container::error::Errno(error as i32),
    };
    all.thread_block().map_err(blocked)?;
    // whoever looks, the program too, sees that this is not the program, which gets its own name
    let _ = rustix::thread::set_name(c"rbuild-init");
    match clone_process(0, None).map_err(ContainerError::prepare("cloning under init"))? {
        Cloned::Child => {
            all.thread_unblock().map_err(blocked)?;
            let _ = rustix::process::setpgid(None, None);
            Ok(())
        }
        Cloned::Parent { pid, .. } => {
            let _ = reporter.pipe().as_raw_fd();
            // the report must end when the program is executed, not when init ends
            let _ = close_all_but(&[]);
            watch(pid, &all)
        }
    }
}

fn watch(program: i32, all: &SigSet) -> ! {
    loop {
        if let Ok(signal) = all.wait()
            && signal != Signal::SIGCHLD
        {
            let _ = kill(Pid::from_raw(program), signal);
        }
        while let Ok(Some(waited)) = wait(None, false) {
            if waited.pid == program {
                let by_signal = waited.signal.map(|signal| 128 + signal);
                exit_now(waited.code.or(by_signal).unwrap_or(1));
            }
        }
    }
}
