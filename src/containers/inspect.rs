//! Everything that is known of a container, as docker's `inspect` says it.

use std::path::Path;
use std::time::SystemTime;

use cache::{Store, StoredContainer};
use executor::container::plan;
use executor::monitor::{HealthStatus, State, Status};
use executor::network::{Interface, Settings};
use serde_json::{Map, Value as Json, json};

use super::document::{Document, Endpoint, PortBinding};
use super::{find, size};
use crate::report::{Class, Failure};
use crate::template::{Shape, Value};

/// What Docker writes for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A container's JSON; with how much its files take if that is asked for.
pub fn document(store: &Store, row: &StoredContainer, sizes: bool) -> Result<Json, Failure> {
    let document = find::document(store, row)?;
    let status = find::status(store, row)?;
    let folder = find::folder(store, row);
    let settings = settings(&folder, &status)?;
    let path = |name: &str| json!(folder.join(name).display().to_string());
    let mut all = Map::new();
    let mut put = |name: &str, value: Json| {
        all.insert(name.to_owned(), value);
    };
    put("Id", json!(row.id));
    put("Created", json!(document.created));
    put("Path", json!(document.path));
    put("Args", json!(document.args));
    put("State", state(&status));
    put("Image", json!(document.image));
    put("ResolvConfPath", path("resolv.conf"));
    put("HostnamePath", path("hostname"));
    put("HostsPath", path("hosts"));
    put(
        "LogPath",
        if document.log.keep {
            path("log")
        } else {
            json!("")
        },
    );
    put("Name", json!(format!("/{}", row.name)));
    put("RestartCount", json!(status.restart_count));
    put("Driver", json!("overlay2"));
    put("Platform", json!(document.platform));
    put("MountLabel", json!(""));
    put("ProcessLabel", json!(""));
    put("AppArmorProfile", json!(""));
    put("ExecIDs", executions(store, row, &status));
    put("HostConfig", host_config(&document)?);
    put(
        "GraphDriver",
        json!({"Data": graph(store, row, &status), "Name": "overlay2"}),
    );
    if sizes {
        let (own, all) = size::of(store, row)?;
        put("SizeRw", json!(own));
        put("SizeRootFs", json!(all));
    }
    put("Mounts", mounts(&document)?);
    let mut config = plain(&document.config)?;
    if document.config.env.is_empty() {
        config["Env"] = Json::Null;
    }
    put("Config", config);
    put("NetworkSettings", network(&document, &settings, &status));
    Ok(Json::Object(all))
}

/// The ids of what `exec` started and what has not ended: null if there are none.
fn executions(store: &Store, row: &StoredContainer, status: &Status) -> Json {
    let asked = || find::control(store, row).ok()??.status().ok();
    let running = if status.state.is_live() {
        asked()
    } else {
        None
    };
    match running.map(|status| status.executions) {
        Some(ids) if !ids.is_empty() => json!(ids),
        _ => Json::Null,
    }
}

/// What its network is while it runs.
pub fn settings(folder: &Path, status: &Status) -> Result<Settings, Failure> {
    if !matches!(status.state, State::Running | State::Paused) {
        return Ok(Settings::default());
    }
    Settings::read(folder).map_err(|error| Failure::from_error(Class::System, &error))
}

/// RFC 3339 with nanoseconds.
pub fn written(time: Option<SystemTime>) -> String {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since
        .and_then(|since| {
            let seconds = i64::try_from(since.as_secs()).ok()?;
            image::time::rfc3339(seconds, since.subsec_nanos())
        })
        .unwrap_or_else(|| NEVER.to_owned())
}

fn plain(value: &impl serde::Serialize) -> Result<Json, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::from_error(Class::Ours, &error))
}

fn state(status: &Status) -> Json {
    let is = |state: State| status.state == state;
    let mut state = json!({
        "Status": status.state.name(),
        "Running": status.state.is_live(),
        "Paused": is(State::Paused),
        "Restarting": is(State::Restarting),
        "OOMKilled": status.oom_killed,
        "Dead": is(State::Dead),
        "Pid": status.pid,
        "ExitCode": status.exit_code,
        "Error": status.error,
        "StartedAt": written(status.started_at),
        "FinishedAt": written(status.finished_at),
    });
    if let (Some(health), Json::Object(fields)) = (&status.health, &mut state) {
        fields.insert("Health".to_owned(), self::health(health));
    }
    state
}

