//! Layers that may not have reached the disk before the machine stopped.
//!
//! A row carries the boot in which its layer was written until a flush is known to have happened.
//! In another boot the layer is compared with its index when it is first used, and then trusted or
//! dropped: a reboot costs no cache, and a power loss never gives a wrong hit.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use rusqlite::params;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use solver::ContentDigest;

use crate::layer::{Entry, Kind, Layer, LayerId, LayerIndex};
use crate::store::{Store, StoreError};

/// Names this boot of the machine (proc_sys_kernel(5)); empty where the kernel does not say.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    })
}

/// Verdicts of this process: threads that ask for the same layer wait for one comparison.
pub(crate) type Verdicts = Mutex<HashMap<LayerId, std::sync::Arc<Mutex<Option<bool>>>>>;

impl Store {
    /// Writes everything of this process's that is not yet on disk, and marks its layers so. Slow:
    /// the kernel writes all dirty data of the file system.
    pub fn flush(&self) -> Result<(), StoreError> {
        let root = File::open(self.root()).map_err(StoreError::io("open", self.root()))?;
        let ids: Vec<String> = self.database().read("list layers", |connection| {
            connection
                .prepare("SELECT id FROM layers WHERE boot = ?1")?
                .query_map([boot_id()], |row| row.get(0))?
                .collect()
        })?;
        rustix::fs::syncfs(&root).map_err(|e| StoreError::io("flush", self.root())(e.into()))?;
        // Only those that were there before the flush began.
        let db = self.database();
        db.write("mark layers as flushed", |transaction| {
            let mut update = transaction
                .prepare("UPDATE layers SET boot = NULL WHERE id = ?1")
                .map_err(db.error("mark layers as flushed"))?;
            for id in ids {
                update
                    .execute([id])
                    .map_err(db.error("mark layers as flushed"))?;
            }
            Ok(())
        })
    }

    /// Compares a suspect with its index: trusts it from now on, or drops it. Whether it is good is
    /// the answer.
    pub(crate) fn clear_suspect(&self, id: &LayerId) -> Result<bool, StoreError> {
        let verdict = {
            let mut verdicts = self
                .verdicts()
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::sync::Arc::clone(verdicts.entry(id.clone()).or_default())
        };
        let mut verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(good) = *verdict {
            return Ok(good);
        }
        let good = self.is_whole(id)?;
        *verdict = Some(good);
        if good {
            let db = self.database();
            db.write("trust a layer", |transaction| {
                transaction
                    .execute(
                        "UPDATE layers SET boot = ?2 WHERE id = ?1",
                        params![id.0, boot_id()],
                    )
                    .map_err(db.error("trust a layer"))
            })?;
        } else {
            self.drop_layer(id)?;
        }
        Ok(good)
    }

    /// Drops a layer's row, those of layers that amend it, and the records and images that show one
    /// of them; the directories are prune's.
    pub(crate) fn drop_layer(&self, id: &LayerId) -> Result<(), StoreError> {
        let mut gone: Vec<LayerId> = self.database().read("list layers", |connection| {
            connection
                .prepare_cached("SELECT id FROM layers WHERE amends = ?1")?
                .query_map([&id.0], |row| row.get(0).map(LayerId))?
                .collect()
        })?;
        gone.push(id.clone());
        gone.iter().try_for_each(|id| self.drop_one(id))
    }

