//! What a container's process tells the launcher before it becomes the program, over a pipe that
//! closes at that moment. Knows lines, and nothing of what they are about.

use std::convert::Infallible;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
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

/// The writing end, in the new process.
#[derive(Debug)]
pub(crate) struct Reporter(pub(crate) OwnedFd);

impl Reporter {
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
        self.write(&Note::Stub(path.to_owned()));
    }

    pub(crate) fn failed(&self, error: ContainerError) {
        self.write(&Note::Failed(error));
    }

    fn write(&self, note: &Note) {
        let mut line = serde_json::to_vec(note).unwrap_or_default();
        line.push(b'\n');
        let mut rest = line.as_slice();
        // a launcher that is gone does not miss it
        while let Ok(count @ 1..) = rustix::io::write(self.0.as_fd(), rest) {
            rest = &rest[count..];
        }
    }
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
        let reporter = Reporter(write);
        reporter.stub("a/b");
        assert!(!report.read());
        assert!(!report.has_failed());
        reporter.failed(ContainerError::NoCommand);
        drop(reporter);
        assert!(report.read());
        assert!(report.has_failed());
        let (stubs, failed) = report.finish();
        assert_eq!(stubs, ["a/b"]);
        assert_eq!(failed, Some(ContainerError::NoCommand));
    }
}
