//! What a container's process tells the launcher before it becomes the program, over a pipe that
//! closes at that moment. Knows lines, and nothing of what they are about.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::container::error::ContainerError;
use crate::sys::process::exit_now;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
enum Note {
    /// A name was made for a mount.
    Stub(String),
    /// The process ends without having become the program.
    Failed(ContainerError),
}

/// The writing end, in the new process. Stubs are told together when the preparing is over, so that
/// the launcher wakes up for them once.
#[derive(Debug)]
pub(crate) struct Reporter {
    pipe: OwnedFd,
    stubs: RefCell<Vec<u8>>,
}

impl Reporter {
    pub(crate) const fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe,
            stubs: RefCell::new(Vec::new()),
        }
    }

    /// The descriptor that must stay open until the end.
    pub(crate) fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Does in a clone what ends in the program; whatever keeps it from that is told, and the clone ends.
    pub(crate) fn watch(
        self,
        prepare: impl FnOnce(&Self) -> Result<Infallible, ContainerError>,
    ) -> ! {
        // a panic here must not unwind into the loop, of which this is a copy
        let outcome = catch_unwind(AssertUnwindSafe(|| prepare(&self)));
        let error = match outcome {
            Ok(Ok(never)) => match never {},
            Ok(Err(error)) => error,
            Err(_) => ContainerError::Invalid {
                why: "the new process panicked".to_owned(),
            },
        };
        self.failed(error);
        exit_now(1);
    }

    pub(crate) fn stub(&self, path: &str) {
        let line = line(&Note::Stub(path.to_owned()));
        self.stubs.borrow_mut().extend(line);
    }

    /// Tells of the stubs: called when all mounts are made.
    pub(crate) fn tell(&self) {
        let lines = self.stubs.take();
        let mut rest = lines.as_slice();
        // a launcher that is gone does not miss it
        while !rest.is_empty()
            && let Ok(count @ 1..) = rustix::io::write(&self.pipe, rest)
        {
            rest = &rest[count..];
        }
    }

    pub(crate) fn failed(&self, error: ContainerError) {
        self.stubs.borrow_mut().extend(line(&Note::Failed(error)));
        self.tell();
    }
}

fn line(note: &Note) -> Vec<u8> {
    let mut line = serde_json::to_vec(note).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The reading end, in the launcher.
#[derive(Debug)]
pub(crate) struct Report {
    pipe: Option<std::fs::File>,
    text: Vec<u8>,
}

impl Report {
    /// `pipe` must not block.
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe: Some(pipe.into()),
            text: Vec::new(),
        }
    }

    /// What to poll, until the end.
    pub(crate) fn pipe(&self) -> Option<&std::fs::File> {
        self.pipe.as_ref()
    }

    /// Reads what there is; true when that was the end.
    pub(crate) fn read(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else {
            return false;
        };
        // an error other than the end means that there is nothing yet
        let ended = pipe.read_to_end(&mut self.text).is_ok();
        if ended {
            self.pipe = None;
        }
        ended
    }

    /// The stubs, and why it failed, if it did.
    pub(crate) fn finish(mut self) -> (Vec<String>, Option<ContainerError>) {
        self.read();
        let mut stubs = Vec::new();
        let mut failed = None;
        for line in self.text.split(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Note::Stub(path)) => stubs.push(path),
                Ok(Note::Failed(error)) => failed = failed.or(Some(error)),
                Err(_) => {}
            }
        }
        (stubs, failed)
    }

    /// Whether a failure was noted.
    pub(crate) fn has_failed(&self) -> bool {
        self.text
            .split(|byte| *byte == b'\n')
            .any(|line| matches!(serde_json::from_slice(line), Ok(Note::Failed(_))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    #[test]
    fn notes_cross_the_pipe() {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let mut report = Report::new(read);
        let reporter = Reporter::new(write);
        reporter.stub("a/b");
        reporter.tell();
        reporter.stub("c");
        assert!(!report.read());
        assert!(!report.has_failed());
        reporter.failed(ContainerError::NoCommand);
        drop(reporter);
        assert!(report.read());
        assert!(report.has_failed());
        let (stubs, failed) = report.finish();
        assert_eq!(stubs, ["a/b", "c"]);
        assert_eq!(failed, Some(ContainerError::NoCommand));
    }
}
