//! More processes in the container: asked for by somebody, or checks of its health. Knows not what a
//! check means.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};

use super::serve::{Monitor, Role};
use crate::container::server::enter::{Entry, enter, terminals};
use crate::container::server::report::Report;
use crate::container::server::start::{Terminal, terminal};
use crate::container::spec::Process;
use crate::container::{ContainerError, Status as Wait};
use crate::monitor::error::MonitorError;
use crate::monitor::protocol::Reply;
use crate::monitor::status::State;
use crate::sys::process::wait;

/// One more process.
pub(super) struct Execution {
    pub(super) id: u64,
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) report: Option<Report>,
    /// What a check writes.
    pub(super) output: Option<File>,
    /// For whoever asked, until it is executed.
    terminal: Option<OwnedFd>,
    /// Whether this is a check of the container's health.
    pub(super) is_check: bool,
}

impl Monitor {
    /// Starts one for the connection `link`.
    pub(super) fn exec(
        &mut self,
        link: u64,
        process: &Process,
        privileged: bool,
        size: Option<(u16, u16)>,
        stdio: Vec<OwnedFd>,
    ) -> Result<(), MonitorError> {
        if self.status.state == State::Paused {
            return Err(MonitorError::Paused);
        }
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        let made = match (size, &running.terminals) {
            (None, _) => None,
            (Some(_), Some(terminals)) => Some(terminal(terminals)),
            // another runtime made them
            (Some(_), None) => Some(terminal(&terminals(&running.pidfd)?)),
        };
        let made = made
            .transpose()
            .map_err(MonitorError::refused("a terminal"))?;
        if let (Some(made), Some(size)) = (&made, size) {
            super::output::resize(&made.master, size);
        }
        let mut execution = self.enter(process, privileged, made.as_ref(), &stdio)?;
        execution.terminal = made.map(|made| made.master);
        let id = execution.id;
        self.execs.push(execution);
        if let Some(link) = self.link(link) {
            link.role = Role::Exec(id);
        }
        Ok(())
    }

    /// Ids of those that somebody asked for and that have not ended: the container's, with a number of
    /// their own at the end.
    pub(super) fn executions(&self) -> Vec<String> {
        let asked = self.execs.iter().filter(|execution| !execution.is_check);
        let own = self.life.id.get(..48).unwrap_or(&self.life.id);
        asked.map(|one| format!("{own}{:016x}", one.id)).collect()
    }

    /// Starts a check, whose output is kept.
    pub(super) fn exec_check(&mut self, process: &Process) -> Result<u64, MonitorError> {
        let failed = MonitorError::refused("a pipe");
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
        rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK).map_err(&failed)?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open("/dev/null", flags, Mode::empty()).map_err(&failed)?;
        let twin = rustix::io::fcntl_dupfd_cloexec(&write, 3).map_err(&failed)?;
        let mut execution = self.enter(process, false, None, &[null, write, twin])?;
        execution.output = Some(File::from(read));
        execution.is_check = true;
        let id = execution.id;
        self.execs.push(execution);
        Ok(id)
    }

    fn enter(
        &mut self,
        process: &Process,
        privileged: bool,
        terminal: Option<&Terminal>,
        stdio: &[OwnedFd],
    ) -> Result<Execution, MonitorError> {
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        if running.report.is_some() {
            // its root is not finished
            return Err(MonitorError::NotRunning);
        }
        let entry = Entry {
            spec: &self.life.spec,
            container: &running.pidfd,
            group: running.group.as_ref(),
            process,
            stdio,
            terminal,
            capabilities: running.capabilities,
            filter: running.filter.as_deref(),
            privileged,
        };
        let (pid, pidfd, report) = enter(&entry, &self.launch)?;
        self.next += 1;
        Ok(Execution {
            id: self.next,
            pid,
            pidfd,
            report: Some(report),
            output: None,
            terminal: None,
            is_check: false,
        })
    }

    /// A process said something, or became its program.
    pub(super) fn exec_reported(&mut self, id: u64) {
        let Some(execution) = self.execs.iter_mut().find(|execution| execution.id == id) else {
            return;
        };
        let Some(report) = &mut execution.report else {
            return;
        };
        if !report.read() || report.has_failed() {
            return;
        }
        execution.report = None;
        let terminal = execution.terminal.take();
        if execution.is_check {
            return;
        }
        for (_, link) in &mut self.links {
            if link.role == Role::Exec(id) {
                let reply = Reply::Executed {
                    terminal: terminal.is_some(),
                };
                return link.send(&reply, b"", terminal.into_iter().collect());
            }
        }
    }

    /// A process ended.
    pub(super) fn exec_ended(&mut self, id: u64) {
        let Some(at) = self.execs.iter().position(|execution| execution.id == id) else {
            return;
        };
        let Ok(Some(waited)) = wait(Some(self.execs[at].pid), false) else {
            return;
        };
        // the report of a very short process may be in the same round
        self.exec_reported(id);
        self.exec_output(id);
        let mut execution = self.execs.swap_remove(at);
        let status = match (waited.code, waited.signal) {
            (Some(code), _) => Wait::Code(code),
            (None, signal) => Wait::Signal(signal.unwrap_or(0)),
        };
        let failed = execution.report.take().and_then(|report| report.finish().1);
        if execution.is_check {
            return self.checked(status.code(), failed);
        }
        self.tell_exec(id, status.code(), failed);
    }

    fn tell_exec(&mut self, id: u64, code: i32, failed: Option<ContainerError>) {
        for (_, link) in &mut self.links {
            if link.role == Role::Exec(id) {
                match failed {
                    Some(error) => link.send(&Reply::Failed(error.into()), b"", Vec::new()),
                    None => link.send(&Reply::Ended(code), b"", Vec::new()),
                }
                link.role = Role::Orders;
                return;
            }
        }
    }

    /// A check wrote something.
    pub(super) fn exec_output(&mut self, id: u64) {
        let Some(execution) = self.execs.iter_mut().find(|execution| execution.id == id) else {
            return;
        };
        if let (Some(output), Some(checks)) = (&mut execution.output, &mut self.checks)
            && checks.hear(output)
        {
            execution.output = None;
        }
    }

    /// Signals a process for whoever asked for it.
    pub(super) fn signal_exec(&self, id: u64, signal: i32) {
        let execution = self.execs.iter().find(|execution| execution.id == id);
        if let (Some(execution), Some(signal)) = (execution, Signal::from_named_raw(signal)) {
            // it fails only for one that has just ended
            let _ = pidfd_send_signal(execution.pidfd.as_fd(), signal);
        }
    }

    /// The container ended: the kernel has ended, or ends, whatever was in it.
    pub(super) fn drop_execs(&mut self) {
        for execution in std::mem::take(&mut self.execs) {
            let _ = pidfd_send_signal(execution.pidfd.as_fd(), Signal::KILL);
            let waited = wait(Some(execution.pid), true).ok().flatten();
            if execution.is_check {
                continue;
            }
            let code = waited.and_then(|waited| waited.code);
            self.tell_exec(execution.id, code.unwrap_or(128 + libc::SIGKILL), None);
        }
        if let Some(checks) = &mut self.checks {
            checks.abandon();
        }
    }
}
