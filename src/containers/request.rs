//! Flags to a document, as far as they can be understood without the store and the image. What is
//! wrong here is wrong with the arguments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use executor::container::SysctlNamespace;
use image::config::Healthcheck;

use super::document::{Config, Device, Document, Endpoint, HostConfig, LogConfig, LogSettings};
use super::mounts::Wanted;
use super::{ENGINE, env, limits, mounts, ports, refuse, restart, runtime, signal, ulimits};
use crate::cli::container::{Flags, HealthFlags};
use crate::report::{Class, Failure};

/// The least time of a health check, in nanoseconds.
const LEAST_HEALTH: i64 = 1_000_000;

/// What flags ask for.
#[derive(Debug)]
pub struct Request {
    /// The document, without what the image says.
    pub document: Document,
    /// What is to be mounted.
    pub mounts: Vec<Wanted>,
    /// The image, as it was written.
    pub image: String,
    /// Program and arguments instead of the image's.
    pub command: Vec<String>,
    /// `--entrypoint`.
    pub entrypoint: Option<String>,
    /// Whether the image's health check is not asked.
    pub health: Option<Healthcheck>,
    /// Where hooks are looked for.
    pub hooks_dirs: Vec<PathBuf>,
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(ENGINE, message)
}

/// What docker's daemon says of a container, where its client says the rest: `create` ends with 1.
fn refused(message: impl Into<String>) -> Failure {
    Failure::new(Class::Refused, message)
}

/// Understands the flags of `run` and `create`.
pub fn understand(flags: &Flags, detach: bool) -> Result<Request, Failure> {
    refuse::flags(flags)?;
    let mut words = flags.words.iter().cloned();
    let image = words.next().unwrap_or_default();
    if let Some(name) = flags.whole.name.as_ref().filter(|name| !name.is_empty()) {
        check_name(name)?;
    }
    let mut config = config(flags, detach)?;
    let (mut host_config, log) = host_config(flags)?;
    let runtime_program = runtime::program(flags.whole.runtime.as_deref())?;
    if runtime_program.is_some() && !host_config.pid_mode.is_empty() {
        return Err(wrong("--pid is not done with another --runtime")
            .help("nobody would end its processes with it: leave one of the two out"));
    }
    if runtime_program.is_some() && host_config.init == Some(true) {
        return Err(wrong("--init is not done with another --runtime")
            .help("the small init is a part of rbuild's own start: leave one of the two out"));
    }
    let mut mounts = Vec::new();
    for (at, text) in flags.files.volumes.iter().enumerate() {
        // The same words twice are the same mount.
        if !flags.files.volumes[..at].contains(text) {
            mounts.push(mounts::volume(text)?);
        }
    }
    let mut described = Vec::new();
    for text in &flags.files.mounts {
        let wanted = mounts::mount(text)?;
        described.push(mounts::described(&wanted));
        mounts.push(wanted);
    }
    host_config.mounts = (!described.is_empty()).then_some(described);
    config.exposed_ports = ports::expose(&flags.network.expose)?;
    for port in host_config.port_bindings.keys() {
        config
            .exposed_ports
            .insert(port.clone(), serde_json::json!({}));
    }
    let networks = networks(flags, &host_config)?;
    let health = health(&flags.health)?;
    Ok(Request {
        document: Document {
            config,
            host_config,
            networks,
            log,
            runtime_program,
            ..Document::default()
        },
        mounts,
        image,
        command: words.collect(),
        entrypoint: flags.process.entrypoint.clone(),
        health,
        hooks_dirs: flags.whole.hooks_dirs.clone(),
    })
}

fn check_name(name: &str) -> Result<(), Failure> {
    if cache::containers::is_name(name.strip_prefix('/').unwrap_or(name)) {
        return Ok(());
    }
    Err(refused(
        cache::ContainerRowError::BadName(name.to_owned()).to_string(),
    ))
}

