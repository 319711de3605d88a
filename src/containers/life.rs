//! A document to what its monitor needs: the container as the runtime has it. Reads the other
//! containers that are joined, and writes nothing but the container's own hosts, hostname and
//! resolv.conf.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cache::{Store, StoredContainer};
use executor::container::spec::{
    Device, Mount, MountSource, Namespace, Namespaces, Network, Process, Propagation, Resources,
    RootFs, Upper,
};
use executor::container::{ContainerSpec, obstacle};
use executor::monitor::{Health, Kind, Life, LogOptions};
use executor::network::Plan;

use super::document::{Document, MountKind, MountPoint};
use super::{bundle, env, find, limits, mounts, network, restart, rights, signal};
use crate::networks::plan::Given;
use crate::report::{Class, Failure};

/// What docker lets anybody do in a network of the container's own: open any port, and ping. Ids up to
/// the last can be named only where all are there.
const OPEN: [(&str, &str, bool); 2] = [
    ("net.ipv4.ip_unprivileged_port_start", "0", true),
    ("net.ipv4.ping_group_range", "0 2147483647", false),
];

/// Seconds between the signal to stop and the kill, when nobody says otherwise.
const PATIENCE: u64 = 10;

/// What a monitor is started with.
pub struct Prepared {
    /// All about the container.
    pub life: Life,
    /// Namespaces of others that it joins.
    pub joined: Vec<OwnedFd>,
    /// Its addresses: to be held until it lives.
    #[expect(dead_code, reason = "held, never read")]
    pub given: Option<Given>,
}

/// Everything that the container's monitor needs.
pub fn prepare(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
    network: network::Wanted,
) -> Result<Prepared, Failure> {
    let mut joined = Joined::default();
    let namespaces = namespaces(store, document, &mut joined)?;
    let folder = relative(store, row);
    network::write_files(&find::folder(store, row), document, &network)?;
    let own_network = match &network.plan {
        Plan::Host => Network::Host,
        Plan::Of { container } => {
            joined.push(store, container, Kind::Network)?;
            Network::Given(joined.fds.len() - 1)
        }
        _ => Network::None,
    };
    let host = &document.host_config;
    let config = &document.config;
    for device in &host.devices {
        std::fs::metadata(&device.path_on_host).map_err(|error| {
            let path = &device.path_on_host;
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                _ => error.to_string(),
            };
            Failure::new(
                Class::Refused,
                format!("error gathering device information while adding custom device \"{path}\": {why}"),
            )
        })?;
    }
    let resources = resources(host);
    let (spec, host_sources) = spec(store, row, document, (namespaces, own_network, resources))?;
    bundle::write(store, row, document, &spec, &joined.paths)?;
    Ok(Prepared {
        life: Life {
            id: row.id.clone(),
            store_root: store.root().to_owned(),
            folder,
            host_sources,
            spec,
            contents: Vec::new(),
            restart: restart::restart(&host.restart_policy),
            health: health(document),
            stop_signal: signal::number(&config.stop_signal).unwrap_or(15),
            stop_timeout: match config.stop_timeout {
                None => Some(PATIENCE),
                // A negative one waits for ever.
                Some(seconds) => u64::try_from(seconds).ok(),
            },
            log: LogOptions {
                keep: document.log.keep,
                max_size: document.log.max_size,
                max_file: document.log.max_file,
            },
            network: network.plan,
            keep_stdin: config.open_stdin,
            afterwards: host.auto_remove.then(|| removal(store, row)),
            runtime: document.runtime_program.clone(),
            hooks: document.hooks.clone(),
            annotations: host.annotations.clone(),
        },
        joined: joined.fds,
        given: network.given,
    })
}

