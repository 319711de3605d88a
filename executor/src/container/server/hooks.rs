//! Hooks from the side of the container's own process: it waits until those of the host are done, and
//! calls its own right before its program. Knows not what they are for.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::container::error::{ContainerError, Errno as Number};
use crate::container::hook::{Hook, Told};

/// Those that are called in the container.
#[derive(Clone, Copy)]
pub(crate) struct Inside<'a> {
    pub(crate) hooks: &'a [Hook],
    pub(crate) told: Told<'a>,
}

/// Says that all is made, and waits for leave to go on.
pub(super) fn wait_at(gate: &OwnedFd) -> Result<(), ContainerError> {
    let failed = ContainerError::prepare("waiting for hooks");
    rustix::io::write(gate, &[1]).map_err(&failed)?;
    let mut byte = [0];
    match rustix::io::read(gate, &mut byte) {
        Ok(1) => Ok(()),
        // whoever would read this has given up already
        Ok(_) => Err(failed(Errno::CANCELED)),
        Err(error) => Err(failed(error)),
    }
}

/// Calls them, one after the other, as the container's user and with no more rights than its program.
pub(super) fn call(inside: &Inside<'_>) -> Result<(), ContainerError> {
    let pid = rustix::process::getpid().as_raw_pid();
    for hook in inside.hooks {
        one(hook, &inside.told, pid).map_err(|why| ContainerError::Hook {
            stage: "startContainer".to_owned(),
            path: hook.path.display().to_string(),
            why,
        })?;
    }
    Ok(())
}

fn one(hook: &Hook, told: &Told<'_>, pid: i32) -> Result<(), String> {
    let state = told.file("created", Some(pid));
    let state = state.map_err(|error| Number::from(error).to_string())?;
    let words = hook.words();
    let mut command = Command::new(&hook.path);
    if let Some(name) = words.first() {
        command.arg0(name);
    }
    let variables = hook.env.iter().filter_map(|text| text.split_once('='));
    command
        .args(words.iter().skip(1))
        .env_clear()
        .envs(variables)
        .stdin(state)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (ended, status) = wait(&mut child, hook).map_err(|error| error.to_string())?;
    match status {
        _ if !ended => Err(hook.late()),
        status if status.success() => Ok(()),
        status => Err(status.to_string()),
    }
}

/// Whether it ended in time, and how; one that did not is killed.
fn wait(child: &mut Child, hook: &Hook) -> std::io::Result<(bool, ExitStatus)> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let ended = ended_in_time(&pidfd, hook.timeout);
    if !ended {
        child.kill()?;
    }
    Ok((ended, child.wait()?))
}

/// Waits for the end of a process, so many seconds at most.
pub(crate) fn ended_in_time(pidfd: &OwnedFd, seconds: Option<u32>) -> bool {
    let wait = seconds.map(|seconds| Timespec {
        tv_sec: i64::from(seconds),
        tv_nsec: 0,
    });
    loop {
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut fds, wait.as_ref()) {
            Err(Errno::INTR) => {}
            ready => return ready != Ok(0),
        }
    }
}
