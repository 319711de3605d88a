//! Making room: what may go, in which order, and how it goes.
//!
//! - `inventory`: what the rows and directories hold, and who needs it
//! - `plan`: what of that goes, as a value
//! - `filter`: what the user wants gone
//!
//! One transaction takes records and layers out of the rows; then directories are renamed into
//! `tmp` and deleted, so that a crash leaves only what the next sweep removes.

mod filter;
mod inventory;
mod plan;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use image::Digest;
use rusqlite::{Transaction, params};

pub use filter::{FilterError, PruneOptions, parse_duration};
pub(crate) use inventory::{Inventory, inventory};

use crate::database::now;
use crate::images::StoredImage;
use crate::layer::LayerId;
use crate::store::{Store, StoreError, remove};
use crate::usage::{UsageItem, allocated};
use crate::{ballast, pins, records};
use plan::Plan;

/// How long it is remembered why a record is gone, and how long an unused memo lasts.
const MEMORY: Duration = Duration::from_hours(60 * 24);

/// Listings younger than this may belong to a step that runs.
const LISTING_AGE: Duration = Duration::from_hours(24);

/// What went, or would go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Records, cache mounts and contexts.
    pub items: Vec<UsageItem>,
    /// Layers that no record, image or process needed any more.
    pub layers: usize,
    /// Blobs that no image and no process needed any more.
    pub blobs: usize,
    /// Bytes that were freed.
    pub freed: u64,
}

