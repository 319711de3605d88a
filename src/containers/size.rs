//! How much the files of a container take.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache::{Store, StoredContainer};

use super::find;
use crate::home::store_failure;
use crate::report::Failure;

/// Bytes of what a container changed, and of everything that it sees.
pub fn of(store: &Store, row: &StoredContainer) -> Result<(u64, u64), Failure> {
    let own = own(store, row);
    let mut all = own;
    for id in &row.stack {
        let layer = store.layer(id).map_err(|error| store_failure(&error))?;
        all += crate::images::content_size(&layer);
    }
    Ok((own, all))
}

/// Bytes of the files that a container made or changed, as their lengths say: du(1) with
/// `--apparent-size`, without directories.
pub fn own(store: &Store, row: &StoredContainer) -> u64 {
    tree(&find::folder(store, row).join("fs"))
}

/// Bytes of the files of a directory. What cannot be read counts for nothing; a file with many names
/// counts once.
pub fn tree(dir: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut todo = vec![dir.to_owned()];
    let mut bytes = 0;
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = std::fs::symlink_metadata(entry.path()) else {
                continue;
            };
            if meta.is_dir() {
                todo.push(entry.path());
            } else if meta.is_file() && (meta.nlink() == 1 || seen.insert((meta.dev(), meta.ino())))
            {
                bytes += meta.len();
            }
        }
    }
    bytes
}
