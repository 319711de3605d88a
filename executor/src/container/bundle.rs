//! A container as the OCI runtime specification has it (`config.json`), for other runtimes to start.
//! Knows no process; ids and paths come resolved. See the specification's `config.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::capability::Capabilities;
use super::cgroup::PERIOD;
use super::error::ContainerError;
use super::hook::{Hooks, VERSION};
use super::limit;
use super::nodes::Node;
use super::plan;
use super::seccomp;
use super::spec::{ContainerSpec, Most, Mount, MountSource, Namespace, Network, Propagation};
use super::user::Identity;

/// What the specification wants to know beyond the spec.
pub(crate) struct Facts<'a> {
    /// The store's root as the other runtime sees it.
    pub(crate) store: &'a Path,
    pub(crate) who: &'a Identity,
    pub(crate) env: &'a [String],
    pub(crate) capabilities: Capabilities,
    /// How many files may be open, soft and hard: runtimes raise their own.
    pub(crate) files: (u64, u64),
    /// Paths of the namespaces to join, by index.
    pub(crate) joined: &'a [PathBuf],
    /// The control group that it is to be in, from the tree's root.
    pub(crate) group: Option<&'a str>,
    /// Nodes of the host that it may use beyond the standard ones.
    pub(crate) nodes: &'a [Node],
    pub(crate) hooks: &'a Hooks,
    pub(crate) annotations: &'a BTreeMap<String, String>,
}