/// Writes `config.json` of a container that is not being started. One that joins another's namespaces
/// is described when it is started, since those are not there before.
pub fn describe(store: &Store, row: &StoredContainer, document: &Document) -> Result<(), Failure> {
    let host = &document.host_config;
    let of = |mode: &str| match mode {
        "host" => Namespace::Host,
        _ => Namespace::Own,
    };
    let modes = [
        &host.pid_mode,
        &host.ipc_mode,
        &host.uts_mode,
        &host.cgroupns_mode,
    ];
    let mut all = modes.into_iter().chain([&host.network_mode]);
    if all.any(|mode| mode.starts_with("container:")) {
        return Ok(());
    }
    let [pid, ipc, uts, cgroup] = modes.map(|mode| of(mode));
    let namespaces = Namespaces {
        pid,
        ipc,
        uts,
        cgroup,
    };
    let network = match of(&host.network_mode) {
        Namespace::Host => Network::Host,
        _ => Network::None,
    };
    let resources = limits::resources(host);
    let (spec, _) = spec(store, row, document, (namespaces, network, resources))?;
    bundle::write(store, row, document, &spec, &[])
}

/// The container as the runtime has it, and the paths of the host that it mounts.
fn spec(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
    (namespaces, network, resources): (Namespaces, Network, Resources),
) -> Result<(ContainerSpec, Vec<PathBuf>), Failure> {
    let (host, config) = (&document.host_config, &document.config);
    let (mounts, host_sources) = self::mounts(store, row, document)?;
    let spec = ContainerSpec {
        root: root(store, row, document)?,
        mounts,
        process: Process {
            args: document.command(),
            env: env::complete(&config.env, &config.hostname, config.tty),
            cwd: directory(&config.working_dir),
            user: config.user.clone(),
            terminal: config.tty,
            groups: host.group_add.clone().unwrap_or_default(),
            ulimits: host.ulimits.iter().flatten().map(limits::written).collect(),
            no_new_privileges: rights::no_new_privileges(host)?,
            init: host.init.unwrap_or_default(),
        },
        hostname: config.hostname.clone(),
        network,
        security: rights::security(host)?,
        resources,
        cgroup_parent: Some(host.cgroup_parent.clone()).filter(|parent| !parent.is_empty()),
        shm_size: host.shm_size,
        namespaces,
        devices: host
            .devices
            .iter()
            .map(|device| Device {
                source: PathBuf::from(&device.path_on_host),
                target: device.path_in_container.clone(),
            })
            .collect(),
        sysctls: sysctls(document, namespaces, matches!(network, Network::None)),
        oom_score_adj: Some(host.oom_score_adj).filter(|score| *score != 0),
    };
    Ok((spec, host_sources))
}

