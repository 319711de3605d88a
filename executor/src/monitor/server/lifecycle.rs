//! A container's way from start to end and back again: started, stopped by order, ended, started again
//! by its policy. Knows neither a connection's frames nor a log's lines.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};

use super::serve::{Monitor, Role};
use super::setup::unstarted;
use crate::container::capability::Capabilities;
use crate::container::cgroup::{self, Group};
use crate::container::hook::Told;
use crate::container::server::hooks::Inside;
use crate::container::server::report::Report;
use crate::container::server::start::{Asked, Cloning, Terminal, begin};
use crate::container::server::stubs;
use crate::container::spec::Namespace;
use crate::container::{ContainerError, Status as Wait, Stream};
use crate::monitor::error::MonitorError;
use crate::monitor::protocol::Reply;
use crate::monitor::status::{HealthStatus, State, Status};
use crate::sys::filter::Instruction;
use crate::sys::process::wait;

/// How long the monitor waits, when all is over, for those who have not read the end yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// After which time a container is one that stays.
const SETTLED: Duration = Duration::from_millis(300);

/// The container's process, and what leads to it.
pub(super) struct Running {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) report: Option<Report>,
    pub(super) group: Option<Group>,
    pub(super) terminal: Option<Terminal>,
    pub(super) terminals: Option<OwnedFd>,
    pub(super) out: Option<File>,
    pub(super) err: Option<File>,
    pub(super) input: Option<File>,
    /// What the container has not read yet.
    pub(super) queue: VecDeque<u8>,
    /// Whether no more input follows.
    pub(super) input_ended: bool,
    pub(super) capabilities: Capabilities,
    pub(super) filter: Option<Arc<[Instruction]>>,
    pub(super) since: Instant,
}

/// An order to stop.
pub(super) struct Stopping {
    /// When it is killed.
    pub(super) deadline: Option<Instant>,
}

impl Running {
    /// Bytes that wait for the container to read them.
    pub(super) fn unread(&self) -> usize {
        self.queue.len()
    }

    /// What its output comes from.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        let out = self.out.iter().map(|file| (Stream::Out, file.as_fd()));
        out.chain(self.err.iter().map(|file| (Stream::Err, file.as_fd())))
    }

    /// Where input goes, if there is some.
    pub(super) fn wants_input(&self) -> Option<BorrowedFd<'_>> {
        let waits = !self.queue.is_empty() || self.input_ended;
        self.input.as_ref().filter(|_| waits).map(AsFd::as_fd)
    }
}

impl Monitor {
    /// Starts the container.
    pub(super) fn begin(&mut self) {
        match self.try_begin() {
            Ok(running) => self.running = Some(running),
            Err(error) => self.not_started(&error.into()),
        }
    }