/// The document.
pub(crate) fn config(spec: &ContainerSpec, facts: &Facts<'_>) -> Result<Value, ContainerError> {
    let process = &spec.process;
    let names = facts.capabilities.names();
    let held: &[String] = if facts.who.uid == 0 { &names } else { &[] };
    let mut rlimits: Vec<Value> = process
        .ulimits
        .iter()
        .map(|text| {
            let limit = limit::parse(text)?;
            let kind = format!("{:?}", limit.resource);
            Ok(json!({"type": kind, "soft": limit.soft, "hard": limit.hard}))
        })
        .collect::<Result<_, ContainerError>>()?;
    if !process
        .ulimits
        .iter()
        .any(|text| text.starts_with("nofile="))
    {
        let (soft, hard) = facts.files;
        rlimits.push(json!({"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}));
    }
    let privileged = spec.security.privileged;
    let (masked, protected) = if privileged || spec.security.unmasked {
        (Vec::new(), Vec::new())
    } else {
        (plan::masked(), plan::protected())
    };
    let mut document = json!({
        "ociVersion": VERSION,
        "process": {
            "terminal": process.terminal,
            "user": {"uid": facts.who.uid, "gid": facts.who.gid, "additionalGids": facts.who.groups},
            "args": process.args,
            "env": facts.env,
            "cwd": if process.cwd.is_empty() { "/" } else { process.cwd.as_str() },
            "capabilities": {"bounding": names, "effective": held, "permitted": held},
            "rlimits": rlimits,
            "noNewPrivileges": process.no_new_privileges,
            "oomScoreAdj": spec.oom_score_adj.unwrap_or(0),
        },
        "root": {"path": "rootfs", "readonly": spec.root.readonly},
        "mounts": mounts(spec, facts)?,
        "linux": {
            "namespaces": namespaces(spec, facts)?,
            "maskedPaths": masked,
            "readonlyPaths": protected,
            "sysctl": spec.sysctls.iter().cloned().collect::<BTreeMap<_, _>>(),
            "resources": resources(spec, facts.nodes),
        },
    });
    if !facts.hooks.is_empty() {
        document["hooks"] = json!(facts.hooks);
    }
    if !facts.annotations.is_empty() {
        document["annotations"] = json!(facts.annotations);
    }
    if let Some(group) = facts.group {
        document["linux"]["cgroupsPath"] = json!(group);
    }
    let made: Vec<Value> = facts.nodes.iter().filter_map(device).collect();
    if !made.is_empty() {
        document["linux"]["devices"] = json!(made);
    }
    if spec.namespaces.uts == Namespace::Own {
        document["hostname"] = json!(spec.hostname);
    }
    if !privileged && !spec.security.unfiltered {
        document["linux"]["seccomp"] = seccomp::document(facts.capabilities);
    }
    Ok(document)
}

/// A node that the runtime makes.
fn device(node: &Node) -> Option<Value> {
    Some(json!({
        "path": node.path.as_ref()?, "type": node.kind(), "major": node.major, "minor": node.minor,
        "fileMode": node.mode & 0o777, "uid": node.uid, "gid": node.gid,
    }))
}

/// Limits, and what of the devices may be used: the standard ones are every runtime's own addition.
fn resources(spec: &ContainerSpec, nodes: &[Node]) -> Value {
    let limits = &spec.resources;
    let mut rules = vec![json!({"allow": spec.security.privileged, "access": "rwm"})];
    rules.extend(nodes.iter().map(|node| {
        json!({
            "allow": true, "type": node.kind(), "major": node.major, "minor": node.minor, "access": "rw",
        })
    }));
    let mut resources = json!({"devices": rules});
    let swap = match limits.swap {
        // the specification's is that of both together
        Some(Most::Of(bytes)) => limits
            .memory
            .map(|memory| json!(memory.saturating_add(bytes))),
        swap => swap.map(|_| json!(-1)),
    };
    let quota = match limits.cpu_quota {
        Some(Most::Of(quota)) => Some(quota),
        _ => None,
    };
    let pids = match limits.pids {
        Some(Most::Of(count)) => Some(count),
        _ => None,
    };
    let period = limits.cpu_period.or(quota.map(|_| PERIOD));
    let all = [
        ("memory", "limit", limits.memory.map(Value::from)),
        (
            "memory",
            "reservation",
            limits.memory_reservation.map(Value::from),
        ),
        ("memory", "swap", swap),
        ("cpu", "shares", limits.cpu_shares.map(Value::from)),
        ("cpu", "quota", quota.map(Value::from)),
        ("cpu", "period", period.map(Value::from)),
        ("cpu", "cpus", limits.cpuset_cpus.clone().map(Value::from)),
        ("cpu", "mems", limits.cpuset_mems.clone().map(Value::from)),
        ("pids", "limit", pids.map(Value::from)),
    ];
    for (controller, name, value) in all {
        if let Some(value) = value {
            resources[controller][name] = value;
        }
    }
    resources
}

fn namespaces(spec: &ContainerSpec, facts: &Facts<'_>) -> Result<Vec<Value>, ContainerError> {
    let network = match spec.network {
        Network::Host => Namespace::Host,
        Network::None => Namespace::Own,
        Network::Given(index) => Namespace::Given(index),
    };
    let kinds = [
        ("mount", Namespace::Own),
        ("pid", spec.namespaces.pid),
        ("ipc", spec.namespaces.ipc),
        ("uts", spec.namespaces.uts),
        ("cgroup", spec.namespaces.cgroup),
        ("network", network),
    ];
    let mut list = Vec::new();
    for (kind, whose) in kinds {
        match whose {
            Namespace::Host => {}
            Namespace::Own => list.push(json!({"type": kind})),
            Namespace::Given(index) => {
                let path = facts
                    .joined
                    .get(index)
                    .ok_or_else(|| ContainerError::Invalid {
                        why: format!("namespace {index} was not sent"),
                    })?;
                list.push(json!({"type": kind, "path": path}));
            }
        }
    }
    Ok(list)
}

fn mounts(spec: &ContainerSpec, facts: &Facts<'_>) -> Result<Vec<Value>, ContainerError> {
    let privileged = spec.security.privileged;
    let shm = format!("size={}", spec.shm_size);
    let sys = if privileged { "rw" } else { "ro" };
    let of = |target: &str, kind: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": kind, "options": options});
    let mut list = vec![
        of("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        of(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        of(
            "/dev/pts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        of(
            "/dev/shm",
            "tmpfs",
            &["nosuid", "noexec", "nodev", "mode=1777", &shm],
        ),
        of("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        of("/sys", "sysfs", &["nosuid", "noexec", "nodev", sys]),
    ];
    for device in &spec.devices {
        list.push(json!({
            "destination": device.target, "type": "bind", "source": device.source,
            "options": ["bind", "nosuid", "noexec"],
        }));
    }
    for mount in &spec.mounts {
        list.push(one(mount, facts.store)?);
    }
    Ok(list)
}

fn one(mount: &Mount, store: &Path) -> Result<Value, ContainerError> {
    let mut options: Vec<String> = Vec::new();
    let mut word = |set: bool, yes: &str| {
        if set {
            options.push(yes.to_owned());
        }
    };
    word(mount.readonly, "ro");
    word(mount.nosuid, "nosuid");
    word(mount.noexec, "noexec");
    word(true, "nodev");
    let (kind, source) = match &mount.source {
        MountSource::Store(path) => ("bind", store.join(path)),
        MountSource::Host(path) => ("bind", path.clone()),
        MountSource::Tmpfs {
            size,
            mode,
            uid,
            gid,
        } => {
            options.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
            if *size > 0 {
                options.push(format!("size={size}"));
            }
            options.push(format!("uid={uid}"));
            options.push(format!("gid={gid}"));
            ("tmpfs", "tmpfs".into())
        }
        MountSource::Layers { .. } | MountSource::Content { .. } | MountSource::Socket { .. } => {
            return Err(ContainerError::Invalid {
                why: format!(
                    "the mount at `{}` cannot be given to another runtime",
                    mount.target
                ),
            });
        }
    };
    if kind == "bind" {
        options.push("rbind".to_owned());
        options.push(
            match mount.propagation {
                Propagation::Private => "rprivate",
                Propagation::Slave => "rslave",
                Propagation::Shared => "rshared",
            }
            .to_owned(),
        );
    }
    Ok(json!({"destination": mount.target, "type": kind, "source": source, "options": options}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_container_is_told() {
        let mut spec = super::super::plan::tests::spec();
        spec.network = Network::Given(0);
        spec.process.args = vec!["sh".to_owned()];
        spec.process.ulimits = vec!["nofile=10:20".to_owned()];
        spec.sysctls = vec![("net.x".to_owned(), "1".to_owned())];
        let who = Identity {
            uid: 7,
            gid: 8,
            groups: vec![8],
            asked: Vec::new(),
        };
        let facts = Facts {
            store: Path::new("/s"),
            who: &who,
            env: &["A=b".to_owned()],
            capabilities: Capabilities(1 << 13 | 1),
            files: (1, 2),
            joined: &["/proc/1/fd/9".into()],
            group: Some("/rbuild/x"),
            nodes: &[Node {
                path: Some("/dev/fuse".into()),
                block: false,
                major: 10,
                minor: 229,
                mode: 0o20_666,
                uid: 0,
                gid: 5,
            }],
            hooks: &Hooks {
                poststop: vec![serde_json::from_str(r#"{"path": "/bin/hook"}"#).unwrap()],
                ..Hooks::default()
            },
            annotations: &BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        };
        spec.resources.memory = Some(100);
        spec.resources.swap = Some(Most::Of(20));
        spec.resources.cpu_quota = Some(Most::Of(5000));
        spec.resources.cpuset_cpus = Some("0-1".to_owned());
        spec.resources.pids = Some(Most::All);
        let told = config(&spec, &facts).unwrap();
        assert_eq!(told["process"]["user"]["uid"], 7);
        let resources = &told["linux"]["resources"];
        assert_eq!(resources["memory"], json!({"limit": 100, "swap": 120}));
        let cpu = json!({"quota": 5000, "period": 100_000, "cpus": "0-1"});
        assert_eq!(resources["cpu"], cpu);
        assert!(resources.get("pids").is_none(), "{resources}");
        let capabilities = &told["process"]["capabilities"];
        assert_eq!(
            capabilities["bounding"],
            json!(["CAP_CHOWN", "CAP_NET_RAW"])
        );
        assert_eq!(capabilities["effective"], json!([]));
        let limit = json!({"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20});
        assert_eq!(told["process"]["rlimits"], json!([limit]));
        assert_eq!(told["hooks"], json!({"poststop": [{"path": "/bin/hook"}]}));
        assert_eq!(told["annotations"], json!({"a": "b"}));
        assert_eq!(told["linux"]["cgroupsPath"], "/rbuild/x");
        let device = &told["linux"]["devices"][0];
        assert_eq!(
            (&device["type"], &device["fileMode"]),
            (&json!("c"), &json!(0o666))
        );
        let rules = told["linux"]["resources"]["devices"].as_array().unwrap();
        assert_eq!(
            (&rules[0]["allow"], &rules[1]["minor"]),
            (&json!(false), &json!(229))
        );
        let namespaces = told["linux"]["namespaces"].as_array().unwrap();
        assert_eq!(namespaces.len(), 6);
        assert_eq!(
            namespaces[5],
            json!({"type": "network", "path": "/proc/1/fd/9"})
        );
        let mounts = told["mounts"].as_array().unwrap();
        let last = mounts.last().unwrap();
        assert_eq!(
            (&last["source"], &last["destination"]),
            (&json!("/s/mounts/v1/x"), &json!("/src"))
        );
        assert_eq!(told["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
        spec.security.privileged = true;
        let told = config(&spec, &facts).unwrap();
        assert!(told["linux"].get("seccomp").is_none());
        assert_eq!(told["linux"]["maskedPaths"], json!([]));
        spec.network = Network::Given(1);
        assert!(config(&spec, &facts).is_err());
    }
}
