//! Volumes: directories that containers share and that outlive them, under `volumes/<name>/_data`.
//!
//! Knows names, labels and who uses what; how a volume is mounted, and what an image puts into a
//! new one, is known elsewhere.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::containers::is_name;
use crate::database::now;
use crate::store::{Store, StoreError};

/// A volume of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVolume {
    /// Its name; no other volume has it.
    pub name: String,
    /// What people said of it.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver: `type`, `device`, `o`.
    pub options: BTreeMap<String, String>,
    /// Whether nobody gave it a name.
    pub anonymous: bool,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Ids of the containers that use it.
    pub users: Vec<String>,
}

/// A volume to be made.
#[derive(Debug, Clone, Default)]
pub struct NewVolume {
    /// Its name.
    pub name: String,
    /// What people say of it.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Whether nobody gave it a name.
    pub anonymous: bool,
}

/// Why a volume could not be made, found or removed. The messages are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// Nothing has this name.
    #[error("get {0}: no such volume")]
    Unknown(String),
    /// It is no name for a volume.
    #[error(
        "create {0}: \"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    BadName(String),
    /// Containers need it.
    #[error("remove {name}: volume is in use - [{users}]", users = .users.join(", "))]
    Used {
        /// Its name.
        name: String,
        /// Ids of the containers.
        users: Vec<String>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The column `description`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Description {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

impl Store {
    /// Makes a volume; whether it is a new one is the answer: one of this name that is there
    /// already stays as it is.
    pub fn add_volume(&self, volume: &NewVolume) -> Result<bool, VolumeError> {
        if !is_name(&volume.name) {
            return Err(VolumeError::BadName(volume.name.clone()));
        }
        let description = serde_json::to_string(&Description {
            labels: volume.labels.clone(),
            options: volume.options.clone(),
        })
        .unwrap_or_default();
        let db = self.database();
        let action = "add a volume";
        let files = self.volume_files(&volume.name);
        Ok(db.write(action, |transaction| {
            let added = transaction
                .execute(
                    "INSERT OR IGNORE INTO volumes VALUES (?1, ?2, ?3, ?4)",
                    params![volume.name, description, volume.anonymous, now()],
                )
                .map_err(db.error(action))?;
            // Inside the transaction: nobody sees a row without a directory.
            std::fs::create_dir_all(&files)
                .and_then(|()| match added {
                    0 => Ok(()),
                    _ => std::fs::set_permissions(&files, Permissions::from_mode(0o755)),
                })
                .map_err(StoreError::io("make", &files))?;
            Ok(added > 0)
        })?)
    }

    /// All volumes, by name.
    pub fn volumes(&self) -> Result<Vec<StoredVolume>, StoreError> {
        self.database()
            .read("list volumes", |connection| select(connection, "1", []))
    }

    /// The volume of this name.
    pub fn volume(&self, name: &str) -> Result<StoredVolume, VolumeError> {
        self.database()
            .read("find a volume", |connection| {
                select(connection, "name = ?1", [name])
            })?
            .pop()
            .ok_or_else(|| VolumeError::Unknown(name.to_owned()))
    }

    /// The volumes that a container uses.
    pub fn volumes_of(&self, container: &str) -> Result<Vec<StoredVolume>, StoreError> {
        self.database().read("list volumes", |connection| {
            select(
                connection,
                "name IN (SELECT volume FROM volume_users WHERE container = ?1)",
                [container],
            )
        })
    }

    /// Removes a volume that no container uses, and its files.
    pub fn remove_volume(&self, name: &str) -> Result<(), VolumeError> {
        let db = self.database();
        let action = "remove a volume";
        let grave = self.staging("volume")?;
        let place = self.volumes_dir().join(name);
        db.write(action, |transaction| {
            let found = select(transaction, "name = ?1", [name]).map_err(db.error(action))?;
            match found.into_iter().next() {
                None => return Ok(Err(VolumeError::Unknown(name.to_owned()))),
                Some(volume) if !volume.users.is_empty() => {
                    return Ok(Err(VolumeError::Used {
                        name: volume.name,
                        users: volume.users,
                    }));
                }
                Some(_) => {}
            }
            transaction
                .execute("DELETE FROM volumes WHERE name = ?1", [name])
                .map_err(db.error(action))?;
            match std::fs::rename(&place, grave.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(StoreError::io("rename", &place)(error))
                }
                _ => Ok(Ok(())),
            }
        })??;
        Ok(super::store::remove::tree(grave.path())?)
    }

    /// The directory with a volume's files.
    pub fn volume_files(&self, name: &str) -> PathBuf {
        self.volumes_dir().join(name).join("_data")
    }
}

fn select(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<StoredVolume>> {
    let mut users = connection.prepare_cached(
        "SELECT container FROM volume_users WHERE volume = ?1 ORDER BY container",
    )?;
    let mut query = connection.prepare_cached(&format!(
        "SELECT name, description, anonymous, created FROM volumes WHERE {condition} ORDER BY name"
    ))?;
    let rows = query.query_map(parameters, |row| {
        let description: String = row.get(1)?;
        let description: Description = serde_json::from_str(&description).unwrap_or_default();
        Ok(StoredVolume {
            name: row.get(0)?,
            labels: description.labels,
            options: description.options,
            anonymous: row.get(2)?,
            created: row.get(3)?,
            users: Vec::new(),
        })
    })?;
    let mut volumes = rows.collect::<Result<Vec<_>, _>>()?;
    for volume in &mut volumes {
        volume.users = users
            .query_map([&volume.name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
    }
    Ok(volumes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples::store;

    fn new(name: &str) -> NewVolume {
        NewVolume {
            name: name.to_owned(),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..NewVolume::default()
        }
    }

    #[test]
    fn a_volume_is_made_once_and_goes_with_its_files() {
        let (_dir, store) = store();
        assert!(store.add_volume(&new("vol")).unwrap());
        std::fs::write(store.volume_files("vol").join("f"), "x").unwrap();
        assert!(!store.add_volume(&new("vol")).unwrap());
        assert!(store.volume_files("vol").join("f").exists());
        let found = store.volume("vol").unwrap();
        assert_eq!(found.labels["a"], "b");
        assert!(found.users.is_empty() && !found.anonymous);
        store.remove_volume("vol").unwrap();
        assert!(!store.volumes_dir().join("vol").exists());
        for result in [store.remove_volume("vol"), store.volume("vol").map(|_| ())] {
            assert_eq!(result.unwrap_err().to_string(), "get vol: no such volume");
        }
        assert!(matches!(
            store.add_volume(&new("../x")),
            Err(VolumeError::BadName(_))
        ));
    }

    #[test]
    fn what_a_container_uses_stays() {
        let (_dir, store) = store();
        store.add_volume(&new("vol")).unwrap();
        let folder = store.staging("container").unwrap();
        let container = crate::StoredContainer {
            id: "ab".repeat(32),
            name: "box".to_owned(),
            manifest: image::Digest::of(b"m"),
            config: image::Digest::of(b"c"),
            stack: Vec::new(),
            created: 0,
        };
        store
            .add_container(&container, &["vol".to_owned()], &folder)
            .unwrap();
        assert_eq!(store.volumes_of(&container.id).unwrap().len(), 1);
        assert!(matches!(
            store.remove_volume("vol"),
            Err(VolumeError::Used { users, .. }) if users == [container.id.clone()]
        ));
        store.remove_container(&container.id).unwrap();
        store.remove_volume("vol").unwrap();
    }
}
