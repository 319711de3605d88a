//! What the rows and directories hold, and who needs it.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

use image::Digest;
use rusqlite::Connection;
use solver::CacheKey;

use crate::layer::LayerId;
use crate::pins::marks;
use crate::store::{Store, StoreError};
use crate::usage::{UsageItem, UsageKind};
use crate::{containers, images, pins, records};

/// Everything that prune decides about.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) records: Vec<RecordRow>,
    /// Layers with their sizes.
    pub(crate) layers: HashMap<LayerId, u64>,
    /// Layers that images and drafts show.
    pub(crate) image_layers: HashSet<LayerId>,
    /// What living processes and containers have pinned.
    pub(crate) pinned: HashSet<String>,
    /// Blobs that images name.
    pub(crate) blobs: HashSet<Digest>,
    /// Blobs that are compressed forms of layers.
    pub(crate) forms: Vec<(LayerId, Digest)>,
    /// The blobs that there are, with their sizes.
    pub(crate) blob_sizes: HashMap<Digest, u64>,
    /// Records of builds that the user keeps.
    pub(crate) kept: HashSet<CacheKey>,
    pub(crate) mounts: Vec<MountRow>,
    pub(crate) contexts: Vec<ContextFile>,
}

#[derive(Debug, Clone)]
pub(crate) struct RecordRow {
    pub(crate) key: CacheKey,
    /// Lowest first; before a layer that amends another stands that one.
    pub(crate) stack: Vec<LayerId>,
    pub(crate) name: String,
    pub(crate) created: i64,
    pub(crate) used: i64,
    pub(crate) uses: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct MountRow {
    pub(crate) id: String,
    pub(crate) identity: String,
    pub(crate) created: i64,
    pub(crate) used: i64,
    pub(crate) uses: u64,
    pub(crate) size: u64,
    /// Replaced by a fresh one: nobody will ask for it again.
    pub(crate) retired: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ContextFile {
    pub(crate) id: String,
    pub(crate) used: i64,
    pub(crate) size: u64,
}

/// The inventory at this moment.
pub(crate) fn inventory(store: &Store) -> Result<Inventory, StoreError> {
    store.database().read("list what there is", |connection| {
        Inventory::load(store, connection)
    })
}

impl Inventory {
    pub(crate) fn load(store: &Store, connection: &Connection) -> rusqlite::Result<Self> {
        let amended = amended(connection)?;
        let with_amended = |stack: Vec<LayerId>| -> Vec<LayerId> {
            let pairs = stack.into_iter().map(|id| (amended.get(&id).cloned(), id));
            pairs
                .flat_map(|(amended, id)| amended.into_iter().chain([id]))
                .collect()
        };
        let records = connection
            .prepare("SELECT key, stack, name, created, used, uses FROM records")?
            .query_map([], |row| {
                Ok(RecordRow {
                    key: CacheKey(row.get(0)?),
                    stack: with_amended(records::split_stack(row.get_ref(1)?.as_str()?)),
                    name: row.get(2)?,
                    created: row.get(3)?,
                    used: row.get(4)?,
                    uses: row.get::<_, i64>(5)? as u64,
                })
            })?
            .collect::<Result<_, _>>()?;
        let layers: HashMap<LayerId, u64> = connection
            .prepare("SELECT id, coalesce(size, 0) FROM layers")?
            .query_map([], |row| {
                Ok((LayerId(row.get(0)?), row.get::<_, i64>(1)? as u64))
            })?
            .collect::<Result<_, _>>()?;
        let image_layers: Vec<LayerId> = images::select(connection, "1", [])?
            .into_iter()
            .filter_map(|image| image.snapshot)
            .flat_map(|snapshot| snapshot.layers)
            .chain(images::drafts::layers(connection)?)
            .collect();
        let image_layers = with_amended(image_layers).into_iter().collect();
        let mut live = HashMap::new();
        let pins: Vec<(String, String)> = connection
            .prepare("SELECT owner, object FROM pins")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut pinned: HashSet<String> = pins
            .into_iter()
            .filter(|(owner, _)| {
                *live
                    .entry(owner.clone())
                    .or_insert_with(|| pins::is_live(store, owner))
            })
            .map(|(_, object)| object)
            .chain(
                with_amended(containers::layers(connection)?)
                    .into_iter()
                    .map(|id| id.0),
            )
            .collect();
        let blobs = connection
            .prepare("SELECT digest FROM image_blobs")?
            .query_map([], |row| row.get(0).map(Digest::from_bytes))?
            .collect::<Result<_, _>>()?;
        let forms = connection
            .prepare("SELECT layer, blob FROM forms")?
            .query_map([], |row| {
                Ok((LayerId(row.get(0)?), Digest::from_bytes(row.get(1)?)))
            })?
            .collect::<Result<_, _>>()?;
        let mounts = connection
            .prepare(
                "SELECT id, identity, created, used, uses, coalesce(size, 0), retired FROM mounts",
            )?
            .query_map([], |row| {
                Ok(MountRow {
                    id: row.get(0)?,
                    identity: row.get(1)?,
                    created: row.get(2)?,
                    used: row.get(3)?,
                    uses: row.get::<_, i64>(4)? as u64,
                    size: row.get::<_, i64>(5)? as u64,
                    retired: row.get(6)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let blob_sizes = blob_sizes(store);
        let names: Vec<String> = blob_sizes.keys().map(ToString::to_string).collect();
        let objects = layers.keys().map(|id| id.0.as_str());
        let marked = marks::marked(
            &store.leases_file(),
            objects.chain(names.iter().map(String::as_str)),
        );
        match marked {
            Ok(marked) => pinned.extend(marked.into_iter().map(str::to_owned)),
            // Nothing is known of who reads what: then everything is read.
            Err(_) => pinned.extend(layers.keys().map(|id| id.0.clone()).chain(names)),
        }
        Ok(Self {
            records,
            layers,
            image_layers,
            pinned,
            blobs,
            forms,
            blob_sizes,
            kept: kept(store),
            mounts,
            contexts: contexts(store),
        })
    }

    pub(crate) fn layer_size(&self, id: &LayerId) -> u64 {
        self.layers.get(id).copied().unwrap_or(0)
    }

    pub(crate) fn layer_bytes(&self) -> u64 {
        self.layers.values().sum()
    }

    pub(crate) fn image_bytes(&self) -> u64 {
        self.image_layers.iter().map(|id| self.layer_size(id)).sum()
    }

    /// Whether an image or a living process needs a blob, whichever layers there are.
    pub(crate) fn keeps_blob(&self, blob: &Digest) -> bool {
        self.blobs.contains(blob) || self.pinned.contains(&blob.to_string())
    }

    pub(crate) fn mount_bytes(&self) -> u64 {
        self.mounts.iter().map(|mount| mount.size).sum()
    }

    pub(crate) fn context_bytes(&self) -> u64 {
        self.contexts.iter().map(|context| context.size).sum()
    }

    /// How many records have each layer in their stack.
    pub(crate) fn references(&self) -> HashMap<&LayerId, usize> {
        let mut references = HashMap::new();
        for record in &self.records {
            for id in &record.stack {
                *references.entry(id).or_insert(0) += 1;
            }
        }
        references
    }

    /// Whether an image or a living process needs a layer.
    pub(crate) fn is_needed(&self, id: &LayerId) -> bool {
        self.image_layers.contains(id) || self.pinned.contains(&id.0)
    }

    /// Everything as people see it. A record owns the top layer of its stack.
    pub(crate) fn items(&self, store: &Store) -> Vec<UsageItem> {
        let references = self.references();
        let records = self.records.iter().map(|record| {
            let top = record.stack.last();
            let size = top.map_or(0, |id| self.layer_size(id));
            let alone = top.is_some_and(|id| {
                references.get(id) == Some(&1) && !self.image_layers.contains(id)
            });
            UsageItem {
                id: record.key.hex(),
                kind: UsageKind::Regular,
                description: record.name.clone(),
                unique: if alone { size } else { 0 },
                shared: if alone { 0 } else { size },
                in_use: self.kept.contains(&record.key) || top.is_some_and(|id| self.is_needed(id)),
                created: record.created,
                used: record.used,
                uses: record.uses,
            }
        });
        let mounts = self.mounts.iter().map(|mount| UsageItem {
            id: mount.id.clone(),
            kind: UsageKind::CacheMount,
            description: format!("cache mount {}", mount.identity),
            unique: mount.size,
            shared: 0,
            in_use: std::fs::File::open(store.mounts_dir().join(&mount.id))
                .is_ok_and(|lock| lock.try_lock().is_err()),
            created: mount.created,
            used: mount.used,
            uses: mount.uses,
        });
        let contexts = self.contexts.iter().map(|context| UsageItem {
            id: context.id.clone(),
            kind: UsageKind::Local,
            description: "index of a context".to_owned(),
            unique: context.size,
            shared: 0,
            in_use: false,
            created: context.used,
            used: context.used,
            uses: 1,
        });
        records.chain(mounts).chain(contexts).collect()
    }
}

/// Sizes of all blobs. What is not named as one is none.
fn blob_sizes(store: &Store) -> HashMap<Digest, u64> {
    std::fs::read_dir(store.blobs_dir())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digest = format!("sha256:{name}").parse().ok()?;
            Some((digest, entry.metadata().ok()?.blocks() * 512))
        })
        .collect()
}

/// Keys of the steps of kept builds. A history that cannot be read keeps nothing.
fn kept(store: &Store) -> HashSet<CacheKey> {
    let builds = store.builds().unwrap_or_default();
    builds
        .into_iter()
        .filter(|build| build.kept)
        .flat_map(|build| build.steps)
        .filter_map(|step| step.key)
        .collect()
}

/// Which layers amend another, and which: who needs one needs both.
fn amended(connection: &Connection) -> rusqlite::Result<HashMap<LayerId, LayerId>> {
    connection
        .prepare("SELECT id, amends FROM layers WHERE amends IS NOT NULL")?
        .query_map([], |row| Ok((LayerId(row.get(0)?), LayerId(row.get(1)?))))?
        .collect()
}

fn contexts(store: &Store) -> Vec<ContextFile> {
    std::fs::read_dir(store.contexts_dir())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            Some(ContextFile {
                id: entry.file_name().into_string().ok()?,
                used: meta.mtime(),
                size: meta.blocks() * 512,
            })
        })
        .collect()
}
