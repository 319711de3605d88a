//! Images: which names lead to which manifest, and what each of them shows.
//!
//! An image is a manifest. People know it by names, and by its id, which is the digest of its
//! configuration, as in Docker; two compressions of one image are two manifests with one id. The
//! rules for finding and removing are Docker's. Knows no containers: who removes says what is used.

use image::{Digest, ImageRef};
use rusqlite::{Connection, Transaction, params};

use crate::database::now;
use crate::snapshot::Snapshot;
use crate::store::{Store, StoreError};

pub(crate) mod drafts;

pub use drafts::Draft;

/// An image of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Its manifest, or the index that it was pulled by.
    pub manifest: Digest,
    /// Its configuration: the id that people see.
    pub config: Digest,
    /// Its names, canonical, sorted; those with a digest are not tags. An image without tags is dangling.
    pub names: Vec<String>,
    /// Its files; none if it was not unpacked, or what it was unpacked to is gone.
    pub snapshot: Option<Snapshot>,
    /// Bytes of its uncompressed layers.
    pub size: u64,
    /// When it was made, in seconds since 1970, as its configuration has it.
    pub created: i64,
    /// When it got the newest of its names, in seconds since 1970; none if it has none.
    pub named: Option<i64>,
}

/// An image to be stored.
#[derive(Debug, Clone)]
pub struct NewImage<'a> {
    /// Its manifest.
    pub manifest: Digest,
    /// Its configuration.
    pub config: Digest,
    /// All blobs that it needs beside these two: layers, an index above the manifest. Missing ones
    /// (a layer that was only unpacked) are allowed.
    pub blobs: &'a [Digest],
    /// Its files, if they are there.
    pub snapshot: Option<&'a Snapshot>,
    /// Bytes of its uncompressed layers.
    pub size: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// Why an image could not be found or removed. The messages are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing has this name or id.
    #[error("No such image: {0}")]
    Unknown(String),
    /// An id's beginning that many have.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// A container needs it.
    #[error(
        "conflict: unable to delete {id} ({force}) - image is being used by {state} container {container}",
        force = if *.running { "cannot be forced" } else { "must be forced" },
        state = if *.running { "running" } else { "stopped" }
    )]
    Used {
        /// What was asked for, or the short id.
        id: String,
        /// Whose it is.
        container: String,
        /// Whether it runs.
        running: bool,
    },
    /// It has names that were not mentioned.
    #[error(
        "conflict: unable to delete {0} (must be forced) - image is referenced in multiple repositories"
    )]
    Named(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A container that needs an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedBy {
    /// Its short id or name.
    pub container: String,
    /// Whether it runs.
    pub running: bool,
}

/// What a removal did, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovedImage {
    /// Names that are gone, as people write them.
    pub untagged: Vec<String>,
    /// The id, if the image itself is gone.
    pub deleted: Option<Digest>,
}

/// Digits of a short id.
const SHORT_ID: usize = 12;

impl StoredImage {
    /// Its tags: the names without digests.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.names
            .iter()
            .map(String::as_str)
            .filter(|name| !name.contains('@'))
    }

    /// The first digits of its id.
    pub fn short_id(&self) -> String {
        self.config.hex()[..SHORT_ID].to_owned()
    }
}

