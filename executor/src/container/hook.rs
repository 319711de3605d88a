//! Programs that are called at the stages of a container's life, as the OCI runtime specification has
//! them (`config.md`, "POSIX-platform Hooks"), and what each is told on its standard input. Knows no
//! process.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The specification's version that documents here follow.
pub(crate) const VERSION: &str = "1.0.2";

/// Programs by the stage at which they are called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Among the host's files, when the container's mounts are made: an older name of the next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// Among the host's files, when the container's mounts are made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// Among the host's files, in the container's namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// In the container, right before its program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// Among the host's files, when the program runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// Among the host's files, when the container is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// An absolute path.
    pub path: PathBuf,
    /// Its name and arguments; its path where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its whole environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Seconds after which it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

impl Hook {
    /// Its name and arguments.
    pub(crate) fn words(&self) -> Vec<String> {
        if self.args.is_empty() {
            return vec![self.path.display().to_string()];
        }
        self.args.clone()
    }

    /// What is said of one that was not done in time.
    pub(crate) fn late(&self) -> String {
        format!("it took more than {} s", self.timeout.unwrap_or_default())
    }
}

impl Hooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those of a stage, by the name that the specification gives it.
    pub fn stage(&mut self, name: &str) -> Option<&mut Vec<Hook>> {
        Some(match name {
            "prestart" => &mut self.prestart,
            "createRuntime" => &mut self.create_runtime,
            "createContainer" => &mut self.create_container,
            "startContainer" => &mut self.start_container,
            "poststart" => &mut self.poststart,
            "poststop" => &mut self.poststop,
            _ => return None,
        })
    }
}

/// What a hook reads: which container, and how far it has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) id: &'a str,
    pub(crate) bundle: &'a Path,
    pub(crate) annotations: &'a BTreeMap<String, String>,
}

impl Told<'_> {
    /// A file in memory, to be read from its beginning. No pipe: a hook need not read it, and writing to
    /// one that has ended would be the end of the container's process.
    pub(crate) fn file(&self, status: &str, pid: Option<i32>) -> Result<OwnedFd, Errno> {
        let fd = rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC)?;
        let mut file = std::fs::File::from(fd);
        let written = file.write_all(&self.state(status, pid));
        { written.and_then(|()| file.rewind()) }
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(file.into())
    }

    fn state(&self, status: &str, pid: Option<i32>) -> Vec<u8> {
        let mut state = json!({
            "ociVersion": VERSION, "id": self.id, "status": status, "bundle": self.bundle,
            "annotations": self.annotations,
        });
        if let Some(pid) = pid {
            state["pid"] = json!(pid);
        }
        state.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_what_the_specification_wants() {
        let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let told = Told {
            id: "x",
            bundle: Path::new("/s/x"),
            annotations: &annotations,
        };
        let created: serde_json::Value =
            serde_json::from_slice(&told.state("created", Some(7))).unwrap();
        let wanted = json!({
            "ociVersion": "1.0.2", "id": "x", "status": "created", "pid": 7, "bundle": "/s/x",
            "annotations": {"a": "b"},
        });
        assert_eq!(created, wanted);
        let stopped = String::from_utf8(told.state("stopped", None)).unwrap();
        assert!(!stopped.contains("pid"), "{stopped}");
    }

    #[test]
    fn hooks_go_by_their_stages() {
        let mut hooks = Hooks::default();
        assert!(hooks.is_empty() && hooks.stage("never").is_none());
        let hook: Hook = serde_json::from_str(r#"{"path": "/bin/x", "timeout": 3}"#).unwrap();
        assert_eq!(hook.words(), ["/bin/x"]);
        for name in [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ] {
            hooks.stage(name).unwrap().push(hook.clone());
            assert!(serde_json::to_string(&hooks).unwrap().contains(name));
        }
        assert!(!hooks.is_empty());
    }
}