fn config(flags: &Flags, detach: bool) -> Result<Config, Failure> {
    let process = &flags.process;
    let attached = |stream: &str| {
        if process.attach.is_empty() {
            !detach && (stream != "stdin" || process.interactive)
        } else {
            process
                .attach
                .iter()
                .any(|given| given.eq_ignore_ascii_case(stream))
        }
    };
    for stream in &process.attach {
        if !["stdin", "stdout", "stderr"].contains(&stream.to_ascii_lowercase().as_str()) {
            return Err(wrong(format!(
                "invalid argument \"{stream}\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR"
            )));
        }
    }
    if let Some(signal) = &process.stop_signal
        && signal::number(signal).is_none()
    {
        return Err(refused(format!("Invalid signal: {signal}")));
    }
    if let Some(dir) = &process.workdir
        && !dir.is_empty()
        && !dir.starts_with('/')
    {
        return Err(refused(format!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        )));
    }
    let hostname = flags.network.hostname.clone().unwrap_or_default();
    if hostname.len() > 64 || hostname.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(refused(format!("invalid hostname format: {hostname}")));
    }
    let env = env::given(&process.env, &process.env_files, |name| {
        std::env::var(name).ok()
    })?;
    Ok(Config {
        hostname,
        domainname: flags.network.domainname.clone().unwrap_or_default(),
        user: process.user.clone().unwrap_or_default(),
        attach_stdin: attached("stdin"),
        attach_stdout: attached("stdout"),
        attach_stderr: attached("stderr"),
        tty: process.tty,
        open_stdin: process.interactive,
        stdin_once: process.interactive && attached("stdin"),
        env,
        labels: labels(&flags.whole.labels, &flags.whole.label_files)?,
        working_dir: process.workdir.clone().unwrap_or_default(),
        stop_signal: process.stop_signal.clone().unwrap_or_default(),
        stop_timeout: process.stop_timeout,
        ..Config::default()
    })
}

fn host_config(flags: &Flags) -> Result<(HostConfig, LogSettings), Failure> {
    let (whole, process, files) = (&flags.whole, &flags.process, &flags.files);
    let (network, security) = (&flags.network, &flags.security);
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let policy = restart::policy(&whole.restart)?;
    if whole.rm && !matches!(policy.name.as_str(), "" | "no") {
        return Err(wrong("Conflicting options: --restart and --rm"));
    }
    let (log_config, log) = log(whole.log_driver.as_deref(), &whole.log_options)?;
    let ulimits = ulimits::read(&process.ulimits)?;
    let binds = files
        .volumes
        .iter()
        .filter(|text| text.contains(':'))
        .cloned()
        .collect::<Vec<_>>();
    let mut host = HostConfig {
        binds: some(&binds),
        container_id_file: whole
            .cidfile
            .as_ref()
            .map(|file| file.display().to_string())
            .unwrap_or_default(),
        log_config,
        network_mode: network
            .networks
            .first()
            .cloned()
            .unwrap_or_else(|| "default".to_owned()),
        port_bindings: ports::publish(&network.publish)?,
        restart_policy: policy,
        auto_remove: whole.rm,
        volume_driver: files.volume_driver.clone().unwrap_or_default(),
        volumes_from: some(&files.volumes_from),
        cap_add: some(&security.cap_add),
        cap_drop: some(&security.cap_drop),
        cgroupns_mode: one_of(
            "--cgroupns",
            security.cgroupns.as_deref(),
            &["private", "host"],
            false,
        )?,
        dns: network.dns.clone(),
        dns_options: network.dns_options.clone(),
        dns_search: network.dns_search.clone(),
        extra_hosts: some(&extra_hosts(&network.extra_hosts)?),
        group_add: some(&process.groups),
        ipc_mode: one_of(
            "--ipc",
            security.ipc.as_deref(),
            &["private", "shareable", "host", "none"],
            true,
        )?,
        oom_score_adj: process.oom_score_adj.unwrap_or_default(),
        pid_mode: one_of("--pid", security.pid.as_deref(), &["host"], true)?,
        privileged: security.privileged,
        publish_all_ports: network.publish_all,
        readonly_rootfs: files.read_only,
        security_opt: some(&security.options),
        uts_mode: security.uts.clone().unwrap_or_default(),
        userns_mode: security.userns.clone().unwrap_or_default(),
        shm_size: files.shm_size.filter(|size| *size > 0).unwrap_or(64 << 20),
        sysctls: sysctls(&security.sysctls)?,
        runtime: whole
            .runtime
            .clone()
            .unwrap_or_else(|| runtime::DEFAULT.to_owned()),
        annotations: pairs("--annotation", &whole.annotations)?,
        devices: devices(&files.devices)?,
        ulimits: (!ulimits.is_empty()).then_some(ulimits),
        init: process.init.then_some(true),
        ..HostConfig::default()
    };
    for mode in [&mut host.ipc_mode, &mut host.cgroupns_mode] {
        if mode.is_empty() {
            "private".clone_into(mode);
        }
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(refused(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    for server in &host.dns {
        if server.parse::<std::net::IpAddr>().is_err() {
            return Err(wrong(format!("{server} is not an ip address")));
        }
    }
    for text in &files.tmpfs {
        let (target, options) = mounts::tmpfs(text)?;
        host.tmpfs.insert(target, options);
    }
    super::rights::check(&host)?;
    limits::apply(&flags.limits, &mut host)?;
    Ok((host, log))
}

/// A mode of a namespace; `container:NAME` where another's can be joined.
fn one_of(flag: &str, given: Option<&str>, known: &[&str], join: bool) -> Result<String, Failure> {
    let text = given.unwrap_or_default();
    let is_join = join
        && text
            .strip_prefix("container:")
            .is_some_and(|name| !name.is_empty());
    if text.is_empty() || known.contains(&text) || is_join {
        return Ok(text.to_owned());
    }
    Err(match flag {
        "--ipc" => refused(format!("invalid IPC mode: {text}")),
        "--pid" => wrong("--pid: invalid PID mode"),
        flag => wrong(format!("{flag}: invalid mode: {text}")),
    })
}

/// `HOST:ADDRESS`, checked and written as Docker does.
fn extra_hosts(texts: &[String]) -> Result<Vec<String>, Failure> {
    let mut hosts = Vec::new();
    for text in texts {
        let (host, address) = text
            .split_once('=')
            .or_else(|| text.split_once(':'))
            .filter(|(host, _)| !host.is_empty())
            .ok_or_else(|| wrong(format!("bad format for add-host: \"{text}\"")))?;
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
            return Err(wrong(format!(
                "invalid IP address in add-host: \"{address}\""
            )));
        }
        hosts.push(format!("{host}:{bare}"));
    }
    Ok(hosts)
}

/// Labels of flags and files; one without `=` is empty.
fn labels(
    flags: &[String],
    files: &[std::path::PathBuf],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = Vec::new();
    for file in files {
        // In a file a name alone is no label, as docker has it.
        let lines = env::lines(Path::new(file))?;
        all.extend(lines.into_iter().filter(|line| line.contains('=')));
    }
    all.extend(flags.iter().cloned());
    all.into_iter()
        .map(|label| match label.split_once('=') {
            Some(("", _)) => Err(wrong(format!("invalid label '{label}': empty name"))),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None if label.is_empty() => Err(wrong("invalid label '': empty name".to_owned())),
            None => Ok((label, String::new())),
        })
        .collect()
}

fn pairs(flag: &str, texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    texts
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(wrong(format!(
                "invalid argument \"{text}\" for \"{flag}\" flag: use NAME=VALUE"
            ))),
        })
        .collect()
}