    fn drop_one(&self, id: &LayerId) -> Result<(), StoreError> {
        self.unload(id);
        self.held().gone(id);
        let db = self.database();
        let reason = "its files were lost or damaged";
        db.write("drop a layer", |transaction| {
            let drop = || -> rusqlite::Result<()> {
                transaction.execute("DELETE FROM layers WHERE id = ?1", [&id.0])?;
                let mut find = transaction.prepare(
                    "SELECT key FROM records WHERE ' ' || stack || ' ' LIKE '% ' || ?1 || ' %'",
                )?;
                let keys: Vec<[u8; 32]> = find
                    .query_map([&id.0], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                for key in keys {
                    crate::records::bury(transaction, &solver::CacheKey(key), reason)?;
                }
                transaction.execute(
                    "UPDATE images SET snapshot = NULL WHERE snapshot LIKE '%\"' || ?1 || '\"%'",
                    [&id.0],
                )?;
                Ok(())
            };
            drop().map_err(db.error("drop a layer"))
        })
    }

    /// Whether the files of a layer are what its index says, contents included. What cannot be read
    /// is an error and no verdict: want of memory or of descriptors must not cost a layer.
    pub(crate) fn is_whole(&self, id: &LayerId) -> Result<bool, StoreError> {
        let Some(layer) = self.read_suspect(id)? else {
            return Ok(false);
        };
        let path = layer.files.path();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(top) => File::from(top),
            Err(errno) if is_missing(&errno.into()) => return Ok(false),
            Err(errno) => return Err(StoreError::io("open", path)(errno.into())),
        };
        if layer.index.change_digest() != layer.change {
            return Ok(false);
        }
        let own = match layer.files.amended() {
            None => &layer.index,
            Some(amended) => {
                // The amended layer is a suspect of its own.
                let Some(base) = self.read_suspect(&amended.layer)? else {
                    return Ok(false);
                };
                if !stands_on(&layer.index, &amended.own, &base.index) {
                    return Ok(false);
                }
                &amended.own
            }
        };
        let entries: Vec<Entry> = own.iter().collect();
        let same = |entry: &Entry| match is_there(&top, entry) {
            Err(error) if is_missing(&error) => Ok(false),
            other => other.map_err(StoreError::io("read", layer.files.join(&entry.path))),
        };
        self.before_work()?;
        let found = entries
            .par_iter()
            .map(same)
            .find_any(|same| !matches!(same, Ok(true)));
        found.unwrap_or(Ok(true))
    }

    /// A layer with its index; none if that is missing or damaged.
    fn read_suspect(&self, id: &LayerId) -> Result<Option<Arc<Layer>>, StoreError> {
        match self.layer(id) {
            Ok(layer) => Ok(Some(layer)),
            Err(StoreError::Io { source, .. }) if is_missing(&source) => Ok(None),
            Err(error @ (StoreError::Io { .. } | StoreError::Database { .. })) => Err(error),
            // An index that is none.
            Err(_) => Ok(None),
        }
    }
}

/// Whether every entry of `whole` is in `own`, or as it is in `base`.
fn stands_on(whole: &LayerIndex, own: &LayerIndex, base: &LayerIndex) -> bool {
    whole.iter().all(|entry| match own.find(&entry.path) {
        Ok(at) => own.holds(at, &entry),
        Err(_) => base
            .find(&entry.path)
            .is_ok_and(|at| base.holds(at, &entry)),
    })
}

/// Whether an error says that something is not there, or is something else.
pub(crate) fn is_missing(error: &std::io::Error) -> bool {
    let raw = error.raw_os_error();
    [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::EXDEV]
        .into_iter()
        .any(|errno| raw == Some(errno))
}