    fn try_begin(&mut self) -> Result<Running, ContainerError> {
        let spec = &self.life.spec;
        let failed = ContainerError::prepare("the standard descriptors");
        let mut stdio = Vec::new();
        let (mut out, mut err, mut input) = (None, None, None);
        if !spec.process.terminal {
            let (out_read, out_write) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
            let (err_read, err_write) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
            let stdin = if self.life.keep_stdin {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(&failed)?;
                input = Some(File::from(write));
                read
            } else {
                let flags = OFlags::RDWR | OFlags::CLOEXEC;
                rustix::fs::open("/dev/null", flags, Mode::empty()).map_err(&failed)?
            };
            stdio = vec![stdin, out_write, err_write];
            (out, err) = (Some(File::from(out_read)), Some(File::from(err_read)));
        }
        let own = (!self.launch.machine.root).then_some(self.launch.own_group.as_str());
        let group = cgroup::make(spec, self.life.id.clone(), self.launch.groups.as_ref(), own)?;
        let group = group.or_else(|| {
            let tree = self
                .launch
                .groups
                .as_ref()
                .or(self.launch.freezer.as_ref())?;
            let group = cgroup::plain(self.life.id.clone(), tree, own)?;
            // what is left to set holds nothing back
            let _ = group.set(&spec.resources);
            Some(group)
        });
        let contents: Vec<&[u8]> = self.life.contents.iter().map(Vec::as_slice).collect();
        if let Some(runtime) = self.life.runtime.clone() {
            let cloning = self.begin_with(&runtime, stdio, group)?;
            return self.joined_up(cloning, out, err, input);
        }
        let hooks = &self.life.hooks;
        let waits = !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty());
        let gate = waits.then(UnixStream::pair).transpose();
        let (gate, far) = gate
            .map_err(|error| ContainerError::Prepare {
                what: "a way to wait for hooks".to_owned(),
                cause: error.into(),
            })?
            .unzip();
        let bundle = self.life.store_root.join(&self.life.folder);
        let inside = (!hooks.start_container.is_empty()).then(|| Inside {
            hooks: &hooks.start_container,
            told: Told {
                id: &self.life.id,
                bundle: &bundle,
                annotations: &self.life.annotations,
            },
        });
        let asked = Asked {
            spec,
            contents: &contents,
            secret_env: &[],
            stdio,
            joined: &self.joined,
            group,
            keep_terminals: true,
            hold: false,
            gate: far.map(OwnedFd::from),
            inside,
        };
        let cloning = begin(asked, &self.launch, &mut self.filters)?;
        let allowed = gate.map_or(Ok(()), |gate| self.at_gate(&gate, cloning.pid));
        if let Err(error) = allowed {
            let _ = pidfd_send_signal(&cloning.pidfd, Signal::KILL);
            let _ = wait(Some(cloning.pid), true);
            self.after_end();
            return Err(error);
        }
        self.joined_up(cloning, out, err, input)
    }

    /// A container that was cloned, with its standard descriptors.
    fn joined_up(
        &self,
        cloning: Cloning,
        mut out: Option<File>,
        err: Option<File>,
        mut input: Option<File>,
    ) -> Result<Running, ContainerError> {
        let failed = ContainerError::prepare("the standard descriptors");
        if let Some(terminal) = &cloning.terminal {
            let master = terminal.master.try_clone();
            let master = master.map_err(|error| ContainerError::Prepare {
                what: "the terminal".to_owned(),
                cause: error.into(),
            })?;
            if let Some(size) = self.size {
                super::output::resize(&master, size);
            }
            input = master.try_clone().ok().map(File::from);
            out = Some(File::from(master));
        }
        for file in [&out, &err, &input].into_iter().flatten() {
            rustix::fs::fcntl_setfl(file, OFlags::NONBLOCK | OFlags::RDWR).map_err(&failed)?;
        }
        Ok(Running {
            pid: cloning.pid,
            pidfd: cloning.pidfd,
            report: Some(cloning.report),
            group: cloning.group,
            terminal: cloning.terminal,
            terminals: cloning.terminals,
            out,
            err,
            input,
            queue: VecDeque::new(),
            input_ended: false,
            capabilities: cloning.capabilities,
            filter: cloning.filter,
            since: Instant::now(),
        })
    }

    /// The container's process said something, or became its program.
    pub(super) fn reported(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(report) = &mut running.report else {
            return;
        };
        if !report.read() || report.has_failed() {
            // a failure is told when the process has ended
            return;
        }
        let (made, _) = running
            .report
            .take()
            .map_or((Vec::new(), None), Report::finish);
        let upper = self.life.spec.root.upper.as_ref();
        let stubs = stubs(upper.map(|upper| upper.fs.as_path()), made);
        let pid = running.pidfd.as_fd();
        let pid = host_pid(&self.host_proc, pid).unwrap_or_default();
        let again = self.status.started_at.is_some();
        let mut known = std::mem::take(&mut self.status.stubs);
        if !again {
            known.clone_from(&self.before.stubs);
        }
        known.extend(
            stubs
                .into_iter()
                .filter(|stub| !known.contains(stub))
                .collect::<Vec<_>>(),
        );
        self.status = Status {
            state: State::Running,
            pid,
            started_at: Some(SystemTime::now()),
            finished_at: if again {
                self.status.finished_at
            } else {
                self.before.finished_at
            },
            restart_count: self.status.restart_count,
            health: self.checks.as_ref().map(|_| HealthStatus::default()),
            stubs: known,
            ..Status::default()
        };
        if let Some(checks) = &mut self.checks {
            checks.begin(Instant::now());
        }
        self.trim = Some(Instant::now() + SETTLED);
        self.write_status();
        if self.life.runtime.is_none()
            && let Some(running) = &self.running
            && let Err(error) = self.after_start(running.pid)
        {
            // whoever started it is told when it has ended
            let _ = pidfd_send_signal(&running.pidfd, Signal::KILL);
            self.unwanted = Some(error);
            return;
        }
        for (_, link) in &mut self.links {
            if let Role::Starter { attached } = link.role {
                link.send(&Reply::Done, b"", Vec::new());
                link.role = match attached {
                    Some(stdin) => Role::Attached {
                        stdin,
                        starter: true,
                    },
                    None => Role::Orders,
                };
            }
        }
    }

    /// The container's process ended.
    pub(super) fn ended(&mut self) {
        let Some(waited) = self
            .running
            .as_ref()
            .and_then(|running| wait(Some(running.pid), false).ok().flatten())
        else {
            return;
        };
        // one that ended at once may have done both in one round: whoever started it is told of that first
        self.reported();
        self.drain();
        let Some(mut running) = self.running.take() else {
            return;
        };
        self.log.finish();
        let failed = running.report.take().and_then(|report| {
            let (_, failed) = report.finish();
            failed
        });
        if let Some(error) = failed.or_else(|| self.unwanted.take()) {
            drop(running);
            self.drop_execs();
            self.gone();
            return self.not_started(&error.into());
        }
        let status = match (waited.code, waited.signal) {
            (Some(code), _) => Wait::Code(code),
            (None, signal) => Wait::Signal(signal.unwrap_or(0)),
        };
        let code = status.code();
        let oom = running.group.as_ref().is_some_and(Group::ran_out);
        if let Some(group) = &running.group
            && self.life.spec.namespaces.pid != Namespace::Own
        {
            // what has no pid namespace of its own may have left something
            let _ = group.kill();
        }
        let ran = running.since.elapsed();
        drop(running);
        self.drop_execs();
        self.gone();
        let stopped = self.stopping.is_some() || self.status.stopped_by_user;
        let wait = self.policy.after(self.life.restart, code, stopped, ran);
        self.status.pid = 0;
        self.status.exit_code = code;
        self.status.oom_killed = oom;
        self.status.finished_at = Some(SystemTime::now());
        self.status.stopped_by_user = stopped;
        self.tell_waiting(code);
        match wait {
            Some(wait) => {
                self.status.state = State::Restarting;
                self.status.restart_count += 1;
                self.again = Some(Instant::now() + wait);
                self.write_status();
            }
            None => self.finish(code),
        }
    }

    /// Nothing of the container is left but its files.
    fn gone(&self) {
        match &self.life.runtime {
            Some(runtime) => self.delete_with(runtime),
            None => self.after_end(),
        }
    }

    /// The container could not be started: all is over.
    fn not_started(&mut self, error: &MonitorError) {
        if self.status.started_at.is_some() {
            self.status = unstarted(&self.status, error);
            self.status.finished_at = Some(SystemTime::now());
        } else {
            self.status = unstarted(&self.before, error);
        }
        let code = self.status.exit_code;
        self.write_status();
        for (_, link) in &mut self.links {
            if matches!(link.role, Role::Starter { .. }) {
                link.send(&Reply::Failed(error.clone()), b"", Vec::new());
                link.role = Role::Orders;
                self.taken_over = true;
            }
        }
        self.finish(code);
    }

    /// All is over: whoever listens is told.
    pub(super) fn finish(&mut self, code: i32) {
        if self.status.state.is_live() {
            self.status.state = State::Exited;
            self.write_status();
        }
        self.again = None;
        // what it makes by its network is undone before anybody is told
        self.end_network();
        self.tell_waiting(code);
        for (_, link) in &mut self.links {
            if matches!(link.role, Role::Attached { .. } | Role::Stopping) {
                link.send(&Reply::Ended(code), b"", Vec::new());
            }
        }
        self.over = Some(Instant::now() + PATIENCE);
    }

    fn tell_waiting(&mut self, code: i32) {
        for (_, link) in &mut self.links {
            if link.role == Role::Waiting {
                link.send(&Reply::Ended(code), b"", Vec::new());
                link.role = Role::Orders;
            }
        }
    }

    /// Sends a signal to the container's first process.
    pub(super) fn signal(&mut self, signal: i32) -> Result<(), MonitorError> {
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        let named = Signal::from_named_raw(signal);
        let sent = match named {
            Some(named) => pidfd_send_signal(&running.pidfd, named),
            None => crate::sys::process::signal(running.pidfd.as_fd(), signal),
        };
        sent.map_err(MonitorError::refused("the signal"))?;
        if signal == libc::SIGKILL || signal == self.life.stop_signal {
            self.status.stopped_by_user = true;
            if self.status.state == State::Paused {
                // the dying must be let go on
                let _ = self.freeze(false);
            }
        }
        Ok(())
    }

    /// Follows an order to stop; whoever gave it is told when all is over.
    pub(super) fn stop(&mut self, signal: Option<i32>, timeout: Option<i64>) {
        let wait = match timeout {
            None => self.life.stop_timeout,
            Some(seconds) => u64::try_from(seconds).ok(),
        };
        let deadline = wait.map(|wait| Instant::now() + Duration::from_secs(wait));
        let signal = signal.unwrap_or(self.life.stop_signal);
        if self.running.is_none() {
            // it waits to be started again
            if self.again.is_some() {
                self.status.stopped_by_user = true;
                let code = self.status.exit_code;
                self.finish(code);
            }
            return;
        }
        self.stopping = Some(Stopping { deadline });
        if self.status.state == State::Paused {
            let _ = self.freeze(false);
        }
        // it fails only for one that has just ended
        let _ = self.signal(signal);
        self.insist(Instant::now());
    }

    /// Kills what has not stopped in time.
    pub(super) fn insist(&mut self, now: Instant) {
        let Some(stopping) = &mut self.stopping else {
            return;
        };
        if stopping.deadline.is_some_and(|deadline| deadline <= now) {
            stopping.deadline = None;
            let _ = self.signal(libc::SIGKILL);
        }
    }

    pub(super) fn write_status(&mut self) {
        // a full disk must not end the container; what is wrong is told by whoever looks next
        let _ = self.status.write(&self.folder);
    }

    fn end_network(&mut self) {
        if let Some(network) = &mut self.network {
            // the kernel takes its time for the rest, which goes after everybody was told
            network.end();
            let path = self.folder.join(crate::network::Settings::FILE);
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The process id of what `pidfd` is of, in the /proc of the host.
pub(super) fn host_pid(host_proc: &OwnedFd, pidfd: BorrowedFd<'_>) -> Option<i32> {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    let path = format!("self/fdinfo/{}", pidfd.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(host_proc, path, flags, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 0)
}
