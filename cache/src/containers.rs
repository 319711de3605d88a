//! Containers: which names and ids there are, and what each of them keeps from being pruned.
//!
//! A container is a folder under `containers/<id>`; its row says how it is called and which image
//! and layers it stands on. Knows no processes and nothing of what is in the folder.

use image::Digest;
use rusqlite::{Connection, OptionalExtension, Row, params};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::layer::LayerId;
use crate::records::split_stack;
use crate::store::{Staging, Store, StoreError};

/// A container of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContainer {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name; no other container has it.
    pub name: String,
    /// Manifest of its image, or the index that the image was pulled by.
    pub manifest: Digest,
    /// Configuration of its image: the id that people see.
    pub config: Digest,
    /// The layers under it, lowest first.
    pub stack: Vec<LayerId>,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
}

/// Digits of a short id.
const SHORT_ID: usize = 12;

impl StoredContainer {
    /// The first digits of its id.
    pub fn short_id(&self) -> &str {
        self.id.get(..SHORT_ID).unwrap_or(&self.id)
    }
}

/// Why a container could not be made, found or named. The messages are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum ContainerRowError {
    /// Nothing has this name or id.
    #[error("No such container: {0}")]
    Unknown(String),
    /// An id's beginning that many have.
    #[error("Multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// Another container has the name.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Id of the container that has it.
        holder: String,
    },
    /// It is no name for a container.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    BadName(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether containers and volumes may have this name: two letters or more of
/// `[a-zA-Z0-9][a-zA-Z0-9_.-]`.
pub fn is_name(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

impl Store {
    /// Makes a container of `folder`, which is moved to its place. The caller has pinned its layers.
    ///
    /// # Errors
    /// When the name cannot be had; `folder` is thrown away then.
    pub fn add_container(
        &self,
        container: &StoredContainer,
        volumes: &[String],
        folder: &Staging,
    ) -> Result<(), ContainerRowError> {
        if !is_name(&container.name) {
            return Err(ContainerRowError::BadName(container.name.clone()));
        }
        let db = self.database();
        let action = "add a container";
        let place = self.container_dir(&container.id);
        let holder = db.write(action, |transaction| {
            let holder = holder(transaction, &container.name).map_err(db.error(action))?;
            if holder.is_some() {
                return Ok(holder);
            }
            transaction
                .execute(
                    "INSERT INTO containers VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        container.id,
                        container.name,
                        container.manifest.as_bytes(),
                        container.config.as_bytes(),
                        join_stack(&container.stack),
                        container.created,
                    ],
                )
                .map_err(db.error(action))?;
            for volume in volumes {
                transaction
                    .execute(
                        "INSERT OR IGNORE INTO volume_users VALUES (?1, ?2)",
                        [&container.id, volume],
                    )
                    .map_err(db.error(action))?;
            }
            // Inside the transaction: a folder without a row is nobody's.
            renameat_with(CWD, folder.path(), CWD, &place, RenameFlags::NOREPLACE)
                .map_err(|errno| StoreError::io("rename", folder.path())(errno.into()))?;
            Ok(None)
        })?;
        match holder {
            Some(holder) => Err(ContainerRowError::NameTaken {
                name: container.name.clone(),
                holder,
            }),
            None => Ok(()),
        }
    }

    /// All containers, newest first.
    pub fn containers(&self) -> Result<Vec<StoredContainer>, StoreError> {
        self.database()
            .read("list containers", |connection| select(connection, "1", []))
    }

    /// The container with this id, name, or beginning of an id.
    pub fn container(&self, text: &str) -> Result<StoredContainer, ContainerRowError> {
        let mut found = self.database().read("find a container", |connection| {
            let name = text.strip_prefix('/').unwrap_or(text);
            for condition in ["id = ?1", "name = ?1"] {
                let exact = select(connection, condition, [name])?;
                if !exact.is_empty() {
                    return Ok(exact);
                }
            }
            let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            if text.is_empty() || text.len() > 64 || !text.bytes().all(is_hex) {
                return Ok(Vec::new());
            }
            select(connection, "substr(id, 1, length(?1)) = ?1", [text])
        })?;
        match found.len() {
            0 => Err(ContainerRowError::Unknown(text.to_owned())),
            1 => Ok(found.remove(0)),
            _ => Err(ContainerRowError::Ambiguous(text.to_owned())),
        }
    }

    /// Id of the container that has this name.
    pub fn container_named(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.database()
            .read("find a container", |connection| holder(connection, name))
    }

    /// Gives a container another name.
    pub fn rename_container(&self, id: &str, name: &str) -> Result<(), ContainerRowError> {
        let name = name.strip_prefix('/').unwrap_or(name);
        if !is_name(name) {
            return Err(ContainerRowError::BadName(name.to_owned()));
        }
        let db = self.database();
        let action = "rename a container";
        let holder = db.write(action, |transaction| {
            let holder = holder(transaction, name).map_err(db.error(action))?;
            if holder.is_none() {
                transaction
                    .execute("UPDATE containers SET name = ?2 WHERE id = ?1", [id, name])
                    .map_err(db.error(action))?;
            }
            Ok(holder)
        })?;
        match holder {
            Some(holder) => Err(ContainerRowError::NameTaken {
                name: name.to_owned(),
                holder,
            }),
            None => Ok(()),
        }
    }

    /// Removes a container: its row, and its folder with all that it changed. The caller has made
    /// sure that it does not run.
    pub fn remove_container(&self, id: &str) -> Result<(), StoreError> {
        let place = self.container_dir(id);
        let grave = self.owner()?.fresh("container");
        let db = self.database();
        let action = "remove a container";
        db.write(action, |transaction| {
            for text in [
                "DELETE FROM containers WHERE id = ?1",
                "DELETE FROM volume_users WHERE container = ?1",
            ] {
                transaction.execute(text, [id]).map_err(db.error(action))?;
            }
            match std::fs::rename(&place, &grave) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(StoreError::io("rename", &place)(error))
                }
                _ => Ok(()),
            }
        })?;
        super::store::remove::tree(&grave)
    }

    /// The folder of a container.
    pub fn container_dir(&self, id: &str) -> std::path::PathBuf {
        self.containers_dir().join(id)
    }
}

