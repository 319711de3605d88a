//! `info`: what there is, and what this machine can do.

use std::fmt::Write as _;
use std::path::Path;

use cache::Store;
use executor::monitor::State;
use executor::namespace::{Report, Tier, examine};
use rustix::fs::{Dir, FileType};
use serde_json::{Value as Json, json};

use crate::cli::system::InfoArgs;
use crate::commands::doctor;
use crate::containers::find;
use crate::home::{Home, store_failure};
use crate::images::settle_all;
use crate::report::{Class, Failure};

/// Shows it; what is missing is said on standard error.
pub fn run(args: &InfoArgs, home: &Home) -> anyhow::Result<u8> {
    let report = examine().map_err(|error| Failure::from_error(Class::System, &error))?;
    let store = home.enter_and_open()?;
    settle_all(&store, &crate::stop::on_signal()).map_err(|error| error.failure())?;
    let warnings = doctor::warnings(&report);
    let document = document(&store, &report, &warnings)?;
    super::print(&document, args.format.as_deref(), || text(&document))?;
    if args.format.is_none() {
        for warning in &warnings {
            crate::report::note(&format!("WARNING: {warning}"));
        }
    }
    Ok(0)
}

fn document(store: &Store, report: &Report, warnings: &[String]) -> Result<Json, Failure> {
    let (mut running, mut paused, mut stopped) = (0, 0, 0);
    for row in store.containers().map_err(|error| store_failure(&error))? {
        match find::status(store, &row)?.state {
            State::Running | State::Restarting => running += 1,
            State::Paused => paused += 1,
            _ => stopped += 1,
        }
    }
    let images = store.images().map_err(|error| store_failure(&error))?.len();
    let uname = rustix::system::uname();
    let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let processors = rustix::thread::sched_getaffinity(None).map_or(1, |set| set.count());
    let memory = rustix::system::sysinfo();
    let is_rootless = !matches!(report.tier, Tier::Root);
    let mut security = vec!["name=seccomp,profile=default"];
    if is_rootless {
        security.push("name=rootless");
    }
    let (version, driver) = if report.unified_cgroups {
        ("2", "cgroupfs")
    } else {
        ("1", "none")
    };
    let yes = |yes: bool| if yes { "true" } else { "false" };
    Ok(json!({
        "ID": "",
        "Containers": running + paused + stopped,
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": stopped,
        "Images": images,
        "Driver": "overlay2",
        "DriverStatus": [
            ["Backing Filesystem", file_system(store.root())],
            ["Supports d_type", yes(says_types(store.root()))],
            // every overlay is mounted without redirects and copies of metadata alone: what a
            // container changed is what lies in its upper directory, whatever the kernel
            ["Native Overlay Diff", "true"],
            ["userxattr", yes(is_rootless)],
        ],
        "LoggingDriver": "json-file",
        "CgroupDriver": driver,
        "CgroupVersion": version,
        "MemoryLimit": report.unified_cgroups,
        "SwapLimit": report.unified_cgroups,
        "PidsLimit": report.unified_cgroups,
        "CPUShares": report.unified_cgroups,
        "CPUSet": report.unified_cgroups,
        "DefaultRuntime": "rbuild",
        "Runtimes": { "rbuild": { "path": "rbuild" } },
        "SecurityOptions": security,
        "KernelVersion": word(uname.release()),
        "OperatingSystem": system_name(),
        "OSType": "linux",
        "Architecture": word(uname.machine()),
        "NCPU": processors,
        "MemTotal": memory.totalram.saturating_mul(memory.mem_unit.into()),
        "Name": word(uname.nodename()),
        "DockerRootDir": store.root(),
        "ServerVersion": env!("CARGO_PKG_VERSION"),
        "Warnings": warnings,
    }))
}

fn text(document: &Json) -> String {
    let field = |name: &str| match &document[name] {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out = format!(
        "Containers: {}\n Running: {}\n Paused: {}\n Stopped: {}\n",
        field("Containers"),
        field("ContainersRunning"),
        field("ContainersPaused"),
        field("ContainersStopped")
    );
    // Writing to a text cannot fail.
    let _ = writeln!(out, "Images: {}", field("Images"));
    let _ = writeln!(out, "Server Version: {}", field("ServerVersion"));
    let _ = writeln!(out, "Storage Driver: {}", field("Driver"));
    for pair in document["DriverStatus"].as_array().into_iter().flatten() {
        let word = |at: usize| pair[at].as_str().unwrap_or_default();
        let _ = writeln!(out, " {}: {}", word(0), word(1));
    }
    for (title, name) in [
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
        ("Default Runtime", "DefaultRuntime"),
    ] {
        let _ = writeln!(out, "{title}: {}", field(name));
    }
    out.push_str("Security Options:\n");
    for option in document["SecurityOptions"].as_array().into_iter().flatten() {
        let option = option.as_str().unwrap_or_default();
        let mut words = option.split(',').filter_map(|word| word.split_once('='));
        let _ = writeln!(out, " {}", words.next().unwrap_or_default().1);
        for (name, value) in words {
            let _ = writeln!(out, "  {name}: {value}");
        }
    }
    for (title, name) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        let _ = writeln!(out, "{title}: {}", field(name));
    }
    let memory = document["MemTotal"].as_u64().unwrap_or_default() as f64;
    let _ = writeln!(out, "Total Memory: {:.4}GiB", memory / f64::from(1 << 30));
    let _ = writeln!(out, "Name: {}", field("Name"));
    let _ = writeln!(out, "Docker Root Dir: {}", field("DockerRootDir"));
    out
}

/// The name that docker has for a kind of file system, from statfs(2); the kernel's number for others.
fn file_system(path: &Path) -> String {
    let Ok(stat) = rustix::fs::statfs(path) else {
        return "unknown".to_owned();
    };
    match stat.f_type as u64 & 0xffff_ffff {
        0xef53 => "extfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        other => format!("0x{other:x}"),
    }
}

/// Whether directories say what their entries are, without which an overlay does not work.
fn says_types(path: &Path) -> bool {
    let Ok(dir) = std::fs::File::open(path) else {
        return false;
    };
    let Ok(mut entries) = Dir::read_from(dir) else {
        return false;
    };
    entries.all(|entry| entry.is_ok_and(|entry| entry.file_type() != FileType::Unknown))
}

/// PRETTY_NAME of os-release(5).
fn system_name() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("Linux", |name| name.trim_matches('"'))
        .to_owned()
}
