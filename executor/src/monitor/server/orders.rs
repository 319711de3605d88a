//! What those who are connected ask for. Knows not how it is done.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use super::link::Link;
use super::serve::{Monitor, Role};
use crate::container::server::enter::root;
use crate::container::wire::Frame;
use crate::monitor::control::Kind;
use crate::monitor::error::MonitorError;
use crate::monitor::protocol::{Order, Reply};

/// What an order is answered by.
enum Answer {
    Now(Reply, Option<OwnedFd>),
    /// Later, or never.
    Later,
}

impl Monitor {
    /// Adds a connection, and gives its number.
    pub(super) fn add(&mut self, link: Link) {
        self.next += 1;
        self.links.push((self.next, link));
    }

    pub(super) fn link(&mut self, id: u64) -> Option<&mut Link> {
        let found = self.links.iter_mut().find(|(known, _)| *known == id);
        found.map(|(_, link)| link)
    }

    /// Takes one more connection.
    pub(super) fn accept(&mut self) {
        if let Ok((socket, _)) = self.listener.accept()
            && let Ok(link) = Link::new(socket)
        {
            self.add(link);
        }
    }

    /// Reads from a connection, and sends what waits for it.
    pub(super) fn listen(&mut self, id: u64) {
        let Some(link) = self.link(id) else {
            return;
        };
        link.flush();
        for frame in link.receive() {
            self.follow(id, frame);
        }
    }

    /// Forgets connections that ended.
    pub(super) fn sweep(&mut self) {
        let mut input_ended = false;
        self.links.retain(|(_, link)| {
            if link.has_ended() {
                // the input of whoever started it goes with him, as a pipe's would
                input_ended |= matches!(
                    link.role,
                    Role::Attached {
                        stdin: true,
                        starter: true
                    } | Role::Starter {
                        attached: Some(true)
                    }
                );
            }
            !link.has_ended()
        });
        if input_ended {
            self.end_input();
        }
    }

    fn follow(&mut self, id: u64, frame: Frame) {
        let order = match frame.parse::<Order>() {
            Ok(order) => order,
            Err(error) => {
                let why = error.to_string();
                let reply = Reply::Failed(MonitorError::Protocol { why });
                if let Some(link) = self.link(id) {
                    link.send(&reply, b"", Vec::new());
                }
                return;
            }
        };
        let (reply, fd) = match self.answer(id, order, frame) {
            Ok(Answer::Later) => return,
            Ok(Answer::Now(reply, fd)) => (reply, fd),
            Err(error) => (Reply::Failed(error), None),
        };
        if let Some(link) = self.link(id) {
            link.send(&reply, b"", fd.into_iter().collect());
        }
    }

    fn answer(&mut self, id: u64, order: Order, frame: Frame) -> Result<Answer, MonitorError> {
        let done = |()| Answer::Now(Reply::Done, None);
        match order {
            Order::Attach { stdin } => {
                self.set_role(
                    id,
                    Role::Attached {
                        stdin,
                        starter: false,
                    },
                );
                Ok(done(()))
            }
            Order::Input => {
                self.input(&frame.blob);
                Ok(Answer::Later)
            }
            Order::InputEnd => {
                self.end_input();
                Ok(Answer::Later)
            }
            Order::Resize { rows, columns } => {
                self.set_size((rows, columns));
                Ok(Answer::Later)
            }
            Order::Signal { signal, quiet } => self.signal_for(id, signal, quiet),
            Order::Status => {
                let mut status = Box::new(self.status.clone());
                status.executions = self.executions();
                Ok(Answer::Now(Reply::Status(status), None))
            }
            Order::Stop {
                signal,
                timeout,
                keep,
            } => {
                self.taken_over |= keep;
                self.set_role(id, Role::Stopping);
                self.stop(signal, timeout);
                Ok(Answer::Later)
            }
            Order::Pause => self.pause(true).map(done),
            Order::Unpause => self.pause(false).map(done),
            Order::Wait => {
                if self.over.is_some() {
                    let code = self.status.exit_code;
                    return Ok(Answer::Now(Reply::Ended(code), None));
                }
                self.set_role(id, Role::Waiting);
                Ok(Answer::Later)
            }
            Order::Exec {
                process,
                privileged,
                terminal,
            } => {
                self.exec(id, &process, privileged, terminal, frame.fds)?;
                Ok(Answer::Later)
            }
            Order::Root => {
                let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
                let root = root(&running.pidfd)?;
                Ok(Answer::Now(Reply::Descriptor, Some(root)))
            }
            Order::Namespace(kind) => {
                let namespace = self.namespace(kind)?;
                Ok(Answer::Now(Reply::Descriptor, Some(namespace)))
            }
            Order::Processes => {
                let processes = self.processes()?;
                Ok(Answer::Now(Reply::Processes(processes), None))
            }
            Order::Update { restart, resources } => {
                if let Some(resources) = resources {
                    self.limit(&resources)?;
                }
                self.life.restart = restart.unwrap_or(self.life.restart);
                Ok(done(()))
            }
            Order::Connect(interface) => {
                self.connect_network(|up| up.connect(&interface)).map(done)
            }
            Order::Disconnect(network) => {
                self.connect_network(|up| up.disconnect(&network)).map(done)
            }
            Order::TakeOver => {
                let role = self.link(id).map(|link| link.role);
                if self.over.is_some() && matches!(role, Some(Role::Attached { starter: true, .. }))
                {
                    self.taken_over = true;
                }
                Ok(Answer::Later)
            }
        }
    }

    fn set_role(&mut self, id: u64, role: Role) {
        if let Some(link) = self.link(id) {
            link.role = role;
        }
    }

    fn signal_for(&mut self, id: u64, signal: i32, quiet: bool) -> Result<Answer, MonitorError> {
        if let Some(Role::Exec(exec)) = self.link(id).map(|link| link.role) {
            self.signal_exec(exec, signal);
            return Ok(Answer::Later);
        }
        match (self.signal(signal), quiet) {
            (_, true) => Ok(Answer::Later),
            (Ok(()), false) => Ok(Answer::Now(Reply::Done, None)),
            (Err(error), false) => Err(error),
        }
    }

    fn namespace(&self, kind: Kind) -> Result<OwnedFd, MonitorError> {
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        let name = match kind {
            Kind::Pid => "pid",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Network => "net",
            Kind::Mount => "mnt",
            Kind::Cgroup => "cgroup",
        };
        let path = format!("/proc/{}/ns/{name}", running.pid);
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(MonitorError::refused("the container's namespace"))
    }

    fn limit(&mut self, resources: &crate::container::spec::Resources) -> Result<(), MonitorError> {
        let running = self.running.as_ref().ok_or(MonitorError::NotRunning)?;
        let obstacle = crate::container::ContainerError::Resources {
            what: "the container".to_owned(),
            why: "it has no control group".to_owned(),
        };
        let group = running.group.as_ref().ok_or(obstacle)?;
        group.set(resources)?;
        Ok(())
    }

    fn connect_network(
        &mut self,
        change: impl FnOnce(&mut crate::network::Up) -> Result<(), crate::network::NetworkError>,
    ) -> Result<(), MonitorError> {
        let Some(network) = &mut self.network else {
            return Err(crate::container::ContainerError::Invalid {
                why: "the container has no network of its own that could be changed".to_owned(),
            }
            .into());
        };
        change(network)?;
        let settings = network.settings();
        settings
            .write(&self.folder)
            .map_err(MonitorError::refused("the network's settings"))
    }
}
