//! The host's devices that a container may use, as another runtime wants to be told. Looked for where
//! the host's files are. Knows no runtime.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::spec::ContainerSpec;

/// Those of /dev that are the container's own, whoever it is.
const OWN: [&str; 2] = ["ptmx", "console"];

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its path in the container's own /dev, if the runtime is to make it; else it is mounted.
    pub(crate) path: Option<PathBuf>,
    /// Whether it is a block device.
    pub(crate) block: bool,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Node {
    /// Its type, as the specification says it.
    pub(crate) fn kind(&self) -> &'static str {
        if self.block { "b" } else { "c" }
    }
}

/// All of the host's for one that is privileged, and those that were asked for.
pub(super) fn of(spec: &ContainerSpec) -> Vec<Node> {
    let mut nodes = Vec::new();
    if spec.security.privileged {
        for (path, found) in entries(Path::new("/dev")) {
            if !OWN.iter().any(|name| path.ends_with(name)) {
                nodes.extend(node(Some(path), &found));
            }
        }
    }
    for device in &spec.devices {
        below(&device.source, &mut nodes);
    }
    nodes
}

/// A device, or those in a directory of devices.
fn below(path: &Path, nodes: &mut Vec<Node>) {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            for (path, found) in entries(path) {
                if found.is_dir() {
                    below(&path, nodes);
                } else {
                    nodes.extend(node(None, &found));
                }
            }
        }
        Ok(found) => nodes.extend(node(None, &found)),
        // mounting it will say so
        Err(_) => {}
    }
}

/// What is in a directory; a link counts as what it is.
fn entries(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .collect()
}

fn node(path: Option<PathBuf>, found: &Metadata) -> Option<Node> {
    let kind = found.file_type();
    (kind.is_block_device() || kind.is_char_device()).then(|| Node {
        path,
        block: kind.is_block_device(),
        major: rustix::fs::major(found.rdev()),
        minor: rustix::fs::minor(found.rdev()),
        mode: found.mode(),
        uid: found.uid(),
        gid: found.gid(),
    })
}