/// Variables of the kernel's, of those that `--sysctl` may set: the domain has a flag of its own.
fn sysctls(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    for text in texts {
        let name = text.split_once('=').map_or("", |(name, _)| name);
        if !matches!(
            SysctlNamespace::of(name),
            Some(SysctlNamespace::Network | SysctlNamespace::Ipc)
        ) {
            return Err(wrong(format!(
                "invalid argument \"{text}\" for \"--sysctl\" flag: sysctl '{text}' is not whitelisted"
            )));
        }
    }
    pairs("--sysctl", texts)
}

fn log(driver: Option<&str>, options: &[String]) -> Result<(LogConfig, LogSettings), Failure> {
    let kind = driver.unwrap_or("json-file");
    let config = pairs("--log-opt", options)?;
    if kind == "none" && !config.is_empty() {
        return Err(wrong("invalid logging opts for driver none"));
    }
    let mut settings = LogSettings {
        keep: kind != "none",
        ..LogSettings::default()
    };
    for (name, value) in &config {
        let invalid = || wrong(format!("invalid value for log opt {name}: {value}"));
        match name.as_str() {
            // What `logs --details` says.
            "labels" | "env" => {}
            "max-size" if value == "-1" => {}
            "max-size" => {
                settings.max_size = Some(crate::cli::value::size(value).map_err(|_| invalid())?);
            }
            "max-file" => {
                settings.max_file = value.parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?;
            }
            _ => {
                return Err(wrong(format!(
                    "unknown log opt '{name}' for {kind} log driver"
                )));
            }
        }
    }
    if settings.max_file > 1 && settings.max_size.is_none() {
        return Err(wrong("max-file cannot be used without max-size"));
    }
    let config = LogConfig {
        kind: kind.to_owned(),
        config,
    };
    Ok((config, settings))
}