fn health(health: &HealthStatus) -> Json {
    let log: Vec<Json> = health
        .log
        .iter()
        .map(|check| {
            json!({
                "Start": written(Some(check.start)),
                "End": written(Some(check.end)),
                "ExitCode": check.exit_code,
                "Output": check.output,
            })
        })
        .collect();
    json!({
        "Status": health.status.name(),
        "FailingStreak": health.failing_streak,
        "Log": log,
    })
}

fn host_config(document: &Document) -> Result<Json, Failure> {
    let mut host = plain(&document.host_config)?;
    let Json::Object(fields) = &mut host else {
        return Ok(host);
    };
    let (masked, readonly) = if document.host_config.privileged {
        (Json::Null, Json::Null)
    } else if super::rights::security(&document.host_config)?.unmasked {
        (json!([]), json!([]))
    } else {
        (json!(plan::masked()), json!(plan::protected()))
    };
    // What a program that reads docker's JSON expects, and rbuild has no flag for.
    for (name, value) in [
        ("ConsoleSize", json!([0, 0])),
        ("Isolation", json!("")),
        ("BlkioWeight", json!(0)),
        ("BlkioWeightDevice", json!([])),
        ("BlkioDeviceReadBps", Json::Null),
        ("BlkioDeviceWriteBps", Json::Null),
        ("BlkioDeviceReadIOps", Json::Null),
        ("BlkioDeviceWriteIOps", Json::Null),
        ("CpuRealtimePeriod", json!(0)),
        ("CpuRealtimeRuntime", json!(0)),
        ("DeviceCgroupRules", Json::Null),
        ("DeviceRequests", Json::Null),
        ("KernelMemory", json!(0)),
        ("KernelMemoryTCP", json!(0)),
        ("MemorySwappiness", Json::Null),
        ("OomKillDisable", json!(false)),
        ("CpuCount", json!(0)),
        ("CpuPercent", json!(0)),
        ("IOMaximumIOps", json!(0)),
        ("IOMaximumBandwidth", json!(0)),
        ("MaskedPaths", masked),
        ("ReadonlyPaths", readonly),
    ] {
        fields.entry(name).or_insert(value);
    }
    Ok(host)
}

fn mounts(document: &Document) -> Result<Json, Failure> {
    let mut all = plain(&document.mounts)?;
    for mount in all.as_array_mut().into_iter().flatten() {
        if let Json::Object(fields) = mount {
            fields.remove("Memory");
        }
    }
    Ok(all)
}

/// Where the layers are; `MergedDir` leads through the container's own root while it runs.
fn graph(store: &Store, row: &StoredContainer, status: &Status) -> Json {
    let folder = find::folder(store, row);
    let dirs = store.layer_dirs(&row.stack).unwrap_or_default();
    let lower: Vec<String> = dirs
        .iter()
        .rev()
        .map(|dir| store.root().join(dir).display().to_string())
        .collect();
    let merged = match status.pid {
        0 => folder.join("merged").display().to_string(),
        pid => format!("/proc/{pid}/root"),
    };
    json!({
        "LowerDir": lower.join(":"),
        "MergedDir": merged,
        "UpperDir": folder.join("fs").display().to_string(),
        "WorkDir": folder.join("work").display().to_string(),
    })
}

fn network(document: &Document, settings: &Settings, status: &Status) -> Json {
    let default = settings
        .interfaces
        .iter()
        .find(|interface| interface.network == "bridge");
    let networks: Map<String, Json> = networks(document, settings);
    json!({
        "Bridge": "",
        "SandboxID": if status.state.is_live() { document.id.as_str() } else { "" },
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": ports(document, settings, status),
        "SandboxKey": match status.pid {
            0 => String::new(),
            pid => format!("/proc/{pid}/ns/net"),
        },
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": default.map_or("", |found| &found.endpoint),
        "Gateway": default.map_or(String::new(), |found| found.gateway.to_string()),
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": default.map_or(String::new(), |found| found.address.to_string()),
        "IPPrefixLen": default.map_or(0, |found| found.prefix),
        "IPv6Gateway": "",
        "MacAddress": default.map_or(String::new(), |found| mac(&found.mac)),
        "Networks": networks,
    })
}

