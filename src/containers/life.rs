//! A document to what its monitor needs: the container as the runtime has it. Writes nothing but the
//! container's own hosts, hostname, resolv.conf and config.json.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cache::{Store, StoredContainer};
use executor::container::spec::{Device, Namespace, Namespaces, Network, Process, Resources};
use executor::container::{ContainerSpec, obstacle};
use executor::monitor::{Health, Kind, Life, LogOptions};
use executor::network::Plan;

use super::document::Document;
use super::joined::{self, Joined};
use super::{bundle, env, find, limits, network, restart, rights, rootfs, signal, ulimits};
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
    let namespaces = joined::namespaces(store, document, &mut joined)?;
    let folder = rootfs::relative(store, row);
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
    let modes = [
        &host.pid_mode,
        &host.ipc_mode,
        &host.uts_mode,
        &host.cgroupns_mode,
        &host.network_mode,
    ];
    if modes.iter().any(|mode| mode.starts_with("container:")) {
        return Ok(());
    }
    let namespaces = joined::namespaces(store, document, &mut Joined::default())?;
    let network = match host.network_mode.as_str() {
        "host" => Network::Host,
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
    let (mounts, host_sources) = rootfs::mounts(store, row, document)?;
    let spec = ContainerSpec {
        root: rootfs::root(store, row, document)?,
        mounts,
        process: Process {
            args: document.command(),
            env: env::complete(&config.env, &config.hostname, config.tty),
            cwd: directory(&config.working_dir),
            user: config.user.clone(),
            terminal: config.tty,
            groups: host.group_add.clone().unwrap_or_default(),
            ulimits: host
                .ulimits
                .iter()
                .flatten()
                .map(ulimits::written)
                .collect(),
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

/// What the monitor does at the end of `--rm`: this program with these arguments.
fn removal(store: &Store, row: &StoredContainer) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--root".into(), store.root().into()];
    arguments.extend(["rm", "--force", "--volumes", &row.id].map(OsString::from));
    arguments
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
