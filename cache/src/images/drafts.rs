//! Images in the making: a name, a configuration and a stack, without the digests of the layers.
//!
//! A layer's digest is that of its tar, and writing that reads every file once more. Most builds
//! give their result a name and nobody asks for its id before the next build, so a name first leads
//! to a draft; who needs the id (a list, a push, a `FROM`) *settles* it, which makes it an image.
//! A draft whose name is given away is forgotten: nobody ever saw it. Knows no tar and no manifest.

use image::ImageRef;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{NewImage, insert, set_name};
use crate::layer::LayerId;
use crate::snapshot::Snapshot;
use crate::store::{Store, StoreError};

/// What a name stands for until somebody asks for its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its canonical name.
    pub name: String,
    /// Its configuration as JSON, without the digests of its layers.
    pub config: Vec<u8>,
    /// Its files.
    pub snapshot: Snapshot,
}

impl Store {
    /// Gives a draft these names, which are taken from whoever had them. The layers must be pinned.
    pub fn add_draft(
        &self,
        config: &[u8],
        snapshot: &Snapshot,
        names: &[ImageRef],
    ) -> Result<(), StoreError> {
        let db = self.database();
        let text = serde_json::to_string(snapshot).unwrap_or_default();
        let add = |transaction: &Transaction<'_>, name: &str| -> rusqlite::Result<()> {
            transaction.execute("DELETE FROM image_names WHERE name = ?1", [name])?;
            transaction.execute(
                "INSERT OR REPLACE INTO drafts VALUES (?1, ?2, ?3)",
                params![name, config, text],
            )?;
            Ok(())
        };
        db.write("keep a draft", |transaction| {
            names
                .iter()
                .try_for_each(|name| add(transaction, &name.to_string()))
                .map_err(db.error("keep a draft"))
        })
    }

    /// The draft with this canonical name.
    pub fn draft(&self, name: &str) -> Result<Option<Draft>, StoreError> {
        self.database().read("find a draft", |connection| {
            let mut query = connection
                .prepare_cached("SELECT name, config, snapshot FROM drafts WHERE name = ?1")?;
            query.query_row([name], draft).optional()
        })
    }

    /// All drafts, by name.
    pub fn drafts(&self) -> Result<Vec<Draft>, StoreError> {
        self.database().read("list drafts", all)
    }

    /// Makes `image` of a draft, if its name still leads to that; whether it did.
    pub fn settle_draft(&self, draft: &Draft, image: &NewImage<'_>) -> Result<bool, StoreError> {
        let db = self.database();
        let snapshot = serde_json::to_string(&draft.snapshot).unwrap_or_default();
        let settle = |transaction: &Transaction<'_>| -> rusqlite::Result<bool> {
            let taken = transaction.execute(
                "DELETE FROM drafts WHERE name = ?1 AND config = ?2 AND snapshot = ?3",
                params![draft.name, draft.config, snapshot],
            )?;
            if taken == 0 {
                return Ok(false);
            }
            insert(transaction, image)?;
            set_name(transaction, &draft.name, &image.manifest)?;
            Ok(true)
        };
        db.write("settle a draft", |transaction| {
            settle(transaction).map_err(db.error("settle a draft"))
        })
    }
}

/// The layers that drafts show.
pub(crate) fn layers(connection: &Connection) -> rusqlite::Result<Vec<LayerId>> {
    let stacks = all(connection)?.into_iter();
    Ok(stacks.flat_map(|draft| draft.snapshot.layers).collect())
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<Draft>> {
    connection
        .prepare_cached("SELECT name, config, snapshot FROM drafts ORDER BY name")?
        .query_map([], draft)?
        .collect()
}

fn draft(row: &rusqlite::Row<'_>) -> rusqlite::Result<Draft> {
    let snapshot: String = row.get(2)?;
    Ok(Draft {
        name: row.get(0)?,
        config: row.get(1)?,
        snapshot: serde_json::from_str(&snapshot).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
        })?,
    })
}

#[cfg(test)]
mod tests {
    use image::Digest;

    use super::*;
    use crate::store::samples::store;

    fn name(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    fn stack(text: &str) -> Snapshot {
        let counts = solver::LayerDigest::Change(solver::ChangeDigest([0; 32]));
        Snapshot::new([(LayerId(text.into()), counts)])
    }

    fn image(byte: u8, snapshot: &Snapshot) -> NewImage<'_> {
        NewImage {
            manifest: Digest::from_bytes([byte; 32]),
            config: Digest::from_bytes([byte + 100; 32]),
            blobs: &[],
            snapshot: Some(snapshot),
            size: 1,
            created: 0,
        }
    }

    #[test]
    fn a_name_leads_to_a_draft_or_to_an_image() {
        let (_dir, store) = store();
        let (old, new) = (stack("old"), stack("new"));
        store
            .add_image(&image(1, &old), &[name("app"), name("app:1")])
            .unwrap();
        store.add_draft(b"{}", &new, &[name("app")]).unwrap();
        assert!(store.image("app").is_err(), "the name went to the draft");
        assert!(store.image("app:1").is_ok());
        let draft = store.drafts().unwrap().pop().unwrap();
        assert_eq!(draft.snapshot, new);

        assert!(store.settle_draft(&draft, &image(2, &new)).unwrap());
        assert_eq!(store.drafts().unwrap(), []);
        assert_eq!(store.image("app").unwrap().snapshot, Some(new.clone()));
        assert!(
            !store.settle_draft(&draft, &image(2, &new)).unwrap(),
            "it is an image already"
        );

        store.add_draft(b"{}", &new, &[name("app")]).unwrap();
        store
            .tag_image(&Digest::from_bytes([1; 32]), &name("app"))
            .unwrap();
        assert_eq!(store.drafts().unwrap(), [], "the name went to the image");
    }

    #[test]
    fn a_draft_that_was_replaced_meanwhile_stays() {
        let (_dir, store) = store();
        let (old, new) = (stack("old"), stack("new"));
        store.add_draft(b"{}", &old, &[name("app")]).unwrap();
        let read = store
            .draft("docker.io/library/app:latest")
            .unwrap()
            .unwrap();
        store.add_draft(b"{}", &new, &[name("app")]).unwrap();
        assert!(!store.settle_draft(&read, &image(1, &old)).unwrap());
        assert_eq!(store.images().unwrap(), [], "nobody asked for the old one");
        assert_eq!(store.drafts().unwrap()[0].snapshot, new);
    }
}
