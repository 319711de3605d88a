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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn room_and_files_are_taken_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ballast");
        let there = || {
            let size = std::fs::metadata(&path).unwrap().size();
            (size, std::fs::read_dir(dir.path()).unwrap().count())
        };
        release(&path).unwrap();
        assert!(!path.exists(), "nothing was taken");
        for _ in 0..2 {
            fill(&path).unwrap();
            fill(&path).unwrap();
            assert_eq!(there(), (SIZE, 1 + FILES));
            release(&path).unwrap();
            release(&path).unwrap();
            assert_eq!(there(), (0, 1));
        }
        let spare = spare(&path).next().unwrap();
        std::fs::create_dir(&spare).unwrap();
        let errors = [fill(&path), release(&path)].map(|done| done.unwrap_err().to_string());
        for error in errors {
            assert!(error.contains(spare.to_str().unwrap()), "{error}");
        }
    }
}