/// Whether what is at an entry's path, under `top`, is what the entry says.
///
/// Owners and special files are not compared: a rootless store may hold a placeholder for them.
fn is_there(top: &File, entry: &Entry) -> std::io::Result<bool> {
    let open = |flags| {
        let path: &[u8] = if entry.path.is_empty() {
            b"."
        } else {
            &entry.path
        };
        rustix::fs::openat2(
            top,
            path,
            flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        )
        .map(File::from)
        .map_err(std::io::Error::from)
    };
    let file = open(OFlags::PATH)?;
    let meta = file.metadata()?;
    Ok(match &entry.kind {
        Kind::Whiteout => meta.file_type().is_char_device() && meta.rdev() == 0,
        Kind::Dir { .. } => meta.is_dir(),
        Kind::File { size, content, .. } => {
            if !meta.is_file() || meta.len() != *size {
                return Ok(false);
            }
            let mut hash = blake3::Hasher::new();
            hash.update_reader(open(OFlags::RDONLY)?)?;
            ContentDigest(*hash.finalize().as_bytes()) == *content
        }
        Kind::Symlink { target } => {
            meta.is_symlink() && rustix::fs::readlinkat(&file, "", Vec::new())?.as_bytes() == target
        }
        // They are there, and that is all that is asked of them.
        Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo => true,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layer::Made;
    use crate::snapshot::View;
    use crate::store::samples;

    /// A layer with an index: a file in a directory, a link, and an empty directory.
    fn layer(store: &Store) -> LayerId {
        let new = store.new_layer().unwrap();
        std::fs::create_dir_all(new.fs.join("dir/empty")).unwrap();
        std::fs::write(new.fs.join("dir/file"), "content").unwrap();
        std::os::unix::fs::symlink("dir/file", new.fs.join("link")).unwrap();
        new.commit_scanned(&View::new(Vec::new()), &Made::default())
            .unwrap()
            .id
    }

    /// Lets the machine have been started anew since the layers were written.
    fn reboot(store: &Store) -> Store {
        store
            .database()
            .write("reboot", |t| {
                t.execute(
                    "UPDATE layers SET boot = 'earlier' WHERE boot IS NOT NULL",
                    [],
                )
                .unwrap();
                Ok(())
            })
            .unwrap();
        Store::open(crate::StoreOptions::new(store.root())).unwrap()
    }

    fn boots(store: &Store) -> Vec<Option<String>> {
        store
            .database()
            .read("look", |c| {
                c.prepare("SELECT boot FROM layers")?
                    .query_map([], |row| row.get(0))?
                    .collect()
            })
            .unwrap()
    }

    #[test]
    fn a_reboot_costs_no_cache() {
        let (_dir, store) = samples::store();
        let id = layer(&store);
        let store = reboot(&store);
        assert!(store.pin(std::slice::from_ref(&id)).unwrap().is_some());
        assert_eq!(boots(&store), [Some(boot_id().to_owned())]);
    }

    #[test]
    fn a_layer_that_lost_something_is_dropped() {
        type Lose = fn(&Path);
        let losses: [(&str, Lose); 6] = [
            ("a file became empty", |fs| {
                std::fs::write(fs.join("dir/file"), "").unwrap();
            }),
            ("a file has other bytes", |fs| {
                std::fs::write(fs.join("dir/file"), "CONTENT").unwrap();
            }),
            ("a file is gone", |fs| {
                std::fs::remove_file(fs.join("dir/file")).unwrap();
            }),
            ("a link leads elsewhere", |fs| {
                std::fs::remove_file(fs.join("link")).unwrap();
                std::os::unix::fs::symlink("dir", fs.join("link")).unwrap();
            }),
            ("a directory is a file", |fs| {
                std::fs::remove_dir(fs.join("dir/empty")).unwrap();
                std::fs::write(fs.join("dir/empty"), "").unwrap();
            }),
            ("the index is empty", |fs| {
                std::fs::write(fs.join("../index"), "").unwrap();
            }),
        ];
        for (what, lose) in losses {
            let (_dir, store) = samples::store();
            let id = layer(&store);
            lose(&store.layer_dir(&id).join("fs"));
            let store = reboot(&store);
            assert!(
                store.pin(std::slice::from_ref(&id)).unwrap().is_none(),
                "{what}"
            );
            assert!(boots(&store).is_empty(), "{what}");
            assert!(
                store.pin(&[id]).unwrap().is_none(),
                "{what}: the second time"
            );
        }
    }

    #[test]
    fn what_was_flushed_is_trusted_in_every_boot() {
        let (_dir, store) = samples::store();
        let id = layer(&store);
        store.flush().unwrap();
        assert_eq!(boots(&store), [None]);
        // It is not even looked at: this would be noticed.
        std::fs::write(store.layer_dir(&id).join("fs/dir/file"), "").unwrap();
        let store = reboot(&store);
        assert!(store.pin(&[id]).unwrap().is_some());
    }
}
