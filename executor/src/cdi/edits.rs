//! What a container gets with its devices: variables, nodes, mounts, groups. What cannot be had is
//! refused by name, never left out.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::CdiError;
use super::file::{ContainerEdits, DeviceNode, Mount as FileMount};
use crate::container::spec::{Device, Mount, MountSource, Propagation};

/// Owner of what belongs to nobody here.
const NOBODY: u32 = 65_534;

/// Changes of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Variables, `NAME=value`; they win over the step's own.
    pub env: Vec<String>,
    /// Device nodes.
    pub devices: Vec<Device>,
    /// Files and directories of the host.
    pub mounts: Vec<Mount>,
    /// Groups of the process, by number.
    pub groups: Vec<String>,
}

impl Edits {
    /// The files and directories of the host that are mounted.
    pub fn host_sources(&self) -> impl Iterator<Item = &Path> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Host(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// Adds what `device` brings; what it brings to a place wins over what is there.
    pub(super) fn add(&mut self, device: &str, edits: &ContainerEdits) -> Result<(), CdiError> {
        let unsupported = |what: String| CdiError::Unsupported {
            device: device.to_owned(),
            what,
        };
        if let Some(hook) = edits.hooks.first() {
            return Err(unsupported(format!(
                "the {} hook {}",
                hook.hook_name, hook.path
            )));
        }
        if !edits.net_devices.is_empty() {
            return Err(unsupported("network devices".to_owned()));
        }
        if edits.intel_rdt.is_some() {
            return Err(unsupported("intelRdt".to_owned()));
        }
        for variable in &edits.env {
            let name = |text: &str| text.split('=').next().map(str::to_owned);
            self.env.retain(|known| name(known) != name(variable));
            self.env.push(variable.clone());
        }
        for node in &edits.device_nodes {
            let node = self::node(device, node)?;
            self.devices.retain(|known| known.target != node.target);
            self.devices.push(node);
        }
        for mount in &edits.mounts {
            let mount = self::mount(device, mount)?;
            self.mounts.retain(|known| known.target != mount.target);
            self.mounts.push(mount);
        }
        let groups = edits.additional_gids.iter().filter(|gid| **gid != 0);
        self.groups.extend(groups.map(u32::to_string));
        Ok(())
    }
}

/// A node is the host's own one, mounted: it has the numbers, mode and owner that it has there.
fn node(device: &str, node: &DeviceNode) -> Result<Device, CdiError> {
    let host = if node.host_path.is_empty() {
        &node.path
    } else {
        &node.host_path
    };
    let wrong = |why: String| CdiError::Host {
        device: device.to_owned(),
        path: PathBuf::from(host),
        why,
    };
    if !node.path.starts_with('/') {
        return Err(wrong(format!("the path {:?} is not absolute", node.path)));
    }
    if Path::new(host).strip_prefix("/dev").is_err() {
        return Err(wrong("only devices below /dev can be given".to_owned()));
    }
    let unsupported = |what: &str| CdiError::Unsupported {
        device: device.to_owned(),
        what: what.to_owned(),
    };
    let lacks = |right: char| !node.permissions.contains(right);
    if !node.permissions.is_empty() && (lacks('r') || lacks('w')) {
        let what = format!("{host} with the rights {:?} alone", node.permissions);
        return Err(unsupported(&what));
    }
    let found = std::fs::metadata(host).map_err(|error| wrong(error.to_string()))?;
    let kind = match found.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return Err(wrong("it is no device".to_owned())),
    };
    let wanted = if node.kind == "u" { "c" } else { &node.kind };
    let numbers = (major(found.rdev()), minor(found.rdev()));
    if !wanted.is_empty() && wanted != kind {
        return Err(wrong(format!("it is of type {kind}, not {wanted}")));
    }
    if node.major != 0 && numbers != (node.major, node.minor) {
        let (major, minor) = numbers;
        let asked = format!("{}:{}", node.major, node.minor);
        return Err(wrong(format!("it is {major}:{minor}, not {asked}")));
    }
    if { node.file_mode }.is_some_and(|mode| mode & 0o777 != found.mode() & 0o777) {
        return Err(unsupported(&format!(
            "{host} with another mode than its own"
        )));
    }
    let owners = [
        (node.uid, found.uid(), "/proc/self/uid_map"),
        (node.gid, found.gid(), "/proc/self/gid_map"),
    ];
    let is_other = |(asked, own, map): (Option<u32>, u32, &str)| {
        let map = || std::fs::read_to_string(map).unwrap_or_default();
        asked.is_some_and(|asked| here(asked, &map()) != own)
    };
    if owners.into_iter().any(is_other) {
        return Err(unsupported(&format!(
            "{host} with another owner than its own"
        )));
    }
    Ok(Device {
        source: PathBuf::from(host),
        target: node.path.clone(),
    })
}

/// How an id of the host is seen here: a specification is written for the host, and a user's build is in
/// a namespace of its own, where nobody can tell apart those that it has no ids for. `map` is as in
/// user_namespaces(7).
pub(super) fn here(id: u32, map: &str) -> u32 {
    let seen = map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (inside, outside, count) = (next()?, next()?, next()?);
        let offset = id.checked_sub(outside).filter(|offset| *offset < count)?;
        inside.checked_add(offset)
    });
    seen.unwrap_or(NOBODY)
}

fn mount(device: &str, mount: &FileMount) -> Result<Mount, CdiError> {
    let wrong = |why: String| CdiError::Host {
        device: device.to_owned(),
        path: PathBuf::from(&mount.host_path),
        why,
    };
    let unsupported = |what: String| CdiError::Unsupported {
        device: device.to_owned(),
        what,
    };
    if !matches!(mount.kind.as_str(), "" | "bind" | "none") {
        return Err(unsupported(format!("a mount of type {}", mount.kind)));
    }
    if !mount.container_path.starts_with('/') {
        let target = &mount.container_path;
        return Err(wrong(format!("its target {target:?} is not absolute")));
    }
    let source =
        { Path::new(&mount.host_path).canonicalize() }.map_err(|error| wrong(error.to_string()))?;
    let mut made = Mount {
        target: mount.container_path.clone(),
        source: MountSource::Host(source),
        readonly: false,
        nosuid: false,
        noexec: false,
        propagation: Propagation::Private,
    };
    for option in &mount.options {
        match option.as_str() {
            "ro" => made.readonly = true,
            "nosuid" => made.nosuid = true,
            "noexec" => made.noexec = true,
            "rslave" | "slave" => made.propagation = Propagation::Slave,
            "rshared" | "shared" => made.propagation = Propagation::Shared,
            // devices come as nodes, and what is mounted below is mounted too
            "rw" | "suid" | "exec" | "nodev" | "bind" | "rbind" | "private" | "rprivate" => {}
            other => {
                let what = format!("{} mounted with {other:?}", mount.host_path);
                return Err(unsupported(what));
            }
        }
    }
    Ok(made)
}
