//! The monitor's loop: what became ready, and what is due. Knows not what is done about it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::checks::Checks;
use super::execs::Execution;
use super::lifecycle::{Running, Stopping};
use super::link::Link;
use super::log::Log;
use super::policy::Policy;
use crate::container::server::report::Report;
use crate::container::server::root::Launch;
use crate::container::server::start::Filters;
use crate::container::{ContainerError, Stream};
use crate::monitor::life::Life;
use crate::monitor::lock::Lock;
use crate::monitor::status::Status;
use crate::network::Up;

/// Output waits while somebody who is attached has more than this before him.
const BACKLOG: usize = 256 << 10;
/// Input waits while the container has more than this before it.
pub(super) const UNREAD: usize = 64 << 10;

/// Everything of one container.
pub(super) struct Monitor {
    pub(super) life: Life,
    pub(super) launch: Launch,
    pub(super) filters: Filters,
    pub(super) joined: Vec<OwnedFd>,
    pub(super) host_proc: OwnedFd,
    /// Where another runtime and hooks find their files.
    pub(super) host_mounts: Option<OwnedFd>,
    pub(super) network: Option<Up>,
    pub(super) folder: PathBuf,
    pub(super) listener: UnixListener,
    pub(super) links: Vec<(u64, Link)>,
    /// The number of the next connection or process.
    pub(super) next: u64,
    pub(super) status: Status,
    /// As it was found.
    pub(super) before: Status,
    pub(super) running: Option<Running>,
    pub(super) log: Log,
    pub(super) execs: Vec<Execution>,
    pub(super) checks: Option<Checks>,
    pub(super) stopping: Option<Stopping>,
    /// When it is started again.
    pub(super) again: Option<Instant>,
    pub(super) policy: Policy,
    /// Size of the terminal, in rows and columns.
    pub(super) size: Option<(u16, u16)>,
    /// Whether somebody else does what is to be done afterwards.
    pub(super) taken_over: bool,
    /// When it gives back the memory that only starting took.
    pub(super) trim: Option<Instant>,
    /// When the monitor ends at the latest, once all is over.
    pub(super) over: Option<Instant>,
    /// Why a container that runs is not to run: a hook failed.
    pub(super) unwanted: Option<ContainerError>,
    /// Held, so that nobody else starts it; given back last, when nobody can connect any more.
    pub(super) _lock: Lock,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Orders, one by one.
    #[default]
    Orders,
    /// That of whoever started the container and has not been answered yet.
    Starter {
        /// Whether he wants to hear it, and to talk to it.
        attached: Option<bool>,
    },
    /// Hears the container.
    Attached {
        /// Talks to it.
        stdin: bool,
        /// Has started it.
        starter: bool,
    },
    /// Waits for the end of the container.
    Waiting,
    /// Waits for the end of everything.
    Stopping,
    /// Waits for the end of a process.
    Exec(u64),
}

/// What became ready.
#[derive(Clone, Copy)]
enum Ready {
    Listener,
    Link(u64),
    End,
    Report,
    Output(Stream),
    Input,
    ExecEnd(u64),
    ExecReport(u64),
    ExecOutput(u64),
    Network(RawFd),
}

impl Monitor {
    /// Starts the container and stays with it until all is over. Gives whether somebody else does
    /// what is to be done afterwards.
    pub(super) fn serve(&mut self) -> bool {
        self.begin();
        while !self.is_done() {
            for what in self.ready() {
                self.attend(what);
            }
            self.tick();
            self.sweep();
        }
        self.taken_over
    }

    fn attend(&mut self, what: Ready) {
        match what {
            Ready::Listener => self.accept(),
            Ready::Link(id) => self.listen(id),
            Ready::End => self.ended(),
            Ready::Report => self.reported(),
            Ready::Output(stream) => self.pass_on(stream),
            Ready::Input => self.feed(),
            Ready::ExecEnd(id) => self.exec_ended(id),
            Ready::ExecReport(id) => self.exec_reported(id),
            Ready::ExecOutput(id) => self.exec_output(id),
            Ready::Network(fd) => {
                if let Some(network) = &mut self.network {
                    network.ready(fd);
                }
            }
        }
    }