/// `HOST[:CONTAINER[:rwm]]`.
fn devices(texts: &[String]) -> Result<Vec<Device>, Failure> {
    let is_mode =
        |text: &str| !text.is_empty() && text.len() <= 3 && text.chars().all(|c| "rwm".contains(c));
    texts
        .iter()
        .map(|text| {
            let parts: Vec<&str> = text.split(':').collect();
            let (source, target, mode) = match parts.as_slice() {
                [source] => (*source, *source, "rwm"),
                [source, mode] if is_mode(mode) => (*source, *source, *mode),
                [source, target] => (*source, *target, "rwm"),
                [source, target, mode] if is_mode(mode) => (*source, *target, *mode),
                [_, _, mode] => return Err(wrong(format!("invalid device mode: {mode}"))),
                _ => return Err(wrong(format!("invalid device specification: {text}"))),
            };
            if !source.starts_with('/') || !target.starts_with('/') {
                return Err(wrong(format!("invalid device specification: {text}")));
            }
            if !(mode.contains('r') && mode.contains('w')) {
                return Err(wrong(format!(
                    "--device {text}: rights less than rw are not done"
                )));
            }
            Ok(Device {
                path_on_host: source.to_owned(),
                path_in_container: target.to_owned(),
                cgroup_permissions: mode.to_owned(),
            })
        })
        .collect()
}

fn networks(flags: &Flags, host: &HostConfig) -> Result<BTreeMap<String, Endpoint>, Failure> {
    let network = &flags.network;
    let name = match host.network_mode.as_str() {
        "default" => "bridge",
        name => name,
    };
    let is_shared = name == "host" || name == "none" || name.starts_with("container:");
    let wanted =
        network.ip.is_some() || network.mac_address.is_some() || !network.aliases.is_empty();
    if is_shared && network.ip.is_some() {
        return Err(refused(
            "user specified IP address is supported on user defined networks only",
        ));
    }
    if name.starts_with("container:") {
        let conflict = |what: &str| {
            Err(refused(format!(
                "conflicting options: {what} and the network mode"
            )))
        };
        if network.hostname.is_some() {
            return conflict("hostname");
        }
        if !network.publish.is_empty() || network.publish_all {
            return conflict("port publishing");
        }
        if !network.expose.is_empty() {
            return conflict("port exposing");
        }
        if network.mac_address.is_some() {
            return conflict("mac-address");
        }
        if !network.dns.is_empty() {
            return conflict("dns");
        }
        if !network.extra_hosts.is_empty() {
            return conflict("custom host-to-IP mapping");
        }
    }
    if (is_shared || name == "bridge") && !network.aliases.is_empty() {
        return Err(refused(
            "network-scoped alias is supported only for containers in user defined networks",
        ));
    }
    if name == "bridge" && network.ip.is_some() {
        return Err(refused(
            "user specified IP address is supported on user defined networks only",
        ));
    }
    if wanted && network.networks.len() > 1 {
        return Err(refused("addresses and aliases need one network alone"));
    }
    let names = network.networks.iter().skip(1).cloned();
    let first = Endpoint {
        aliases: network.aliases.clone(),
        ipv4: network.ip.clone(),
        ipv6: network.ip6.clone(),
        mac: network.mac_address.clone(),
    };
    if let Some(address) = &first.ipv4
        && address.parse::<std::net::Ipv4Addr>().is_err()
    {
        return Err(wrong(format!("invalid IPv4 address: {address}")));
    }
    let mut all = BTreeMap::from([(name.to_owned(), first)]);
    for name in names {
        if is_shared || name == "host" || name == "none" || name.starts_with("container:") {
            return Err(refused(format!(
                "conflicting options: cannot attach both {} and {name}",
                host.network_mode
            )));
        }
        all.insert(name, Endpoint::default());
    }
    Ok(all)
}

fn health(flags: &HealthFlags) -> Result<Option<Healthcheck>, Failure> {
    let has_options = flags.health_cmd.is_some()
        || flags.health_interval.is_some()
        || flags.health_timeout.is_some()
        || flags.health_start_period.is_some()
        || flags.health_start_interval.is_some()
        || flags.health_retries.is_some();
    if flags.no_healthcheck {
        if has_options {
            return Err(wrong("--no-healthcheck conflicts with --health-* options"));
        }
        return Ok(Some(Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        }));
    }
    if !has_options {
        return Ok(None);
    }
    for (what, given) in [
        ("Interval", flags.health_interval),
        ("Timeout", flags.health_timeout),
        ("StartPeriod", flags.health_start_period),
    ] {
        if given.is_some_and(|given| (1..LEAST_HEALTH).contains(&given)) {
            return Err(refused(format!(
                "{what} in Healthcheck cannot be less than 1ms"
            )));
        }
    }
    Ok(Some(Healthcheck {
        test: match &flags.health_cmd {
            Some(command) => vec!["CMD-SHELL".to_owned(), command.clone()],
            None => Vec::new(),
        },
        interval: flags.health_interval.unwrap_or_default(),
        timeout: flags.health_timeout.unwrap_or_default(),
        start_period: flags.health_start_period.unwrap_or_default(),
        start_interval: flags.health_start_interval.unwrap_or_default(),
        retries: i64::from(flags.health_retries.unwrap_or_default()),
    }))
}
