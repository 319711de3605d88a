//! Cache mounts: directories that outlive builds, by identity, shared between processes as asked.
//!
//! An instance is `mounts/v1/<id>/fs`; who uses it holds a lock on `mounts/v1/<id>`: a shared one,
//! or an exclusive one for `private` and `locked`. The lock belongs to the open file description,
//! so a launcher that was given the descriptor keeps it. What an instance holds is never part of a
//! key, and an empty one must do.

use std::fs::{File, TryLockError};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rusqlite::params;
use solver::op::Sharing;

use crate::database::now;
use crate::store::staging::random_name;
use crate::store::{Staging, Store, StoreError, remove};

/// What a step asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRequest {
    /// Namespace, id, and whatever else selects a directory of its own (seed, owner, mode).
    pub identity: String,
    /// What others see meanwhile.
    pub sharing: Sharing,
    /// Whether it must be a new, empty one, which takes the place of the others from then on.
    pub fresh: bool,
}

/// What came of asking.
#[derive(Debug)]
pub enum MountAnswer {
    /// An instance that is there.
    Ready(CacheMount),
    /// A new one, to be seeded and given its owner and mode.
    New(NewCacheMount),
    /// Somebody else has it. Ask again.
    Busy,
}

/// An instance in use; given back when dropped, and when everybody who was given its descriptor
/// has closed it.
#[derive(Debug)]
pub struct CacheMount {
    id: String,
    fs: PathBuf,
    lock: File,
}

impl CacheMount {
    /// Its name in the store.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory to be mounted.
    pub fn fs(&self) -> &Path {
        &self.fs
    }
}

impl AsFd for CacheMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

/// An instance in the making; gone when dropped.
#[derive(Debug)]
pub struct NewCacheMount {
    store: Store,
    request: MountRequest,
    home: Staging,
    /// Keeps others from making the first instance of the same identity.
    _first: Option<File>,
}

impl NewCacheMount {
    /// The empty directory to be seeded, of this user and mode 0755.
    pub fn fs(&self) -> PathBuf {
        self.home.path().join("fs")
    }

    /// Makes it one of the store's. A fresh one retires the others of its identity: those not in
    /// use are removed, the others by prune.
    pub fn ready(self) -> Result<CacheMount, StoreError> {
        let store = &self.store;
        let db = store.database();
        let lock =
            File::open(self.home.path()).map_err(StoreError::io("open", self.home.path()))?;
        if !lock_as(&lock, self.request.sharing)
            .map_err(StoreError::io("lock", self.home.path()))?
        {
            return Err(StoreError::Damaged {
                path: self.home.path().to_owned(),
                reason: "somebody else has a lock on it".to_owned(),
            });
        }
        let id = random_name();
        let place = store.mounts_dir().join(&id);
        let retired = db.write("add a cache mount", |transaction| {
            let fail = || db.error("add a cache mount");
            let mut retired = Vec::new();
            if self.request.fresh {
                let mut find = transaction
                    .prepare("UPDATE mounts SET retired = 1 WHERE identity = ?1 RETURNING id")
                    .map_err(fail())?;
                retired = find
                    .query_map([&self.request.identity], |row| row.get::<_, String>(0))
                    .and_then(Iterator::collect)
                    .map_err(fail())?;
            }
            std::fs::rename(self.home.path(), &place).map_err(StoreError::io("make", &place))?;
            transaction
                .execute(
                    "INSERT INTO mounts VALUES (?1, ?2, ?3, ?3, 1, NULL, 0)",
                    params![id, self.request.identity, now()],
                )
                .map_err(fail())?;
            Ok(retired)
        })?;
        for old in retired {
            store.remove_mount(&old)?;
        }
        Ok(CacheMount {
            id,
            fs: place.join("fs"),
            lock,
        })
    }
}

impl Store {
    /// Tries to get an instance, without waiting.
    ///
    /// `shared` and `private` never find it busy (they get another one, kept for later), but while
    /// somebody makes the first one. Who needs several asks in the order of their identities and
    /// gives all back when one is busy.
    pub fn cache_mount(&self, request: &MountRequest) -> Result<MountAnswer, StoreError> {
        if request.fresh {
            return self.new_mount(request, None);
        }
        if let Some(answer) = self.present_mount(request)? {
            return Ok(answer);
        }
        // Whoever makes the first one holds a lease on its identity.
        let path = self.leases_file();
        let first = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        let hash = blake3::derive_key("rbuild cache mount v1", request.identity.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = hash;
        let at = u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 2;
        if !crate::locks::try_lock(&first, at, 1)
            .map_err(|errno| StoreError::io("lock", &path)(errno.into()))?
        {
            return Ok(MountAnswer::Busy);
        }
        // It may have been made between the look and the lease.
        match self.present_mount(request)? {
            Some(answer) => Ok(answer),
            None => self.new_mount(request, Some(first)),
        }
    }

    /// An instance that is there and free enough; `Busy` if there is one that has to be waited for.
    fn present_mount(&self, request: &MountRequest) -> Result<Option<MountAnswer>, StoreError> {
        let ids: Vec<String> = self.database().read("find a cache mount", |connection| {
            connection
                .prepare_cached(
                    "SELECT id FROM mounts WHERE identity = ?1 AND retired = 0
                     ORDER BY rowid",
                )?
                .query_map([&request.identity], |row| row.get(0))?
                .collect()
        })?;
        let mut busy = false;
        for id in ids {
            let place = self.mounts_dir().join(&id);
            // Prune may have been here since the look.
            let Ok(lock) = File::open(&place) else {
                continue;
            };
            if !lock_as(&lock, request.sharing).map_err(StoreError::io("lock", &place))? {
                busy = true;
                continue;
            }
            let fs = place.join("fs");
            if fs.is_dir() {
                self.note_mount_use(&id)?;
                return Ok(Some(MountAnswer::Ready(CacheMount { id, fs, lock })));
            }
        }
        Ok((busy && request.sharing == Sharing::Locked).then_some(MountAnswer::Busy))
    }

    fn new_mount(
        &self,
        request: &MountRequest,
        first: Option<File>,
    ) -> Result<MountAnswer, StoreError> {
        let home = self.staging("mount")?;
        let fs = home.path().join("fs");
        std::fs::create_dir(&fs).map_err(StoreError::io("make", &fs))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&fs, mode).map_err(StoreError::io("make", &fs))?;
        Ok(MountAnswer::New(NewCacheMount {
            store: self.clone(),
            request: request.clone(),
            home,
            _first: first,
        }))
    }

