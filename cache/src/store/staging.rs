//! Things in the making: under `tmp/<owner>/`, swept by others when their maker is gone.
//!
//! `tmp/<owner>.lock` is locked as long as the process lives; whoever gets that lock may remove
//! what the owner left. The lock file is made before the directory and removed after it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{StoreError, remove};
use crate::disk::Clock;
use crate::layer::Timestamp;

/// Digits of a name that nobody else has: 62^7 of them.
const NAME_DIGITS: usize = 7;

/// This process's corner of `tmp`.
#[derive(Debug)]
pub(crate) struct Owner {
    name: String,
    dir: PathBuf,
    lock: PathBuf,
    next: AtomicU64,
    clock: OnceLock<Clock>,
    /// Locked until dropped.
    _file: File,
}

impl Owner {
    /// Makes a corner in the directory `tmp`.
    pub(crate) fn new(tmp: &Path) -> Result<Self, StoreError> {
        loop {
            let name = random_name();
            let lock = tmp.join(format!("{name}.lock"));
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&lock)
                .map_err(StoreError::io("make", &lock))?;
            // Somebody who sweeps may have taken it for a dead one's before it was locked.
            let ours =
                file.try_lock().is_ok() && file.metadata().is_ok_and(|meta| meta.nlink() == 1);
            if !ours {
                continue;
            }
            let dir = tmp.join(&name);
            DirBuilder::new()
                .mode(0o700)
                .create(&dir)
                .map_err(StoreError::io("make", &dir))?;
            return Ok(Self {
                name,
                dir,
                lock,
                next: AtomicU64::new(0),
                clock: OnceLock::new(),
                _file: file,
            });
        }
    }

    /// Its name, which pin rows carry.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The time of a file made now, by the clock of the store's file system.
    pub(crate) fn now(&self) -> Result<Timestamp, StoreError> {
        let fail = || StoreError::io("ask the time in", &self.dir);
        let clock = match self.clock.get() {
            Some(clock) => clock,
            None => {
                let made = Clock::of(&self.dir).map_err(fail())?;
                self.clock.get_or_init(|| made)
            }
        };
        clock.now().map_err(fail())
    }

    /// A path in it that nothing is at.
    pub(crate) fn fresh(&self, kind: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{kind}-{number}"))
    }
}

impl Owner {
    /// Removes what [`fresh`](Self::fresh) named with this kind and is still there.
    pub(crate) fn clear(&self, kind: &str) -> Result<(), StoreError> {
        let prefix = format!("{kind}-");
        for entry in std::fs::read_dir(&self.dir).map_err(StoreError::io("list", &self.dir))? {
            let entry = entry.map_err(StoreError::io("list", &self.dir))?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                remove::tree(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // What cannot be removed stays with its lock file, for somebody with more rights.
        if remove::tree(&self.dir).is_ok() {
            let _ = std::fs::remove_file(&self.lock);
        }
    }
}

/// A directory in the making; removed with what is in it when dropped, unless it was moved away.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Makes an empty directory in `owner`'s corner.
    pub(crate) fn new(owner: &Owner, kind: &str) -> Result<Self, StoreError> {
        let path = owner.fresh(kind);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(StoreError::io("make", &path))?;
        Ok(Self { path })
    }

    /// Where it is, absolute if the store's root is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The owner's own end, or a sweep, removes what is still there.
        let _ = remove::tree(&self.path);
    }
}

/// Whether the owner with this name still lives.
pub(crate) fn is_alive(tmp: &Path, name: &str) -> bool {
    let lock = tmp.join(format!("{name}.lock"));
    File::open(lock)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// An owner that is gone, held so that only one process cleans up after it.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) name: String,
    dir: PathBuf,
    lock: PathBuf,
    /// Locked until dropped.
    _file: Option<File>,
}

impl Dead {
    /// Those in the directory `tmp`.
    pub(crate) fn find(tmp: &Path) -> Result<Vec<Self>, StoreError> {
        let mut dead = Vec::new();
        for entry in std::fs::read_dir(tmp).map_err(StoreError::io("list", tmp))? {
            let entry = entry.map_err(StoreError::io("list", tmp))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let owner = name.strip_suffix(".lock");
            let lock = tmp.join(format!("{}.lock", owner.unwrap_or(&name)));
            let file = match File::options().write(true).open(&lock) {
                Ok(file) if owner.is_some() => match file.try_lock() {
                    Ok(()) => Some(file),
                    Err(_) => continue,
                },
                // Its lock file leads to it.
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound && owner.is_none() => None,
                Err(_) => continue,
            };
            let name = owner.unwrap_or(&name).to_owned();
            dead.push(Self {
                dir: tmp.join(&name),
                lock,
                name,
                _file: file,
            });
        }
        Ok(dead)
    }

    /// Removes what it left. An error leaves the rest to somebody with more rights.
    pub(crate) fn bury(self) -> Result<(), StoreError> {
        remove::tree(&self.dir)?;
        match std::fs::remove_file(&self.lock) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &self.lock)(error))
            }
            _ => Ok(()),
        }
    }
}

/// A short name that was never used: letters and digits, so that many fit into mount options.
pub(crate) fn random_name() -> String {
    const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut bytes = [0_u8; 16];
    let mut name = String::with_capacity(NAME_DIGITS);
    loop {
        if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
            continue;
        }
        // Bytes that would make some digits likelier than others are passed over.
        for byte in bytes.iter().filter(|byte| **byte < 248) {
            name.push(char::from(DIGITS[usize::from(byte % 62)]));
            if name.len() == NAME_DIGITS {
                return name;
            }
        }
    }
}
