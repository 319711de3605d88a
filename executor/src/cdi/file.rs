//! One specification, JSON or YAML. What it has beyond the interface's fields makes it none: a device
//! that is half understood is not given to anybody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// No honest specification is larger.
const LARGEST: u64 = 4 << 20;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Specification {
    pub cdi_version: String,
    pub kind: String,
    #[serde(default, deserialize_with = "texts")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub devices: Vec<Device>,
    #[serde(default)]
    pub container_edits: ContainerEdits,
}

/// One of its devices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Device {
    pub name: String,
    #[serde(default, deserialize_with = "texts")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub container_edits: ContainerEdits,
}

/// What a container is changed by.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct ContainerEdits {
    pub env: Vec<String>,
    pub device_nodes: Vec<DeviceNode>,
    pub mounts: Vec<Mount>,
    pub additional_gids: Vec<u32>,
    pub hooks: Vec<Hook>,
    pub net_devices: Vec<serde_json::Value>,
    pub intel_rdt: Option<serde_json::Value>,
}

/// A device node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct DeviceNode {
    pub path: String,
    pub host_path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub major: u32,
    pub minor: u32,
    pub file_mode: Option<u32>,
    pub permissions: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Mount {
    pub host_path: String,
    pub container_path: String,
    pub options: Vec<String>,
    #[serde(rename = "type")]
    pub kind: String,
}

/// A program to be run beside the container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Hook {
    pub hook_name: String,
    pub path: String,
}

/// Annotations are texts; YAML writers forget the quotes of `true`.
fn texts<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(k, v)| (k, text(v))).collect())
}

/// The specifications of a directory, by name; directories in it are not looked into.
pub(super) fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = { entries.map(|entry| entry.path()) }
        .filter(|path| path.extension().is_some_and(|e| e == "json" || e == "yaml"))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
}

/// Reads a specification.
pub(super) fn read(path: &Path) -> Result<Specification, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > LARGEST {
        return Err("too large".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let specification: Specification = if path.extension().is_some_and(|e| e == "json") {
        serde_json::from_str(&text).map_err(|e| e.to_string())?
    } else {
        let why = |e: serde_saphyr::Error| e.to_string().lines().next().map(str::to_owned);
        serde_saphyr::from_str(&text).map_err(|e| why(e).unwrap_or_default())?
    };
    match specification.kind.split_once('/') {
        Some((vendor, class)) if is_name(vendor) && is_name(class) => {}
        _ => return Err(format!("kind {:?} is not VENDOR/CLASS", specification.kind)),
    }
    if !specification.cdi_version.starts_with(['0', '1']) {
        return Err(format!(
            "version {:?} is not known",
            specification.cdi_version
        ));
    }
    match specification.devices.iter().find(|d| !is_name(&d.name)) {
        Some(device) => Err(format!("{:?} is no name of a device", device.name)),
        None => Ok(specification),
    }
}

/// Letters, digits and what may stand between them.
fn is_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next()) && ends(text.chars().next_back()) && { text.chars() }
        .all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
}
