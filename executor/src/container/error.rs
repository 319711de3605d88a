//! What can go wrong between a spec and an exit status. Knows no message of a builder and no exit
//! code but the two that POSIX shells give to a command that could not be started.

use serde::{Deserialize, Serialize};

/// An error number, as data that crosses the launcher's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errno(pub i32);

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(text.split(" (os error").next().unwrap_or(&text))
    }
}

impl std::error::Error for Errno {}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

/// Why a container could not be started, or why nothing is known of its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ContainerError {
    /// No directory of PATH has the program, or the given path does not exist.
    #[error("`{program}`: command not found")]
    CommandNotFound {
        /// As the spec has it.
        program: String,
    },
    /// The program is there and cannot be executed.
    #[error("`{program}` cannot be executed: {cause}")]
    NotExecutable {
        /// As the spec has it.
        program: String,
        /// Why.
        cause: Errno,
    },
    /// The spec has no program.
    #[error("no command to run")]
    NoCommand,
    /// The user is not in the container's /etc/passwd.
    #[error("no user `{name}` in the container's /etc/passwd")]
    UnknownUser {
        /// As the spec has it.
        name: String,
    },
    /// The group is not in the container's /etc/group.
    #[error("no group `{name}` in the container's /etc/group")]
    UnknownGroup {
        /// As the spec has it.
        name: String,
    },
    /// /etc/passwd or /etc/group is not a regular file, or is larger than 1 MiB.
    #[error("the container's {file} cannot be read: {why}")]
    UserFile {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// The id has no place in the user namespace.
    #[error("{what} {id} is outside the ids that this user may use here ({available} are mapped)")]
    UnmappedId {
        /// `user` or `group`.
        what: String,
        /// The id.
        id: u32,
        /// How many ids are mapped.
        available: u64,
    },
    /// What should be mounted is not there.
    #[error("the source `{path}` of the mount at `{target}` does not exist")]
    MissingSource {
        /// The source.
        path: String,
        /// The mount's target.
        target: String,
    },
    /// A host path that the launcher was not started with.
    #[error("the host path `{path}` was not announced when the launcher was started")]
    UnannouncedSource {
        /// The source.
        path: String,
    },
    /// A mount could not be made.
    #[error("mounting {what} at `{target}` failed: {cause}")]
    Mount {
        /// What.
        what: String,
        /// Where.
        target: String,
        /// Why.
        cause: Errno,
    },
    /// A hook failed, so that the container is not started.
    #[error("the {stage} hook {path} failed: {why}")]
    Hook {
        /// When it was called.
        stage: String,
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// A stack of layers could not be mounted.
    #[error("mounting an overlay of {layers} layers failed at `{at}`: {cause}")]
    Overlay {
        /// How many.
        layers: usize,
        /// The option or call that was refused.
        at: String,
        /// Why.
        cause: Errno,
    },
    /// More layers than the kernel takes.
    #[error(
        "{layers} layers are more than the {limit} that one overlay can have: merge the lowest ones"
    )]
    TooManyLayers {
        /// How many.
        layers: usize,
        /// The kernel's limit.
        limit: usize,
    },
    /// The namespaces of a container were refused.
    #[error("the kernel refused new namespaces ({cause}): {cure}")]
    Namespaces {
        /// Why.
        cause: Errno,
        /// What to change.
        cure: String,
    },
    /// The working directory is unusable.
    #[error("working directory `{path}`: {why}")]
    WorkingDirectory {
        /// As the spec has it.
        path: String,
        /// Why.
        why: String,
    },
    /// `--ulimit` is malformed or refused.
    #[error("ulimit `{limit}`: {why}")]
    Limit {
        /// As the spec has it.
        limit: String,
        /// Why.
        why: String,
    },
    /// A capability that does not exist, or that this process does not have to give.
    #[error("capability `{name}`: {why}")]
    Capability {
        /// As the spec has it.
        name: String,
        /// Why.
        why: String,
    },
    /// Limits were asked for, and there is no control group to set them in.
    #[error("{what} cannot be limited: {why}")]
    Resources {
        /// Which.
        what: String,
        /// Why, and what to change.
        why: String,
    },
    /// A step of the child's preparation was refused.
    #[error("{what}: {cause}")]
    Prepare {
        /// The step.
        what: String,
        /// Why.
        cause: Errno,
    },
    /// The spec contradicts itself.
    #[error("invalid container: {why}")]
    Invalid {
        /// How.
        why: String,
    },
    /// The launcher could not be started.
    #[error("the launcher could not be started: {what}: {cause}")]
    Launch {
        /// The step.
        what: String,
        /// Why.
        cause: Errno,
    },
    /// The launcher is gone, and every container with it.
    #[error("the launcher has ended, and every container with it")]
    LauncherEnded,
    /// What came over the launcher's socket cannot be understood.
    #[error("the launcher and this program do not understand each other: {why}")]
    Protocol {
        /// How.
        why: String,
    },
}

impl ContainerError {
    /// The exit status that a shell gives for it: 127 not found, 126 not executable.
    pub fn exit_status(&self) -> Option<i32> {
        match self {
            Self::CommandNotFound { .. } => Some(127),
            Self::NotExecutable { .. } => Some(126),
            _ => None,
        }
    }

    /// Makes a [`ContainerError::Prepare`] of a failed call.
    pub(crate) fn prepare(what: &str) -> impl Fn(rustix::io::Errno) -> Self + use<> {
        let what = what.to_owned();
        move |cause| Self::Prepare {
            what: what.clone(),
            cause: cause.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_agree_on_two_exit_codes() {
        let program = "x".to_owned();
        let missing = ContainerError::CommandNotFound {
            program: program.clone(),
        };
        let denied = ContainerError::NotExecutable {
            program,
            cause: Errno(libc::EACCES),
        };
        assert_eq!(missing.exit_status(), Some(127));
        assert_eq!(denied.exit_status(), Some(126));
        assert_eq!(ContainerError::LauncherEnded.exit_status(), None);
        assert_eq!(
            denied.to_string(),
            "`x` cannot be executed: Permission denied"
        );
    }
}