impl Store {
    /// Removes what the options ask for and nobody needs: pins of living processes, images,
    /// containers and kept builds keep what they name. Works on a full disk.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned, StoreError> {
        if options.dry_run {
            self.measure()?;
            let inventory = inventory(self)?;
            let plan = Plan::new(&inventory, options, now());
            let blobs = self.idle_blobs(&inventory, &plan)?;
            return Ok(self.report(&inventory, &plan, &blobs));
        }
        ballast::release(&self.ballast_file())?;
        self.sweep()?;
        self.measure()?;
        let done = self.prune_now(options);
        // A disk that is still full has no ballast; that is said by the next who needs it.
        let filled = ballast::fill(&self.ballast_file());
        match (done, filled) {
            (Ok(_), Err(error)) if !error.is_full() => Err(error),
            (done, _) => done,
        }
    }

    /// Removes layers and blobs that no record, image or process needs: after `rmi`.
    pub fn collect_garbage(&self) -> Result<Pruned, StoreError> {
        self.prune(&PruneOptions {
            garbage_only: true,
            ..PruneOptions::default()
        })
    }

    /// Removes images without a tag, or with `all` all images, but for those of builds that are
    /// kept and those that `is_kept` keeps, such as those of containers. Their files go with
    /// [`collect_garbage`](Self::collect_garbage).
    pub fn prune_images(
        &self,
        all: bool,
        is_kept: &dyn Fn(&StoredImage) -> bool,
    ) -> Result<Vec<StoredImage>, StoreError> {
        let mut gone = self.images()?;
        let kept: HashSet<Digest> = self
            .builds()?
            .into_iter()
            .filter(|build| build.kept)
            .filter_map(|build| build.image)
            .collect();
        gone.retain(|image| {
            !kept.contains(&image.manifest)
                && (all || image.tags().next().is_none())
                && !is_kept(image)
        });
        let db = self.database();
        db.write("remove images", |transaction| {
            for image in &gone {
                crate::images::remove(transaction, &image.manifest, &[], true)
                    .map_err(db.error("remove images"))?;
            }
            Ok(())
        })?;
        Ok(gone)
    }

    fn prune_now(&self, options: &PruneOptions) -> Result<Pruned, StoreError> {
        let idle = self.held().take_idle();
        let owner = self.owner()?;
        let db = self.database();
        let (plan, mut pruned, orphans) = db.write("prune", |transaction| {
            let fail = || db.error("prune");
            drop_pins(self, transaction, owner.name(), &idle).map_err(fail())?;
            let inventory = Inventory::load(self, transaction).map_err(fail())?;
            let plan = Plan::new(&inventory, options, now());
            forget(transaction, &plan, &options.describe()).map_err(fail())?;
            // No writer is between its rename and its row now, so what has no row is nobody's.
            let orphans = self.orphans(&inventory, &plan)?;
            let blobs = self.idle_blobs(&inventory, &plan)?;
            let pruned = self.report(&inventory, &plan, &blobs);
            for blob in &blobs {
                let grave = owner.fresh("grave");
                let place = self.blobs_dir().join(blob.hex());
                std::fs::rename(&place, grave).map_err(StoreError::io("remove", &place))?;
            }
            Ok((plan, pruned, orphans))
        })?;
        let layers = plan.layers.iter().map(|id| {
            self.unload(id);
            self.layer_dir(id)
        });
        let graves = owner.fresh("grave");
        std::fs::create_dir(&graves).map_err(StoreError::io("make", &graves))?;
        for (number, place) in layers.chain(orphans).enumerate() {
            match std::fs::rename(&place, graves.join(number.to_string())) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", place)(error));
                }
                _ => (),
            }
        }
        for id in &plan.mounts {
            if !self.remove_mount(id)? {
                let index = pruned.items.iter().position(|item| &item.id == id);
                if let Some(item) = index.map(|index| pruned.items.remove(index)) {
                    pruned.freed = pruned.freed.saturating_sub(item.unique);
                }
            }
        }
        for id in &plan.contexts {
            remove::tree(&self.contexts_dir().join(id))?;
        }
        self.drop_listings()?;
        owner.clear("grave")?;
        Ok(pruned)
    }

    /// Directories of layers without a row.
    fn orphans(&self, inventory: &Inventory, plan: &Plan) -> Result<Vec<PathBuf>, StoreError> {
        let dir = self.layers_dir();
        let mut orphans = Vec::new();
        if !plan.garbage {
            return Ok(orphans);
        }
        for entry in std::fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
            let entry = entry.map_err(StoreError::io("list", &dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !inventory.layers.contains_key(&LayerId(name)) {
                orphans.push(entry.path());
            }
        }
        Ok(orphans)
    }

    /// Blobs that nobody needs.
    fn idle_blobs(&self, inventory: &Inventory, plan: &Plan) -> Result<Vec<Digest>, StoreError> {
        let dir = self.blobs_dir();
        let mut idle = Vec::new();
        if !plan.garbage {
            return Ok(idle);
        }
        let gone: HashSet<&LayerId> = plan.layers.iter().collect();
        let forms: HashSet<&Digest> = inventory
            .forms
            .iter()
            .filter_map(|(layer, blob)| (!gone.contains(layer)).then_some(blob))
            .collect();
        for entry in std::fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
            let name = entry.map_err(StoreError::io("list", &dir))?.file_name();
            let name = format!("sha256:{}", name.to_string_lossy());
            // What is not a blob is not ours to remove.
            if let Ok(digest) = name.parse::<Digest>()
                && !inventory.keeps_blob(&digest)
                && !forms.contains(&digest)
            {
                idle.push(digest);
            }
        }
        Ok(idle)
    }

    fn report(&self, inventory: &Inventory, plan: &Plan, blobs: &[Digest]) -> Pruned {
        let gone: HashSet<&str> = plan.ids().collect();
        let items: Vec<UsageItem> = inventory
            .items(self)
            .into_iter()
            .filter(|item| gone.contains(item.id.as_str()))
            .collect();
        let layers: u64 = plan.layers.iter().map(|id| inventory.layer_size(id)).sum();
        let others: u64 = items
            .iter()
            .filter(|item| item.kind != crate::usage::UsageKind::Regular)
            .map(|item| item.unique)
            .sum();
        let in_blobs: u64 = blobs
            .iter()
            .map(|blob| allocated(&self.blobs_dir().join(blob.hex())))
            .sum();
        Pruned {
            items,
            layers: plan.layers.len(),
            blobs: blobs.len(),
            freed: layers + others + in_blobs,
        }
    }

    /// Drops the listings that no record mentions any more.
    fn drop_listings(&self) -> Result<(), StoreError> {
        let used: HashSet<String> = self.database().read("list records", |connection| {
            let mut used = HashSet::new();
            let mut query = connection.prepare("SELECT preimage FROM records")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let preimage = records::read_preimage(row.get_ref(0)?.as_blob()?);
                for component in preimage
                    .into_iter()
                    .flat_map(|preimage| preimage.components)
                {
                    if let Some(word) = component.value.split(' ').next()
                        && word.len() == 64
                    {
                        used.insert(word.to_owned());
                    }
                }
            }
            Ok(used)
        })?;
        let dir = self.listings_dir();
        for entry in std::fs::read_dir(&dir).map_err(StoreError::io("list", &dir))? {
            let entry = entry.map_err(StoreError::io("list", &dir))?;
            let old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| {
                    SystemTime::now()
                        .duration_since(time)
                        .is_ok_and(|age| age > LISTING_AGE)
                });
            if old && !used.contains(&*entry.file_name().to_string_lossy()) {
                remove::tree(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Drops the pins of the dead, and those of ours that are idle.
fn drop_pins(
    store: &Store,
    transaction: &Transaction<'_>,
    ours: &str,
    idle: &[LayerId],
) -> rusqlite::Result<()> {
    let mut drop = transaction.prepare("DELETE FROM pins WHERE owner = ?1 AND object = ?2")?;
    for id in idle {
        drop.execute([ours, &id.0])?;
    }
    let owners: Vec<String> = transaction
        .prepare("SELECT DISTINCT owner FROM pins")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for owner in owners {
        if owner != ours && !pins::is_live(store, &owner) {
            transaction.execute("DELETE FROM pins WHERE owner = ?1", [owner])?;
        }
    }
    Ok(())
}

/// Takes a plan's records and layers out of the rows.
fn forget(transaction: &Transaction<'_>, plan: &Plan, why: &str) -> rusqlite::Result<()> {
    for key in &plan.records {
        records::bury(transaction, key, why)?;
    }
    let mut layer = transaction.prepare("DELETE FROM layers WHERE id = ?1")?;
    let mut forms = transaction.prepare("DELETE FROM forms WHERE layer = ?1")?;
    let mut memo =
        transaction.prepare("DELETE FROM memos WHERE domain = 'diff id' AND question = ?1")?;
    for id in &plan.layers {
        layer.execute([&id.0])?;
        forms.execute([&id.0])?;
        memo.execute([&id.0])?;
    }
    let before = now() - MEMORY.as_secs() as i64;
    transaction.execute("DELETE FROM tombstones WHERE gone < ?1", params![before])?;
    transaction.execute(
        "DELETE FROM memos WHERE used < ?1 AND domain <> 'diff id'",
        params![before],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
