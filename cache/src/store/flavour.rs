//! What a store was made for, remembered in `store.json`, so that opening it again asks nothing.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::StoreError;

/// The layout that this program reads and writes.
pub(super) const FORMAT: u64 = 1;

/// Who wrote a store's layers, which decides how they are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavour {
    /// Where overlay keeps its marks.
    pub xattrs: Xattrs,
    /// How ids of containers are those of the file system, as in `/proc/PID/uid_map` and
    /// `gid_map`; none while nobody needed it, and for root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_map: Option<String>,
    /// The user who made it.
    pub uid: u32,
}

/// Namespace of overlay's extended attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Xattrs {
    /// `trusted.overlay.*`: with CAP_SYS_ADMIN in the first user namespace.
    Trusted,
    /// `user.overlay.*`, mounted with `userxattr`: everybody else.
    User,
}

impl Xattrs {
    /// The attribute that marks a directory as opaque.
    pub const fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    /// The attribute that makes a whiteout of an empty file.
    pub const fn whiteout(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.whiteout",
            Self::User => "user.overlay.whiteout",
        }
    }

    /// What this process has to use: `trusted` with CAP_SYS_ADMIN in the first user namespace,
    /// whatever the user id is.
    pub fn of_this_process() -> Self {
        const CAP_SYS_ADMIN: u32 = 21;
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let whole = read("/proc/self/uid_map")
            .split_whitespace()
            .eq(["0", "0", "4294967295"]);
        let capable = read("/proc/self/status")
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
            .is_some_and(|set| set >> CAP_SYS_ADMIN & 1 == 1);
        if whole && capable {
            Self::Trusted
        } else {
            Self::User
        }
    }
}

impl Flavour {
    /// For people: `rootless, ids 0 1000 1`.
    pub(super) fn describe(&self) -> String {
        let kind = match self.xattrs {
            Xattrs::Trusted => "as root",
            Xattrs::User => "rootless",
        };
        match &self.id_map {
            Some(map) => format!(
                "{kind} with ids {}",
                map.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
            None => kind.to_owned(),
        }
    }
}

/// The content of `store.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u64,
    #[serde(flatten)]
    pub(super) body: Option<Body>,
}

/// What stands beside the format, if it is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) flavour: Flavour,
    pub(super) probe: Probed,
}

/// What was found to work here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Probed {
    /// The file system's name.
    pub file_system: String,
    /// Kernel release under which an overlay was mounted over this file system; none if nobody tried yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Whether files can share their blocks (FICLONE).
    #[serde(default)]
    pub reflink: bool,
}

/// Reads `store.json`; none if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Header>, StoreError> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::io("read", path))?,
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| StoreError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

/// Writes `store.json` whole or not at all.
pub(super) fn write(path: &Path, scratch: &Path, body: &Body) -> Result<(), StoreError> {
    let header = Header {
        format: FORMAT,
        body: Some(body.clone()),
    };
    let mut text = serde_json::to_vec_pretty(&header).unwrap_or_default();
    text.push(b'\n');
    let mut file = std::fs::File::create(scratch).map_err(StoreError::io("make", scratch))?;
    file.write_all(&text)
        .and_then(|()| file.sync_data())
        .and_then(|()| std::fs::rename(scratch, path))
        .map_err(StoreError::io("write", path))
}
