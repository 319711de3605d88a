//! `container.json`: what a container was made to be, in Docker's words. Written when it is made,
//! and by `update`; what it does is in its status. Knows no flags and no processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use executor::container::hook::Hooks;
use image::config::Healthcheck;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::report::{Class, Failure};

/// The file's name in the folder of a container.
pub const FILE: &str = "container.json";

/// What a container was made to be. Names are those of Docker's `inspect`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Document {
    /// 64 hexadecimal digits.
    pub id: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Id of the image.
    pub image: String,
    /// Operating system of the image.
    pub platform: String,
    /// What runs.
    pub config: Config,
    /// How it runs here.
    pub host_config: HostConfig,
    /// What is mounted, but for `--tmpfs`.
    pub mounts: Vec<MountPoint>,
    /// The networks it is on, by name.
    pub networks: BTreeMap<String, Endpoint>,
    /// Where the image's output goes when it is started.
    pub log: LogSettings,
    /// Another OCI runtime's program, if that makes its processes.
    pub runtime_program: Option<PathBuf>,
    /// Programs that are called at its stages.
    #[serde(skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
}

/// What runs: Docker's `Config`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    pub hostname: String,
    pub domainname: String,
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Json>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    pub env: Vec<String>,
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    pub image: String,
    pub volumes: Option<BTreeMap<String, Json>>,
    pub working_dir: String,
    pub entrypoint: Option<Vec<String>>,
    pub on_build: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// How it runs here: Docker's `HostConfig`, without what rbuild has not.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    pub binds: Option<Vec<String>>,
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    pub log_config: LogConfig,
    pub network_mode: String,
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    pub restart_policy: RestartPolicy,
    pub auto_remove: bool,
    pub volume_driver: String,
    pub volumes_from: Option<Vec<String>>,
    pub cap_add: Option<Vec<String>>,
    pub cap_drop: Option<Vec<String>>,
    pub cgroupns_mode: String,
    pub dns: Vec<String>,
    pub dns_options: Vec<String>,
    pub dns_search: Vec<String>,
    pub extra_hosts: Option<Vec<String>>,
    pub group_add: Option<Vec<String>>,
    pub ipc_mode: String,
    pub cgroup: String,
    pub links: Option<Vec<String>>,
    pub oom_score_adj: i32,
    pub pid_mode: String,
    pub privileged: bool,
    pub publish_all_ports: bool,
    pub readonly_rootfs: bool,
    pub security_opt: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    pub userns_mode: String,
    pub shm_size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    pub runtime: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub cpu_shares: u64,
    pub memory: u64,
    pub nano_cpus: u64,
    pub cgroup_parent: String,
    pub cpu_period: u64,
    pub cpu_quota: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub devices: Vec<Device>,
    pub memory_reservation: u64,
    pub memory_swap: i64,
    pub pids_limit: Option<i64>,
    pub ulimits: Option<Vec<Ulimit>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// Where output goes, as Docker says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogConfig {
    #[serde(rename = "Type")]
    pub kind: String,
    pub config: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            kind: "json-file".to_owned(),
            config: BTreeMap::new(),
        }
    }
}

/// Where output goes, as the monitor needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogSettings {
    /// Whether anything is kept.
    pub keep: bool,
    /// Bytes of a file.
    pub max_size: Option<u64>,
    /// How many files.
    pub max_file: u32,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            keep: true,
            max_size: None,
            max_file: 1,
        }
    }
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    pub host_ip: String,
    pub host_port: String,
}

/// What is done when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicy {
    pub name: String,
    pub maximum_retry_count: u32,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            name: "no".to_owned(),
            maximum_retry_count: 0,
        }
    }
}

/// A device of the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    pub path_on_host: String,
    pub path_in_container: String,
    pub cgroup_permissions: String,
}

/// A limit of its processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ulimit {
    pub name: String,
    pub hard: i64,
    pub soft: i64,
}

/// What kind of thing is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A directory or file of the host's.
    Bind,
    /// A volume.
    #[default]
    Volume,
    /// Memory.
    Tmpfs,
}

impl MountKind {
    /// As docker writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
        }
    }
}

/// Something mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// What kind of thing.
    #[serde(rename = "Type")]
    pub kind: MountKind,
    /// Name of the volume.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it is on the host.
    pub source: String,
    /// Where it is in the container.
    pub destination: String,
    /// Driver of the volume.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Options as they were written.
    pub mode: String,
    /// Whether it can be written.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// How mounts made later travel.
    pub propagation: String,
    /// Of memory: bytes, mode and flags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// A directory in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes; no limit when 0.
    pub size: u64,
    /// Mode of its root.
    pub mode: Option<u32>,
    /// Owner of its root.
    pub uid: u32,
    /// Group of its root.
    pub gid: u32,
    /// Whether programs may be started from it.
    pub exec: bool,
    /// Whether set-id bits count.
    pub suid: bool,
}

/// What was asked for on one network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    /// Further names.
    pub aliases: Vec<String>,
    /// The IPv4 address asked for.
    pub ipv4: Option<String>,
    /// The IPv6 address asked for.
    pub ipv6: Option<String>,
    /// The hardware address asked for.
    pub mac: Option<String>,
}

impl Document {
    /// That of the container in `folder`.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let damaged = |cause: String| {
            let mut failure =
                Failure::new(Class::System, format!("cannot read {}", path.display()));
            failure.causes = vec![cause];
            failure.help("`rbuild rm -f` removes a container whose description is lost")
        };
        let bytes = std::fs::read(&path).map_err(|error| damaged(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
    }

    /// Writes it, whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let draft = folder.join(".container.json");
        let path = folder.join(FILE);
        serde_json::to_vec(self)
            .map_err(std::io::Error::other)
            .and_then(|bytes| std::fs::write(&draft, bytes))
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|error| crate::export::unwritable(&path, &error))
    }

    /// The first digits of its id.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// Whether its network is somebody else's, so that no port of it is published.
    pub fn is_shared(&self) -> bool {
        let mode = self.host_config.network_mode.as_str();
        mode == "host" || mode.starts_with("container:")
    }

    /// Program and arguments.
    pub fn command(&self) -> Vec<String> {
        std::iter::once(&self.path)
            .chain(&self.args)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written_and_names_are_dockers() {
        let folder = tempfile::tempdir().unwrap();
        let mut document = Document {
            id: "ab".repeat(32),
            ..Document::default()
        };
        document.host_config.uts_mode = "host".to_owned();
        document.mounts.push(MountPoint {
            rw: true,
            ..MountPoint::default()
        });
        document.write(folder.path()).unwrap();
        assert_eq!(Document::read(folder.path()).unwrap(), document);
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        for name in [
            r#""HostConfig""#,
            r#""UTSMode":"host""#,
            r#""RW":true"#,
            r#""Type":"volume""#,
            r#""MaximumRetryCount":0"#,
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
        assert!(Document::read(Path::new("/nonexistent")).is_err());
    }
}
