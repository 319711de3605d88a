//! The launcher's loop: requests come in, containers end, signals pass. Knows how neither a
//! container nor a request is made.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, pidfd_send_signal};

use super::root::Launch;
use super::start::{Container, Filters, start};
use super::tree;
use crate::container::error::ContainerError;
use crate::container::exit::{Exit, Status, Stub, Usage};
use crate::container::wire::{self, Order, Reply};
use crate::sys::process::wait;

/// What a descriptor that became ready is of.
#[derive(Clone, Copy)]
enum Ready {
    Control,
    Conversation(u64),
    Report(u64),
    End(u64),
}

/// Serves until the control socket ends. Gives the exit code.
pub(super) fn serve(control: &UnixStream, launch: Launch) -> i32 {
    let mut running: HashMap<u64, Container> = HashMap::new();
    let mut filters = Filters::new();
    let mut next = 0;
    loop {
        let Ok(ready) = ready(control, &running) else {
            return 1;
        };
        for what in ready {
            match what {
                Ready::Control => match wire::receive(control) {
                    Ok(Some(frame)) => {
                        for fd in frame.fds {
                            let conversation = fd.into();
                            if let Some(container) =
                                accept(conversation, next, &launch, &mut filters)
                            {
                                running.insert(next, container);
                                next += 1;
                            }
                        }
                    }
                    _ => {
                        end_all(running);
                        return 0;
                    }
                },
                Ready::Conversation(id) => {
                    running.get_mut(&id).map(listen);
                }
                Ready::Report(id) => {
                    running.get_mut(&id).map(hear);
                }
                Ready::End(id) => {
                    if let Some(container) = running.remove(&id) {
                        end(container);
                    }
                }
            }
        }
    }
}

/// Whoever asked for the containers is gone. They would end with this process, but it closes the
/// locks that it holds for them before the kernel ends them: what they lock must wait for their end.
fn end_all(running: HashMap<u64, Container>) {
    for container in running.values() {
        // fails only when it has ended
        let _ = pidfd_send_signal(&container.pidfd, Signal::KILL);
    }
    for container in running.into_values() {
        let _ = wait(Some(container.pid), true);
    }
}

fn ready(
    control: &UnixStream,
    running: &HashMap<u64, Container>,
) -> rustix::io::Result<Vec<Ready>> {
    let mut whats = vec![Ready::Control];
    let mut fds = vec![PollFd::new(control, PollFlags::IN)];
    for (&id, container) in running {
        whats.push(Ready::End(id));
        fds.push(PollFd::new(&container.pidfd, PollFlags::IN));
        if let Some(conversation) = &container.conversation {
            whats.push(Ready::Conversation(id));
            fds.push(PollFd::new(conversation, PollFlags::IN));
        }
        if let Some(pipe) = container.report.pipe() {
            whats.push(Ready::Report(id));
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
    }
    match poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    Ok(whats
        .into_iter()
        .zip(&fds)
        .filter(|(_, fd)| !fd.revents().is_empty())
        .map(|(what, _)| what)
        .collect())
}

/// Reads a request and starts its container; what goes wrong is said in the conversation.
fn accept(
    conversation: UnixStream,
    number: u64,
    launch: &Launch,
    filters: &mut Filters,
) -> Option<Container> {
    let started = match wire::receive(&conversation) {
        Ok(None) => return None,
        Ok(Some(frame)) => start(frame, number, launch, filters),
        Err(error) => Err(ContainerError::Protocol {
            why: error.to_string(),
        }),
    };
    match started {
        Ok(mut container) => {
            let (terminal, listeners) = std::mem::take(&mut container.opened);
            if terminal.is_some() || !listeners.is_empty() {
                let fds: Vec<BorrowedFd<'_>> =
                    terminal.iter().chain(&listeners).map(AsFd::as_fd).collect();
                let reply = Reply::Opened {
                    terminal: terminal.is_some(),
                };
                say(&conversation, &reply, &fds);
            }
            container.conversation = Some(conversation);
            Some(container)
        }
        Err(error) => {
            say(&conversation, &Reply::Ended(Err(error)), &[]);
            None
        }
    }
}

fn listen(container: &mut Container) {
    let Some(conversation) = &container.conversation else {
        return;
    };
    let signal = match wire::receive(conversation) {
        Ok(Some(frame)) => match frame.parse() {
            Ok(Order::Signal(signal)) => Signal::from_named_raw(signal),
            Err(_) => None,
        },
        _ => {
            // nobody waits for it any more
            container.conversation = None;
            Some(Signal::KILL)
        }
    };
    if let Some(signal) = signal {
        // fails only when it has ended, and then that is said next
        let _ = pidfd_send_signal(&container.pidfd, signal);
    }
}

fn hear(container: &mut Container) {
    let executed = container.report.read() && !container.report.has_failed();
    if let Some(conversation) = &container.conversation
        && executed
        && container.announce
    {
        let pid = container.pid;
        say(conversation, &Reply::Started { pid }, &[]);
    }
}

fn end(container: Container) {
    let waited = wait(Some(container.pid), false).ok().flatten();
    let (stubs, failed) = container.report.finish();
    let outcome = match (failed, waited) {
        (Some(error), _) => Err(error),
        (None, None) => Err(ContainerError::Protocol {
            why: "the container was reaped by somebody else".to_owned(),
        }),
        (None, Some(waited)) => Ok(Exit {
            status: match (waited.code, waited.signal) {
                (Some(code), _) => Status::Code(code),
                (None, signal) => Status::Signal(signal.unwrap_or(0)),
            },
            usage: Usage {
                user: waited.user,
                system: waited.system,
                peak_memory: waited.peak_memory,
            },
            oom: container
                .group
                .as_ref()
                .is_some_and(|group| group.ran_out()),
            stubs: self::stubs(container.upper.as_deref(), stubs),
        }),
    };
    if let Some(conversation) = &container.conversation {
        say(conversation, &Reply::Ended(outcome), &[]);
    }
}

/// What the stubs are in the upper directory; those that are gone are left out.
pub(crate) fn stubs(upper: Option<&std::path::Path>, stubs: Vec<String>) -> Vec<Stub> {
    let open = || {
        let upper = std::path::Path::new("/store").join(upper?);
        rustix::fs::open(upper, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
    };
    if stubs.is_empty() {
        return Vec::new();
    }
    let Some(upper) = open() else {
        return Vec::new();
    };
    let inode = |path: String| {
        let stub = tree::without_links(&upper, &path).ok()?;
        let inode = rustix::fs::fstat(stub).ok()?.st_ino;
        Some(Stub { path, inode })
    };
    stubs.into_iter().filter_map(inode).collect()
}

fn say(conversation: &UnixStream, reply: &Reply, fds: &[BorrowedFd<'_>]) {
    // a caller that is gone is noticed when its end of the conversation is read
    let _ = wire::send(conversation, reply, &[], fds);
}