/// The layers that containers stand on.
pub(crate) fn layers(connection: &Connection) -> rusqlite::Result<Vec<LayerId>> {
    let stacks = connection
        .prepare("SELECT stack FROM containers")?
        .query_map([], |row| Ok(split_stack(row.get_ref(0)?.as_str()?)))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(stacks.concat())
}

fn holder(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT id FROM containers WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn select(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<StoredContainer>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, name, manifest, config, stack, created FROM containers
             WHERE {condition} ORDER BY created DESC, id"
        ))?
        .query_map(parameters, read)?
        .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredContainer> {
    Ok(StoredContainer {
        id: row.get(0)?,
        name: row.get(1)?,
        manifest: Digest::from_bytes(row.get(2)?),
        config: Digest::from_bytes(row.get(3)?),
        stack: split_stack(row.get_ref(4)?.as_str()?),
        created: row.get(5)?,
    })
}

fn join_stack(stack: &[LayerId]) -> String {
    let ids: Vec<&str> = stack.iter().map(|id| id.0.as_str()).collect();
    ids.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples::store;

    fn container(id: &str, name: &str) -> StoredContainer {
        StoredContainer {
            id: id.to_owned(),
            name: name.to_owned(),
            manifest: Digest::of(b"manifest"),
            config: Digest::of(b"config"),
            stack: vec![LayerId("one".into()), LayerId("two".into())],
            created: 7,
        }
    }

    fn add(store: &Store, container: &StoredContainer) -> Result<(), ContainerRowError> {
        let folder = store.staging("container")?;
        std::fs::write(folder.path().join("f"), "x").unwrap();
        store.add_container(container, &["vol".to_owned()], &folder)
    }

    #[test]
    fn names_ids_and_their_beginnings_lead_to_a_container() {
        let (_dir, store) = store();
        let [a, b] = [("abc1", "first"), ("abd2", "abc")].map(|(id, name)| container(id, name));
        add(&store, &a).unwrap();
        add(&store, &b).unwrap();
        assert!(store.container_dir("abc1").join("f").exists());
        for (text, expected) in [
            ("first", Ok("abc1")),
            ("/first", Ok("abc1")),
            ("abc1", Ok("abc1")),
            ("abc", Ok("abd2")),
            ("abd", Ok("abd2")),
            ("ab", Err("Multiple IDs found with provided prefix: ab")),
            ("x", Err("No such container: x")),
            ("", Err("No such container: ")),
        ] {
            match (store.container(text), expected) {
                (Ok(found), Ok(id)) => assert_eq!(found.id, id, "{text}"),
                (Err(error), Err(message)) => assert_eq!(error.to_string(), message),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!(store.container("first").unwrap(), a);
        assert_eq!(
            store.database().read("t", layers).unwrap().len(),
            4,
            "their layers are needed"
        );
    }

    #[test]
    fn a_name_is_had_once() {
        let (_dir, store) = store();
        add(&store, &container("abc1", "first")).unwrap();
        assert!(matches!(
            add(&store, &container("abd2", "first")),
            Err(ContainerRowError::NameTaken { holder, .. }) if holder == "abc1"
        ));
        assert!(!store.container_dir("abd2").exists());
        add(&store, &container("abd2", "second")).unwrap();
        assert!(store.rename_container("abd2", "first").is_err());
        store.rename_container("abd2", "third").unwrap();
        assert_eq!(store.container("third").unwrap().id, "abd2");
        store.remove_container("abc1").unwrap();
        assert!(!store.container_dir("abc1").exists());
        assert!(store.container("first").is_err());
        for wrong in ["", "a", "-ab", "a b", "ab/c", "é1"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
