//! How a container ended. Knows nothing of why it ran.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a container's first process ended, and what was noted on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its wait status.
    pub status: Status,
    /// What it and the descendants it waited for used.
    pub usage: Usage,
    /// Whether the kernel killed a process of it for want of memory; known only with a control group.
    pub oom: bool,
    /// Names made for mount points that were not there: they are no work of the process.
    pub stubs: Vec<Stub>,
}

/// A wait status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Status {
    /// As a shell reports it: the code, or 128 and the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What the processes used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time in user mode.
    pub user: Duration,
    /// Time in the kernel.
    pub system: Duration,
    /// The largest resident set of one process, in bytes.
    pub peak_memory: u64,
}

/// A file or directory that was made so that something could be mounted on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stub {
    /// Its path in the root file system, without a leading slash and without links.
    pub path: String,
    /// Its inode number in the upper directory.
    pub inode: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_count_from_128() {
        assert_eq!(Status::Code(3).code(), 3);
        assert_eq!(Status::Signal(9).code(), 137);
    }
}
