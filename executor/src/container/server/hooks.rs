//! Hooks from the side of the container's own process: it waits until those of the host are done, and
//! calls its own right before its program. Knows not what they are for.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::container::error::ContainerError;
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
    let state = inside.told.state("created", Some(pid));
    for hook in inside.hooks {
        one(hook, &state).map_err(|why| ContainerError::Hook {
            stage: "startContainer".to_owned(),
            path: hook.path.display().to_string(),
            why,
        })?;
    }
    Ok(())
}

fn one(hook: &Hook, state: &[u8]) -> Result<(), String> {
    let words = hook.words();
    let mut command = Command::new(&hook.path);
    if let Some(name) = words.first() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    let variables = hook.env.iter().filter_map(|text| text.split_once('='));
    command
        .args(words.iter().skip(1))
        .env_clear()
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // it need not read it
        let _ = stdin.write_all(state);
    }
    let status = wait(&mut child, hook.timeout).map_err(|error| error.to_string())?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
        None => Err(format!(
            "it took more than {} s",
            hook.timeout.unwrap_or_default()
        )),
    }
}

/// How it ended; none when it took too long, and was killed.
fn wait(child: &mut Child, seconds: Option<u32>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = seconds else {
        return child.wait().map(Some);
    };
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let wait = Timespec {
        tv_sec: i64::from(seconds),
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    if poll(&mut fds, Some(&wait))? == 0 {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    }
    child.wait().map(Some)
}