    fn note_mount_use(&self, id: &str) -> Result<(), StoreError> {
        let db = self.database();
        db.try_write("note uses", |transaction| {
            transaction
                .execute(
                    "UPDATE mounts SET used = ?2, uses = uses + 1, size = NULL WHERE id = ?1",
                    params![id, now()],
                )
                .map_err(db.error("note uses"))
        })?;
        Ok(())
    }

    /// Removes an instance unless it is in use; whether it did is the answer.
    pub(crate) fn remove_mount(&self, id: &str) -> Result<bool, StoreError> {
        let place = self.mounts_dir().join(id);
        let db = self.database();
        let forget = || {
            db.write("drop a cache mount", |transaction| {
                transaction
                    .execute("DELETE FROM mounts WHERE id = ?1", [id])
                    .map_err(db.error("drop a cache mount"))
            })
        };
        let Ok(lock) = File::open(&place) else {
            forget()?;
            return Ok(true);
        };
        if !lock_as(&lock, Sharing::Locked).map_err(StoreError::io("lock", &place))? {
            return Ok(false);
        }
        forget()?;
        let grave = self.owner()?.fresh("mount");
        std::fs::rename(&place, &grave).map_err(StoreError::io("remove", &place))?;
        remove::tree(&grave)?;
        Ok(true)
    }
}

/// Takes the lock that a way of sharing needs; whether it could is the answer.
fn lock_as(lock: &File, sharing: Sharing) -> std::io::Result<bool> {
    let result = match sharing {
        Sharing::Shared => lock.try_lock_shared(),
        Sharing::Private | Sharing::Locked => lock.try_lock(),
    };
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;

    fn request(sharing: Sharing) -> MountRequest {
        MountRequest {
            identity: "ns/cache".into(),
            sharing,
            fresh: false,
        }
    }

    fn get(store: &Store, request: &MountRequest) -> Option<CacheMount> {
        match store.cache_mount(request).unwrap() {
            MountAnswer::Ready(mount) => Some(mount),
            MountAnswer::New(new) => Some(new.ready().unwrap()),
            MountAnswer::Busy => None,
        }
    }

    #[test]
    fn ways_of_sharing_meet_as_they_should() {
        use Sharing::{Locked, Private, Shared};
        // Who has it, who comes, and what the newcomer gets: the same one, another, or none.
        for (holder, newcomer, same) in [
            (Shared, Shared, Some(true)),
            (Shared, Private, Some(false)),
            (Shared, Locked, None),
            (Private, Private, Some(false)),
            (Private, Shared, Some(false)),
            (Locked, Locked, None),
            (Locked, Shared, Some(false)),
        ] {
            let (_dir, store) = samples::store();
            let first = get(&store, &request(holder)).unwrap();
            let second = get(&store, &request(newcomer));
            let got = second.as_ref().map(|second| second.id() == first.id());
            assert_eq!(got, same, "{holder:?} then {newcomer:?}");
            let id = first.id().to_owned();
            drop((first, second));
            // Free again, everybody gets the oldest.
            assert_eq!(get(&store, &request(newcomer)).unwrap().id(), id);
        }
    }

    #[test]
    fn while_the_first_is_made_others_wait_and_nothing_stays_of_a_failure() {
        let (_dir, store) = samples::store();
        let new = store.cache_mount(&request(Sharing::Locked)).unwrap();
        assert!(matches!(new, MountAnswer::New(_)));
        assert!(get(&store, &request(Sharing::Locked)).is_none());
        drop(new);
        assert!(get(&store, &request(Sharing::Locked)).is_some());
        assert_eq!(std::fs::read_dir(store.mounts_dir()).unwrap().count(), 1);
    }

    #[test]
    fn a_fresh_one_is_empty_and_takes_the_place_of_the_others() {
        let (_dir, store) = samples::store();
        let old = get(&store, &request(Sharing::Shared)).unwrap();
        std::fs::write(old.fs().join("file"), "x").unwrap();
        let fresh = MountRequest {
            fresh: true,
            ..request(Sharing::Shared)
        };
        let new = get(&store, &fresh).unwrap();
        assert_ne!(new.id(), old.id());
        assert!(!new.fs().join("file").exists());
        assert!(old.fs().join("file").exists(), "it is in use");
        assert_eq!(
            get(&store, &request(Sharing::Shared)).unwrap().id(),
            new.id()
        );
        drop(old);
        let newer = get(&store, &fresh).unwrap();
        drop(new);
        let left = std::fs::read_dir(store.mounts_dir()).unwrap().count();
        // The first one went when the third came; the second was in use by then.
        assert_eq!(left, 2);
        drop(newer);
    }
}
