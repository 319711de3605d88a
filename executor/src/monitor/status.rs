//! What is known of a container's life, in its folder: written by its monitor, and by whoever finds
//! that the monitor died.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::lock::Lock;

/// The code of what SIGKILL ended.
const KILLED: i32 = 137;

/// How a container is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// In one word.
    pub state: State,
    /// Process id of its first process, as the host sees it; 0 when there is none.
    pub pid: i32,
    /// How the last one ended; 0 before that.
    pub exit_code: i32,
    /// Why it could not be started, or what happened to its monitor.
    pub error: String,
    /// Whether the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// When it was started last.
    pub started_at: Option<SystemTime>,
    /// When it ended last.
    pub finished_at: Option<SystemTime>,
    /// How often its policy started it again since somebody started it.
    pub restart_count: u32,
    /// How its checks went; none without checks.
    pub health: Option<HealthStatus>,
    /// Whether it ended because of an order: then `unless-stopped` does not start it after a reboot.
    pub stopped_by_user: bool,
    /// Names made in its root for mount points: no work of the container.
    #[serde(default)]
    pub stubs: Vec<crate::container::Stub>,
    /// Ids of the processes that were started in it besides and have not ended: only in what its monitor
    /// answers, never in the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executions: Vec<String>,
}

/// A container's state in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Never started.
    #[default]
    Created,
    /// Runs.
    Running,
    /// Runs no further.
    Paused,
    /// Waits to be started again.
    Restarting,
    /// Has ended.
    Exited,
    /// Half removed.
    Dead,
}

impl State {
    /// As docker says it: `created`, `running` …
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether there is something that a monitor must be alive for.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

/// How a container's checks went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthStatus {
    /// In one word.
    pub status: HealthState,
    /// How many failed in a row.
    pub failing_streak: u32,
    /// The last five.
    pub log: Vec<HealthLog>,
}

/// A container's health in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// No check has passed yet, nor have enough failed.
    #[default]
    Starting,
    /// The last check passed.
    Healthy,
    /// As many failed in a row as are allowed.
    Unhealthy,
}

impl HealthState {
    /// As docker says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthLog {
    /// When it began.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
    /// 0 for healthy; -1 when it took too long.
    pub exit_code: i32,
    /// The first 4,096 bytes of what it wrote.
    pub output: String,
}

impl Status {
    /// The file's name in a container's folder.
    pub const FILE: &str = "status.json";

    /// What the file in `folder` says, whoever wrote it: `created` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is none of ours.
    pub fn read(folder: &Path) -> io::Result<Self> {
        match std::fs::read(folder.join(Self::FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// What is true of the container in `folder`. Where its monitor died without a word (killed, or by a
    /// power cut), that is written down; the second value says whether it just was.
    ///
    /// # Errors
    /// As [`read`](Self::read) and [`write`](Self::write).
    pub fn settled(folder: &Path) -> io::Result<(Self, bool)> {
        let status = Self::read(folder)?;
        if !status.state.is_live() || Lock::is_held(folder)? {
            return Ok((status, false));
        }
        let Some(lock) = Lock::take(folder)? else {
            return Ok((Self::read(folder)?, false));
        };
        // its monitor may have ended in order between the two looks
        let mut status = Self::read(folder)?;
        let died = status.state.is_live();
        if died {
            status.died();
            if let Some(id) = folder.file_name().and_then(|name| name.to_str()) {
                crate::container::cgroup::forget(id);
            }
            status.write(folder)?;
        }
        drop(lock);
        Ok((status, died))
    }

    /// What is known of a container whose monitor died.
    fn died(&mut self) {
        self.state = State::Exited;
        self.pid = 0;
        self.exit_code = KILLED;
        "the container's monitor was killed, and the container with it".clone_into(&mut self.error);
        self.finished_at = Some(SystemTime::now());
        self.stopped_by_user = false;
    }

    /// Writes it, whole or not at all. Only for whoever has the container's lock, or made it just now.
    ///
    /// # Errors
    /// As of the file system.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let draft = folder.join(".status.json");
        std::fs::write(&draft, serde_json::to_vec(self).map_err(io::Error::other)?)?;
        std::fs::rename(draft, folder.join(Self::FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_that_died_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(Status::settled(path).unwrap().0.state, State::Created);
        let running = Status {
            state: State::Running,
            pid: 7,
            ..Status::default()
        };
        running.write(path).unwrap();
        let lock = Lock::take(path).unwrap().unwrap();
        assert_eq!(Status::settled(path).unwrap(), (running, false));
        drop(lock);
        let (status, died) = Status::settled(path).unwrap();
        assert!(died);
        assert_eq!(
            (status.state, status.exit_code, status.pid),
            (State::Exited, 137, 0)
        );
        assert_eq!(Status::settled(path).unwrap(), (status, false));
    }

    #[test]
    fn nonsense_is_no_status() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(Status::FILE), "{\"state\":\"gone\"}").unwrap();
        assert!(Status::read(folder.path()).is_err());
    }
}
