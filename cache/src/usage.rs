//! How much room things take on disk, as du(1) counts it.
//!
//! Layers do not change, so each is measured once and its size kept; cache mounts are measured
//! again after each use.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rusqlite::params;

use crate::store::{Store, StoreError};

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Everything that can be pruned, most recently used first.
    pub items: Vec<UsageItem>,
    /// Bytes of the files of images' layers, whoever else uses them.
    pub images: u64,
    /// Bytes of all blobs.
    pub blobs: u64,
    /// Bytes of containers, history, rows, the ballast and what is in the making.
    pub other: u64,
    /// Bytes in all.
    pub total: u64,
}

/// One thing that takes room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageItem {
    /// A record's key, a layer's, mount's or context's id.
    pub id: String,
    /// What it is.
    pub kind: UsageKind,
    /// For people.
    pub description: String,
    /// Bytes of what only it uses, and would go with it.
    pub unique: u64,
    /// Bytes of what others use too.
    pub shared: u64,
    /// Whether somebody reads it, or an image needs it.
    pub in_use: bool,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it was used last.
    pub used: i64,
    /// How often.
    pub uses: u64,
}

/// Kinds of things, by BuildKit's names for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UsageKind {
    /// A record with its layer.
    Regular,
    /// A cache mount.
    CacheMount,
    /// The index of a context.
    Local,
}

impl UsageKind {
    /// `regular`, `exec.cachemount` or `source.local`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::CacheMount => "exec.cachemount",
            Self::Local => "source.local",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Regular, Self::CacheMount, Self::Local]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Bytes of the blocks of one file, without what is in it if it is a directory; 0 if it is not there.
pub fn allocated(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |meta| meta.blocks() * 512)
}

/// Bytes of the blocks of a tree, each inode once. What cannot be read counts as nothing.
pub fn tree_size(path: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut total = allocated(path);
    let mut open = vec![path.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), meta.ino())) {
                continue;
            }
            total += meta.blocks() * 512;
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    total
}

impl Store {
    /// What the store holds. The sizes are those of du(1) at this moment.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        self.measure()?;
        let plan = crate::prune::inventory(self)?;
        let mut usage = Usage {
            items: plan.items(self),
            images: plan.image_bytes(),
            blobs: tree_size(&self.blobs_dir()),
            ..Usage::default()
        };
        usage.items.sort_by_key(|item| std::cmp::Reverse(item.used));
        let layers: u64 = plan.layer_bytes() + allocated(&self.layers_dir());
        let mounts: u64 = plan.mount_bytes() + allocated(&self.mounts_dir());
        let trees: u64 = [
            self.contexts_dir(),
            self.listings_dir(),
            self.builds_dir(),
            self.containers_dir(),
            self.tmp_dir(),
        ]
        .iter()
        .map(|path| tree_size(path))
        .sum();
        let files: u64 = [
            self.root().to_owned(),
            self.root().join("store.json"),
            self.leases_file(),
            self.ballast_file(),
            self.root().join("blobs"),
            self.root().join("layers"),
            self.root().join("contexts"),
            self.root().join("listings"),
            self.root().join("mounts"),
        ]
        .iter()
        .map(|path| allocated(path))
        .sum();
        usage.other = trees + files + self.database().size();
        usage.total = layers + mounts + usage.blobs + usage.other;
        Ok(usage)
    }

    /// Measures what was not measured yet.
    pub(crate) fn measure(&self) -> Result<(), StoreError> {
        for (table, dir) in [("layers", self.layers_dir()), ("mounts", self.mounts_dir())] {
            let ids: Vec<String> = self.database().read("list sizes", |connection| {
                connection
                    .prepare(&format!("SELECT id FROM {table} WHERE size IS NULL"))?
                    .query_map([], |row| row.get(0))?
                    .collect()
            })?;
            if ids.is_empty() {
                continue;
            }
            let sizes: HashMap<String, u64> = ids
                .into_par_iter()
                .map(|id| {
                    let size = tree_size(&PathBuf::from(&dir).join(&id));
                    (id, size)
                })
                .collect();
            let db = self.database();
            db.write("note sizes", |transaction| {
                let mut update = transaction
                    .prepare(&format!("UPDATE {table} SET size = ?2 WHERE id = ?1"))
                    .map_err(db.error("note sizes"))?;
                for (id, size) in &sizes {
                    update
                        .execute(params![id, *size as i64])
                        .map_err(db.error("note sizes"))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
