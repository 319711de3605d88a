//! Files that only take room, so that there is some to give when the disk is full.
//!
//! Deleting needs space too: a transaction is a log before it is rows. It needs files, too: the lock
//! of whoever prunes. Who prunes releases the ballast first and fills it again afterwards.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::store::StoreError;

/// Bytes: the log of a transaction over some ten thousand rows.
const SIZE: u64 = 8 << 20;

/// Files: the lock of a pruning process and the journals of the rows, twice.
const FILES: usize = 8;

/// How the names of the files begin.
pub(crate) const SPARE: &str = ".ballast-";

/// The empty files beside the ballast.
fn spare(path: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=FILES).map(|number| path.with_file_name(format!("{SPARE}{number}")))
}

/// Takes the room, if it is not taken. On a file system that cannot reserve blocks it takes none.
pub(crate) fn fill(path: &Path) -> Result<(), StoreError> {
    let make = |path: &Path| {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(StoreError::io("make", path))
    };
    let file = make(path)?;
    for path in spare(path) {
        make(&path)?;
    }
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(errno) => Err(StoreError::io("reserve room in", path)(errno.into())),
    }
}

/// Gives the room back.
pub(crate) fn release(path: &Path) -> Result<(), StoreError> {
    for path in spare(path) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("release", &path)(error));
            }
            _ => {}
        }
    }
    match OpenOptions::new().write(true).truncate(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("release", path)(error)),
    }
}