impl Store {
    /// Stores an image and gives it these names, which are taken from whoever had them.
    pub fn add_image(&self, image: &NewImage<'_>, names: &[ImageRef]) -> Result<(), StoreError> {
        let db = self.database();
        let add = |transaction: &Transaction<'_>| -> rusqlite::Result<()> {
            insert(transaction, image)?;
            for name in names {
                set_name(transaction, &name.to_string(), &image.manifest)?;
            }
            Ok(())
        };
        db.write("add an image", |transaction| {
            add(transaction).map_err(db.error("add an image"))
        })
    }

    /// Whether `image` is in the store with all that goes with it, and these names lead to it. Looks
    /// only.
    pub fn has_image(&self, image: &NewImage<'_>, names: &[ImageRef]) -> Result<bool, StoreError> {
        let Some(known) = self.image_by_manifest(&image.manifest)? else {
            return Ok(false);
        };
        let named = names
            .iter()
            .all(|name| known.names.contains(&name.to_string()));
        let blobs = [&image.manifest, &image.config];
        Ok(named
            && known.snapshot.as_ref() == image.snapshot
            && blobs
                .into_iter()
                .chain(image.blobs)
                .all(|blob| self.blobs().path(blob).exists()))
    }

    /// The images that show just these files, newest first.
    pub fn images_of(&self, snapshot: &Snapshot) -> Result<Vec<StoredImage>, StoreError> {
        let text = serde_json::to_string(snapshot).unwrap_or_default();
        self.database().read("list images", |connection| {
            select(connection, "snapshot = ?1", [text])
        })
    }

    /// All images, newest first.
    pub fn images(&self) -> Result<Vec<StoredImage>, StoreError> {
        self.database()
            .read("list images", |connection| select(connection, "1", []))
    }

    /// The image with this name, id, or beginning of an id.
    pub fn image(&self, text: &str) -> Result<StoredImage, ImageError> {
        let name = text.parse::<ImageRef>().ok();
        let found = self.database().read("find an image", |connection| {
            if let Some(name) = &name {
                let by_name = select(
                    connection,
                    "manifest = (SELECT manifest FROM image_names WHERE name = ?1)",
                    [name.to_string()],
                )?;
                if !by_name.is_empty() {
                    return Ok(by_name);
                }
                if let Some(digest) = &name.digest {
                    return select(connection, "manifest = ?1", [digest.as_bytes()]);
                }
            }
            by_id(connection, text.strip_prefix("sha256:").unwrap_or(text))
        })?;
        let mut ids: Vec<Digest> = found.iter().map(|image| image.config).collect();
        ids.dedup();
        if ids.len() > 1 {
            return Err(ImageError::Ambiguous(text.to_owned()));
        }
        // Of several manifests with one id, the one with a name, or else the newest.
        let mut found = found;
        found.sort_by_key(|image| image.names.is_empty());
        found
            .into_iter()
            .next()
            .ok_or_else(|| ImageError::Unknown(text.to_owned()))
    }

    /// The image with this manifest, or pulled by this index.
    pub fn image_by_manifest(&self, manifest: &Digest) -> Result<Option<StoredImage>, StoreError> {
        self.database().read("find an image", |connection| {
            Ok(select(connection, "manifest = ?1", [manifest.as_bytes()])?.pop())
        })
    }

    /// Gives an image another name, which is taken from whoever had it.
    pub fn tag_image(&self, manifest: &Digest, name: &ImageRef) -> Result<(), StoreError> {
        let db = self.database();
        db.write("tag an image", |transaction| {
            set_name(transaction, &name.to_string(), manifest).map_err(db.error("tag an image"))
        })
    }

    /// Notes what an image was unpacked to, and how many bytes its layers are then.
    pub fn set_image_snapshot(
        &self,
        manifest: &Digest,
        snapshot: &Snapshot,
        size: u64,
    ) -> Result<(), StoreError> {
        let db = self.database();
        let text = serde_json::to_string(snapshot).unwrap_or_default();
        db.write("note an image's files", |transaction| {
            transaction
                .execute(
                    "UPDATE images SET snapshot = ?2, size = ?3 WHERE manifest = ?1",
                    params![manifest.as_bytes(), text, size as i64],
                )
                .map_err(db.error("note an image's files"))?;
            Ok(())
        })
    }

    /// `rmi`: takes the name away, and the image with its last one. By id, an image with several
    /// names needs `force`. `users` says which container needs an image.
    pub fn remove_image(
        &self,
        text: &str,
        force: bool,
        users: &dyn Fn(&StoredImage) -> Option<UsedBy>,
    ) -> Result<RemovedImage, ImageError> {
        let image = self.image(text)?;
        let name = text
            .parse::<ImageRef>()
            .ok()
            .map(|name| name.to_string())
            .filter(|name| image.names.contains(name));
        let others = image
            .names
            .iter()
            .filter(|other| Some(*other) != name.as_ref());
        let repositories = |names: &mut dyn Iterator<Item = &String>| {
            let mut all: Vec<String> = names.map(|name| repository(name)).collect();
            all.sort();
            all.dedup();
            all.len()
        };
        let mut removed = RemovedImage::default();
        let mut gone = match &name {
            // A digest's name goes with the last tag of its repository.
            Some(name) => {
                let own = repository(name);
                let is_last_tag = !name.contains('@')
                    && !others
                        .clone()
                        .any(|other| !other.contains('@') && repository(other) == own);
                let (gone, left): (Vec<&String>, Vec<&String>) = others
                    .clone()
                    .partition(|other| is_last_tag && repository(other) == own);
                let tags = left.iter().filter(|other| !other.contains('@')).count();
                let whole = tags == 0 && repositories(&mut left.iter().copied()) <= 1;
                removed.untagged.push(name.clone());
                removed.untagged.extend(gone.into_iter().cloned());
                if whole {
                    removed.untagged.extend(left.into_iter().cloned());
                }
                whole
            }
            None => {
                if repositories(&mut image.names.iter()) > 1 && !force {
                    return Err(ImageError::Named(image.short_id()));
                }
                removed.untagged.clone_from(&image.names);
                true
            }
        };
        if gone
            && let Some(UsedBy { container, running }) = users(&image)
            && (running || !force)
        {
            // By force it loses its name, and stays as long as it runs.
            gone = false;
            if !force || name.is_none() {
                return Err(ImageError::Used {
                    id: text.to_owned(),
                    container,
                    running,
                });
            }
        }
        let db = self.database();
        db.write("remove an image", |transaction| {
            remove(transaction, &image.manifest, &removed.untagged, gone)
                .map_err(db.error("remove an image"))
        })?;
        removed.untagged = removed.untagged.iter().map(|name| familiar(name)).collect();
        removed.deleted = gone.then_some(image.config);
        Ok(removed)
    }
}