    /// Does what is due.
    fn tick(&mut self) {
        let now = Instant::now();
        if let Some(network) = &mut self.network {
            network.tick();
        }
        self.insist(now);
        if self.again.is_some_and(|again| again <= now) {
            self.again = None;
            self.begin();
        }
        self.check(now);
        if self.trim.is_some_and(|trim| trim <= now) {
            self.trim = None;
            // it is no harm to keep it
            let _ = crate::sys::memory::forget_code();
        }
    }

    /// When something is due.
    fn due(&self) -> Option<Instant> {
        let stop = self
            .stopping
            .as_ref()
            .and_then(|stopping| stopping.deadline);
        let network = self.network.as_ref().and_then(|network| network.timeout());
        [
            stop,
            self.again,
            self.checks_due(),
            self.over,
            self.trim,
            network.map(|wait| Instant::now() + wait),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn is_done(&self) -> bool {
        let Some(over) = self.over else {
            return false;
        };
        let busy = |(_, link): &(u64, Link)| {
            let may_take_over = !self.taken_over
                && self.life.afterwards.is_some()
                && matches!(link.role, Role::Attached { starter: true, .. });
            !link.has_ended() && (link.pending() > 0 || may_take_over)
        };
        !self.links.iter().any(busy) || over <= Instant::now()
    }

    /// What is polled, and for what.
    fn polled(&self) -> Vec<(Ready, BorrowedFd<'_>, PollFlags)> {
        let mut polled = vec![(Ready::Listener, self.listener.as_fd(), PollFlags::IN)];
        let unread = self.running.as_ref().map_or(0, Running::unread);
        for (id, link) in &self.links {
            let talks = matches!(link.role, Role::Attached { stdin: true, .. });
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !talks || unread < UNREAD);
            flags.set(PollFlags::OUT, link.pending() > 0);
            polled.push((Ready::Link(*id), link.socket(), flags));
        }
        if let Some(running) = &self.running {
            polled.push((Ready::End, running.pidfd.as_fd(), PollFlags::IN));
            if let Some(pipe) = running.report.as_ref().and_then(Report::pipe) {
                polled.push((Ready::Report, pipe.as_fd(), PollFlags::IN));
            }
            if !self.is_backed_up() {
                for (stream, fd) in running.outputs() {
                    polled.push((Ready::Output(stream), fd, PollFlags::IN));
                }
            }
            if let Some(fd) = running.wants_input() {
                polled.push((Ready::Input, fd, PollFlags::OUT));
            }
        }
        for exec in &self.execs {
            polled.push((Ready::ExecEnd(exec.id), exec.pidfd.as_fd(), PollFlags::IN));
            if let Some(pipe) = exec.report.as_ref().and_then(Report::pipe) {
                polled.push((Ready::ExecReport(exec.id), pipe.as_fd(), PollFlags::IN));
            }
            if let Some(output) = &exec.output {
                polled.push((Ready::ExecOutput(exec.id), output.as_fd(), PollFlags::IN));
            }
        }
        if let Some(network) = &self.network {
            for (fd, flags) in network.descriptors() {
                polled.push((Ready::Network(fd.as_raw_fd()), fd, flags));
            }
        }
        polled
    }

    /// Whether somebody who is attached does not read.
    fn is_backed_up(&self) -> bool {
        self.links
            .iter()
            .any(|(_, link)| matches!(link.role, Role::Attached { .. }) && link.pending() > BACKLOG)
    }

    /// Waits until something is ready or due.
    fn ready(&self) -> Vec<Ready> {
        let polled = self.polled();
        let mut fds: Vec<PollFd<'_>> = polled
            .iter()
            .map(|(_, fd, flags)| PollFd::new(fd, *flags))
            .collect();
        let wait = self
            .due()
            .map(|due| due.saturating_duration_since(Instant::now()));
        let wait = wait.map(|wait| Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        // an interruption shows nothing to be ready
        let _ = poll(&mut fds, wait.as_ref());
        polled
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|((what, _, _), _)| *what)
            .collect()
    }
}
