//! Pins where a full disk has no room for a row: read locks on bytes of the file of the leases,
//! which take no room. They are gone with their process, as rows of dead owners are void.
//!
//! Who prunes looks for them inside its write transaction. Who marks does so first and looks at the
//! rows afterwards, in a write transaction that writes nothing: so that either the mark is seen, or
//! the row is gone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::locks;

/// Where marks begin: keys are below (see `leases`).
const FIRST: u64 = 1 << 62;

/// The marks of this process: they last as long as the file is open.
#[derive(Debug, Default)]
pub(super) struct Marks(Option<File>);

impl Marks {
    /// Marks an object. `path` is the file of the leases.
    pub(super) fn add(&mut self, path: &Path, object: &str) -> std::io::Result<()> {
        let file = match &self.0 {
            Some(file) => file,
            None => self.0.insert(open(path)?),
        };
        Ok(locks::share(file, place(object), 1)?)
    }
}

/// Those of `objects` that some process has marked.
pub(crate) fn marked<'o>(
    path: &Path,
    objects: impl Iterator<Item = &'o str>,
) -> std::io::Result<Vec<&'o str>> {
    let file = match open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    // Nearly always there is none at all; a length of 0 is up to the end.
    if !locks::is_locked(&file, FIRST, 0)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for object in objects {
        if locks::is_locked(&file, place(object), 1)? {
            found.push(object);
        }
    }
    Ok(found)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// An object's byte. Two may share one: then both stay.
fn place(object: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(object.as_bytes()).as_bytes()[..8]);
    FIRST | u64::from_le_bytes(bytes) >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_seen_until_its_process_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let all = ["a", "b", "c"];
        let seen = || marked(&path, all.into_iter()).unwrap();
        assert!(seen().is_empty());
        let (mut first, mut second) = (Marks::default(), Marks::default());
        for object in ["a", "b"] {
            first.add(&path, object).unwrap();
        }
        second.add(&path, "b").unwrap();
        assert_eq!(seen(), ["a", "b"]);
        drop(first);
        assert_eq!(seen(), ["b"]);
        drop(second);
        assert!(seen().is_empty());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }
}