/// Variables of the kernel's; the domain is one of them. Whoever asked for a network of the container's
/// own has the host's where none can be had.
fn sysctls(
    document: &Document,
    namespaces: Namespaces,
    has_own_network: bool,
) -> Vec<(String, String)> {
    let given = document.host_config.sysctls.iter();
    let mut all: Vec<(String, String)> = given
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if has_own_network {
        let initial = executor::namespace::is_initial();
        for (name, value, possible) in OPEN {
            let given = all.iter().any(|(other, _)| other == name);
            let file = Path::new("/proc/sys").join(name.replace('.', "/"));
            if !given && (possible || initial) && file.exists() {
                all.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    let domain = &document.config.domainname;
    if !domain.is_empty() && namespaces.uts == Namespace::Own {
        all.push(("kernel.domainname".to_owned(), domain.clone()));
    }
    all
}

/// The limits that this machine can set. Where it can set none, that is said, and the container starts
/// without: as docker does.
pub fn resources(host: &super::document::HostConfig) -> Resources {
    let resources = limits::resources(host);
    match obstacle(&resources) {
        None => resources,
        Some(why) => {
            crate::report::note(&format!("WARNING: {why}. Limitation discarded."));
            Resources::default()
        }
    }
}

/// The container's folder, relative to the store's root.
fn relative(store: &Store, row: &StoredContainer) -> PathBuf {
    let folder = find::folder(store, row);
    let relative = folder.strip_prefix(store.root()).map(Path::to_owned);
    relative.unwrap_or(folder)
}

/// The container's root: its layers, and what it changes.
pub fn root(store: &Store, row: &StoredContainer, document: &Document) -> Result<RootFs, Failure> {
    let folder = relative(store, row);
    let lower = store
        .layer_dirs(&row.stack)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(RootFs {
        lower,
        upper: Some(Upper {
            fs: folder.join("fs"),
            work: folder.join("work"),
        }),
        volatile: false,
        readonly: document.host_config.readonly_rootfs,
    })
}

/// What the monitor does at the end of `--rm`: this program with these arguments.
fn removal(store: &Store, row: &StoredContainer) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--root".into(), store.root().into()];
    arguments.extend(["rm", "--force", "--volumes", &row.id].map(OsString::from));
    arguments
}

/// The mounts in the order in which they are made, and the paths of the host among them.
pub fn mounts(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
) -> Result<(Vec<Mount>, Vec<PathBuf>), Failure> {
    let mut mounts = Vec::new();
    let mut sources = Vec::new();
    for point in &document.mounts {
        let source = source(store, point)?;
        if let MountSource::Host(path) = &source {
            sources.push(path.clone());
        }
        let memory = point.memory.unwrap_or_default();
        let is_memory = point.kind == MountKind::Tmpfs;
        mounts.push(Mount {
            target: point.destination.clone(),
            source,
            readonly: !point.rw,
            nosuid: is_memory && !memory.suid,
            noexec: is_memory && !memory.exec,
            propagation: match point.propagation.trim_start_matches('r') {
                "shared" => Propagation::Shared,
                "slave" => Propagation::Slave,
                _ => Propagation::Private,
            },
        });
    }
    for (target, options) in &document.host_config.tmpfs {
        let (memory, readonly) = mounts::memory(options)?;
        mounts.push(Mount {
            target: target.clone(),
            source: MountSource::Tmpfs {
                size: memory.size,
                mode: mode_over(store, row, target, memory.mode)?,
                uid: memory.uid,
                gid: memory.gid,
            },
            readonly,
            nosuid: !memory.suid,
            noexec: !memory.exec,
            propagation: Propagation::Private,
        });
    }
    let of = match document.host_config.network_mode.strip_prefix("container:") {
        // Who shares a network shares what says so.
        Some(other) => find::row(store, other)?,
        None => row.clone(),
    };
    for name in network::FILES {
        let target = format!("/etc/{name}");
        if mounts.iter().all(|mount| mount.target != target) {
            mounts.push(Mount {
                target,
                source: MountSource::Store(relative(store, &of).join(name)),
                readonly: document.host_config.readonly_rootfs,
                nosuid: false,
                noexec: false,
                propagation: Propagation::Private,
            });
        }
    }
    // What is mounted inside another mount comes after it.
    mounts.sort_by_key(|mount| mount.target.matches('/').count());
    Ok((mounts, sources))
}

fn source(store: &Store, point: &MountPoint) -> Result<MountSource, Failure> {
    Ok(match point.kind {
        MountKind::Bind => MountSource::Host(PathBuf::from(&point.source)),
        MountKind::Tmpfs => {
            let memory = point.memory.unwrap_or_default();
            MountSource::Tmpfs {
                size: memory.size,
                mode: memory.mode,
                uid: memory.uid,
                gid: memory.gid,
            }
        }
        MountKind::Volume => {
            let volume = store
                .volume(&point.name)
                .map_err(|error| find::volume_failure(&error))?;
            let files = store.volume_files(&volume.name);
            let relative = files.strip_prefix(store.root()).map(Path::to_owned);
            MountSource::Store(relative.unwrap_or(files))
        }
    })
}

/// A directory that the image has keeps its mode under a `--tmpfs`, whatever is said: as Docker's
/// runtime does it.
fn mode_over(
    store: &Store,
    row: &StoredContainer,
    target: &str,
    mode: Option<u32>,
) -> Result<Option<u32>, Failure> {
    if mode.is_none() {
        return Ok(None);
    }
    let layers = row
        .stack
        .iter()
        .map(|id| store.layer(id))
        .collect::<Result<_, _>>()
        .map_err(|error| crate::home::store_failure(&error))?;
    let found = cache::View::new(layers)
        .resolve(target.trim_start_matches('/').as_bytes(), true)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(match found {
        cache::Resolved::Entry(_) => None,
        cache::Resolved::Missing(_) => mode,
    })
}

fn namespaces(
    store: &Store,
    document: &Document,
    joined: &mut Joined,
) -> Result<Namespaces, Failure> {
    let host = &document.host_config;
    let mut of = |mode: &str, kind: Kind| {
        if mode == "host" {
            return Ok(Namespace::Host);
        }
        match mode.strip_prefix("container:") {
            None => Ok(Namespace::Own),
            Some(id) => {
                joined.push(store, id, kind)?;
                Ok::<_, Failure>(Namespace::Given(joined.fds.len() - 1))
            }
        }
    };
    Ok(Namespaces {
        pid: of(&host.pid_mode, Kind::Pid)?,
        ipc: of(&host.ipc_mode, Kind::Ipc)?,
        uts: of(&host.uts_mode, Kind::Uts)?,
        cgroup: of(&host.cgroupns_mode, Kind::Cgroup)?,
    })
}

/// Namespaces of other containers, and where they are found while those run.
#[derive(Default)]
struct Joined {
    fds: Vec<OwnedFd>,
    paths: Vec<PathBuf>,
}

impl Joined {
    fn push(&mut self, store: &Store, id: &str, kind: Kind) -> Result<(), Failure> {
        self.fds.push(namespace(store, id, kind)?);
        let pid = find::status(store, &find::row(store, id)?)?.pid;
        let name = match kind {
            Kind::Network => "net",
            Kind::Pid => "pid",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Cgroup => "cgroup",
            Kind::Mount => "mnt",
        };
        self.paths.push(format!("/proc/{pid}/ns/{name}").into());
        Ok(())
    }
}

/// A namespace of a container that runs.
fn namespace(store: &Store, id: &str, kind: Kind) -> Result<OwnedFd, Failure> {
    let row = find::row(store, id)?;
    let mut control = find::control(store, &row)?.ok_or_else(|| {
        Failure::new(
            Class::Refused,
            format!(
                "cannot join {} of a non running container: {}",
                match kind {
                    Kind::Network => "network",
                    Kind::Pid => "PID",
                    Kind::Ipc => "IPC",
                    _ => "namespaces",
                },
                row.name
            ),
        )
    })?;
    control
        .namespace(kind)
        .map_err(|error| find::monitor_failure(&error))
}

fn directory(text: &str) -> String {
    if text.is_empty() { "/" } else { text }.to_owned()
}

/// The health check as the monitor has it; none when there is none to ask.
fn health(document: &Document) -> Option<Health> {
    let check = document.config.healthcheck.as_ref()?;
    let args = match check.test.split_first()? {
        (kind, _) if kind == "NONE" => return None,
        (kind, command) if kind == "CMD-SHELL" => {
            let shell = document.config.shell.clone();
            let mut args = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            args.extend(command.iter().cloned());
            args
        }
        (kind, command) if kind == "CMD" => command.to_vec(),
        _ => check.test.clone(),
    };
    let duration = |nanos: i64, seconds: u64| match u64::try_from(nanos) {
        Ok(nanos @ 1..) => Duration::from_nanos(nanos),
        _ => Duration::from_secs(seconds),
    };
    (!args.is_empty()).then(|| Health {
        args,
        interval: duration(check.interval, 30),
        timeout: duration(check.timeout, 30),
        start_period: duration(check.start_period, 0),
        start_interval: duration(check.start_interval, 5),
        retries: u32::try_from(check.retries)
            .ok()
            .filter(|n| *n > 0)
            .unwrap_or(3),
    })
}