/// The networks that it is on: those of its document, and those that it was connected to since.
fn networks(document: &Document, settings: &Settings) -> Map<String, Json> {
    let mut names: Vec<&String> = document
        .networks
        .keys()
        .filter(|name| !name.starts_with("container:"))
        .collect();
    for interface in &settings.interfaces {
        if !names.contains(&&interface.network) {
            names.push(&interface.network);
        }
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let interface = settings.interfaces.iter().find(|up| up.network == *name);
            let wanted = document.networks.get(name);
            let aliases = match (interface, wanted) {
                (Some(up), _) => up.aliases.clone(),
                (None, Some(wanted)) => wanted.aliases.clone(),
                (None, None) => Vec::new(),
            };
            (name.clone(), endpoint(interface, wanted, aliases))
        })
        .collect()
}

fn endpoint(
    interface: Option<&Interface>,
    wanted: Option<&Endpoint>,
    aliases: Vec<String>,
) -> Json {
    let address = wanted.and_then(|wanted| wanted.ipv4.as_ref());
    json!({
        "IPAMConfig": address.map(|address| json!({"IPv4Address": address})),
        "Links": null,
        "Aliases": if aliases.is_empty() { Json::Null } else { json!(aliases) },
        "NetworkID": interface.map_or("", |up| &up.network_id),
        "EndpointID": interface.map_or("", |up| &up.endpoint),
        "Gateway": interface.map_or(String::new(), |up| up.gateway.to_string()),
        "IPAddress": interface.map_or(String::new(), |up| up.address.to_string()),
        "IPPrefixLen": interface.map_or(0, |up| up.prefix),
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": interface.map_or(String::new(), |up| mac(&up.mac)),
        "DriverOpts": null,
    })
}

/// Published ports, and exposed ones that are not: null.
pub fn ports(document: &Document, settings: &Settings, status: &Status) -> Json {
    let mut all = Map::new();
    if !matches!(status.state, State::Running | State::Paused) || document.is_shared() {
        return Json::Object(all);
    }
    for port in document.config.exposed_ports.keys() {
        all.insert(port.clone(), Json::Null);
    }
    for one in &settings.published {
        let binding = PortBinding {
            host_ip: one.host.to_string(),
            host_port: one.host_port.to_string(),
        };
        let name = format!("{}/{}", one.port, one.protocol);
        match all.entry(name).or_insert(Json::Null) {
            Json::Array(bindings) => bindings.push(json!(binding)),
            empty => *empty = json!([binding]),
        }
    }
    Json::Object(all)
}

fn mac(bytes: &[u8; 6]) -> String {
    let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// The JSON as docker's types have it: what is left out can be asked for all the same.
pub fn value(document: &Json) -> Value {
    let shape = |name: &str| match name {
        "Labels" | "ExposedPorts" | "Volumes" | "Tmpfs" | "Sysctls" | "Ports" | "Networks"
        | "PortBindings" | "Annotations" | "Data" => Some(Shape::Map),
        "Env" | "Cmd" | "Entrypoint" | "OnBuild" | "Shell" | "Args" | "Test" | "Binds"
        | "CapAdd" | "CapDrop" | "Dns" | "DnsOptions" | "DnsSearch" | "ExtraHosts" | "GroupAdd"
        | "Links" | "SecurityOpt" | "VolumesFrom" | "Aliases" | "Devices" | "Ulimits" | "Log"
        | "ExecIDs" | "Mounts" => Some(Shape::List),
        _ => None,
    };
    Value::of(document, &shape)
        .and_omitted([("SizeRw", Value::Nil), ("SizeRootFs", Value::Nil)])
        .with_field("State", |state| state.and_omitted([("Health", Value::Nil)]))
        .with_field("Mounts", |mounts| {
            mounts.with_items(|mount| {
                mount.and_omitted([("Name", Value::text("")), ("Driver", Value::text(""))])
            })
        })
        .with_field("HostConfig", |host| {
            host.with_field("LogConfig", |log| log.with_field("Config", Value::into_map))
                .and_omitted([
                    ("Tmpfs", Value::Map(None)),
                    ("Sysctls", Value::Map(None)),
                    ("Annotations", Value::Map(None)),
                    ("Mounts", Value::List(None)),
                    ("Init", Value::Nil),
                ])
        })
        .with_field("Config", |config| {
            config.and_omitted([
                ("ExposedPorts", Value::Map(None)),
                ("Healthcheck", Value::Nil),
                ("StopSignal", Value::text("")),
                ("StopTimeout", Value::Nil),
                ("Shell", Value::List(None)),
            ])
        })
}
