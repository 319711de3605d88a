//! Pausing: by the container's control group where it has one, else by stopping every process. Knows
//! no order.

use std::os::fd::AsFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::lifecycle::host_pid;
use super::serve::Monitor;
use crate::container::spec::Namespace;
use crate::monitor::error::MonitorError;
use crate::monitor::status::State;

/// How often processes are looked for that were made while others were stopped.
const ROUNDS: usize = 100;

impl Monitor {
    /// Pauses the container, or lets it go on.
    pub(super) fn pause(&mut self, pause: bool) -> Result<(), MonitorError> {
        match (self.status.state, pause) {
            (State::Running, true) => self.freeze(true)?,
            (State::Paused, false) => self.freeze(false)?,
            (State::Paused, true) => return Err(MonitorError::Paused),
            (State::Running, false) => return Err(MonitorError::NotPaused),
            _ => return Err(MonitorError::NotRunning),
        }
        Ok(())
    }

    pub(super) fn freeze(&mut self, frozen: bool) -> Result<(), MonitorError> {
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        match &running.group {
            Some(group) => group
                .freeze(frozen)
                .map_err(MonitorError::refused("the control group's freezer"))?,
            None => self.stop_all(frozen)?,
        }
        self.status.state = if frozen {
            State::Paused
        } else {
            State::Running
        };
        self.write_status();
        Ok(())
    }

    /// Without a control group: every process gets SIGSTOP, until there are no new ones. They see it
    /// when they go on, as a shell's job does.
    fn stop_all(&self, stop: bool) -> Result<(), MonitorError> {
        let signal = if stop { Signal::STOP } else { Signal::CONT };
        let mut known = Vec::new();
        for _ in 0..ROUNDS {
            let new: Vec<i32> = self
                .inner_processes()?
                .into_iter()
                .filter(|pid| !known.contains(pid))
                .collect();
            if new.is_empty() {
                return Ok(());
            }
            for pid in &new {
                if let Some(pid) = Pid::from_raw(*pid)
                    && let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
                {
                    let _ = pidfd_send_signal(pidfd, signal);
                }
            }
            known.extend(new);
        }
        Ok(())
    }

    /// Process ids of everything in the container, as the monitor sees them.
    fn inner_processes(&self) -> Result<Vec<i32>, MonitorError> {
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        if self.life.spec.namespaces.pid != Namespace::Own {
            let mut pids = match &running.group {
                Some(group) => group
                    .processes()
                    .map_err(MonitorError::refused("the control group"))?,
                None => vec![running.pid],
            };
            if !pids.contains(&running.pid) {
                pids.push(running.pid);
            }
            return Ok(pids);
        }
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let container = namespace(running.pid);
        let entries = std::fs::read_dir("/proc").map_err(MonitorError::refused("the processes"))?;
        Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != 1 && namespace(*pid) == container)
            .collect())
    }

    /// Process ids of everything in the container, as the host sees them.
    pub(super) fn processes(&self) -> Result<Vec<i32>, MonitorError> {
        let host = |pid: i32| {
            let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            host_pid(&self.host_proc, pidfd.as_fd())
        };
        Ok(self
            .inner_processes()?
            .into_iter()
            .filter_map(host)
            .collect())
    }
}