fn insert(transaction: &Transaction<'_>, image: &NewImage<'_>) -> rusqlite::Result<()> {
    let snapshot = image
        .snapshot
        .map(|snapshot| serde_json::to_string(snapshot).unwrap_or_default());
    transaction.execute(
        "INSERT INTO images VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (manifest) DO UPDATE SET
         snapshot = coalesce(excluded.snapshot, snapshot), used = excluded.used",
        params![
            image.manifest.as_bytes(),
            image.config.as_bytes(),
            snapshot,
            image.size as i64,
            image.created,
            now(),
        ],
    )?;
    let mut blob = transaction.prepare("INSERT OR IGNORE INTO image_blobs VALUES (?1, ?2)")?;
    for digest in [&image.manifest, &image.config]
        .into_iter()
        .chain(image.blobs)
    {
        blob.execute([image.manifest.as_bytes(), digest.as_bytes()])?;
    }
    Ok(())
}

/// Gives an image a canonical name, which is taken from whatever had it.
fn set_name(transaction: &Transaction<'_>, name: &str, manifest: &Digest) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM drafts WHERE name = ?1", [name])?;
    transaction.execute(
        "INSERT OR REPLACE INTO image_names VALUES (?1, ?2, ?3)",
        params![name, manifest.as_bytes(), now()],
    )?;
    Ok(())
}

/// Removes names, and the image itself if `whole`. Its files and blobs are prune's.
pub(crate) fn remove(
    transaction: &Transaction<'_>,
    manifest: &Digest,
    names: &[String],
    whole: bool,
) -> rusqlite::Result<()> {
    for name in names {
        // Somebody may have given the name to another image meanwhile.
        transaction.execute(
            "DELETE FROM image_names WHERE name = ?1 AND manifest = ?2",
            params![name, manifest.as_bytes()],
        )?;
    }
    if whole {
        for table in ["image_names", "image_blobs", "images"] {
            transaction.execute(
                &format!("DELETE FROM {table} WHERE manifest = ?1"),
                [manifest.as_bytes()],
            )?;
        }
    }
    Ok(())
}

fn by_id(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<StoredImage>> {
    let hex = !prefix.is_empty()
        && prefix.len() <= 64
        && prefix
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !hex {
        return Ok(Vec::new());
    }
    select(
        connection,
        "substr(lower(hex(config)), 1, length(?1)) = ?1",
        [prefix],
    )
}

/// The images for which a condition holds, newest first.
pub(crate) fn select(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<StoredImage>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT manifest, config, snapshot, size, created FROM images
         WHERE {condition} ORDER BY created DESC, used DESC, manifest"
    ))?;
    let mut names = connection
        .prepare_cached("SELECT name, named FROM image_names WHERE manifest = ?1 ORDER BY name")?;
    let rows = query.query_map(parameters, |row| {
        let snapshot: Option<String> = row.get(2)?;
        Ok(StoredImage {
            manifest: Digest::from_bytes(row.get(0)?),
            config: Digest::from_bytes(row.get(1)?),
            names: Vec::new(),
            snapshot: snapshot.and_then(|text| serde_json::from_str(&text).ok()),
            size: row.get::<_, i64>(3)? as u64,
            created: row.get(4)?,
            named: None,
        })
    })?;
    let mut images = rows.collect::<Result<Vec<_>, _>>()?;
    for image in &mut images {
        let found = names.query_map([image.manifest.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        for found in found {
            let (name, named) = found?;
            image.named = image.named.max(Some(named));
            image.names.push(name);
        }
    }
    Ok(images)
}

/// The part of a canonical name before tag and digest.
fn repository(name: &str) -> String {
    name.parse::<ImageRef>()
        .map_or_else(|_| name.to_owned(), |name| name.name())
}

fn familiar(name: &str) -> String {
    name.parse::<ImageRef>()
        .map_or_else(|_| name.to_owned(), |name| name.familiar())
}

#[cfg(test)]
mod tests;
