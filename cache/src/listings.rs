//! What stood behind a [`TreeDigest`]: names and a fingerprint of each file, kept so that a later
//! miss can say which one changed.
//!
//! A listing is front-coded and holds eight bytes for a file, as one of fifty thousand files is
//! written whenever one of them changed.

use std::collections::BTreeMap;
use std::io::Write;

use solver::TreeDigest;

use crate::layer::{Entry, Kind};
use crate::select::Selected;
use crate::store::{Store, StoreError};

/// First bytes of a listing.
const MAGIC: &[u8; 8] = b"rblist\x01\n";

/// What happened to a file between two listings.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileChange {
    /// Its path in the tree that was selected from.
    pub path: String,
    /// What happened.
    pub what: FileChangeKind,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FileChangeKind {
    Changed,
    ModeChanged,
    New,
    Gone,
}

/// One file of a listing: fingerprints of what it is and of its mode and owner.
type Fingerprint = (u32, u32);

impl Store {
    /// Whether the names behind a selection's digest are kept.
    pub fn has_listing(&self, digest: &TreeDigest) -> bool {
        self.listing(digest).exists()
    }

    /// Keeps the names behind a selection's digest, unless they are kept already.
    pub fn keep_listing(&self, selected: &Selected) -> Result<(), StoreError> {
        if self.has_listing(&selected.digest) {
            return Ok(());
        }
        let path = self.listing(&selected.digest);
        let entries = selected.roots.iter().flat_map(|root| &root.entries);
        let mut files: Vec<(&[u8], Fingerprint)> = entries
            .map(|entry| (entry.source.as_slice(), fingerprint(&entry.entry)))
            .collect();
        files.sort_by_key(|(path, _)| *path);
        let scratch = self.owner()?.fresh("listing");
        let mut file = std::fs::File::create(&scratch).map_err(StoreError::io("make", &scratch))?;
        file.write_all(&encode(&files))
            .and_then(|()| std::fs::rename(&scratch, &path))
            .map_err(StoreError::io("write", &path))
    }

    /// What differs between the files behind two digests, by path; none if one of them is not known.
    pub fn compare_listings(&self, old: &TreeDigest, new: &TreeDigest) -> Option<Vec<FileChange>> {
        let read = |digest| std::fs::read(self.listing(digest)).ok();
        let (old, new) = (read(old)?, read(new)?);
        let (mut old, new) = (decode(&old)?, decode(&new)?);
        let mut changes: Vec<(Vec<u8>, FileChangeKind)> = Vec::new();
        for (path, (content, mode)) in new {
            match old.remove(&path) {
                None => changes.push((path, FileChangeKind::New)),
                Some((before, _)) if before != content => {
                    changes.push((path, FileChangeKind::Changed));
                }
                Some((_, before)) if before != mode => {
                    changes.push((path, FileChangeKind::ModeChanged));
                }
                Some(_) => (),
            }
        }
        changes.extend(old.into_keys().map(|path| (path, FileChangeKind::Gone)));
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        Some(
            changes
                .into_iter()
                .map(|(path, what)| FileChange {
                    path: String::from_utf8_lossy(&path).into_owned(),
                    what,
                })
                .collect(),
        )
    }
}

fn fingerprint(entry: &Entry) -> Fingerprint {
    let text = match &entry.kind {
        // Files are nearly all there is, and their digests are there.
        Kind::File { content, .. } => return (first_bytes(&content.0), mode(entry)),
        Kind::Symlink { target } => [b"link ", target.as_slice()].concat(),
        Kind::CharDevice { major, minor } => format!("char {major} {minor}").into_bytes(),
        Kind::BlockDevice { major, minor } => format!("block {major} {minor}").into_bytes(),
        Kind::Dir { .. } => b"dir".to_vec(),
        Kind::Fifo => b"fifo".to_vec(),
        Kind::Whiteout => b"whiteout".to_vec(),
    };
    (first_bytes(blake3::hash(&text).as_bytes()), mode(entry))
}

/// Mode and owner, mixed so that a change of any of them shows.
fn mode(entry: &Entry) -> u32 {
    entry.mode ^ entry.uid.wrapping_mul(0x9e37_79b1) ^ entry.gid.wrapping_mul(0x85eb_ca77)
}

fn first_bytes(digest: &[u8; 32]) -> u32 {
    let [a, b, c, d, ..] = *digest;
    u32::from_le_bytes([a, b, c, d])
}

fn encode(files: &[(&[u8], Fingerprint)]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut before: &[u8] = b"";
    for (path, (content, mode)) in files {
        let shared = before.iter().zip(*path).take_while(|(a, b)| a == b).count();
        let shared = shared.min(usize::from(u16::MAX));
        bytes.extend((shared as u16).to_le_bytes());
        bytes.extend(((path.len() - shared) as u16).to_le_bytes());
        bytes.extend(&path[shared..]);
        bytes.extend(content.to_le_bytes());
        bytes.extend(mode.to_le_bytes());
        before = path;
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, Fingerprint>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut files = BTreeMap::new();
    let mut before: Vec<u8> = Vec::new();
    while !rest.is_empty() {
        let (shared, after) = rest.split_first_chunk::<2>()?;
        let (length, after) = after.split_first_chunk::<2>()?;
        let (suffix, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (content, after) = after.split_first_chunk::<4>()?;
        let (mode, after) = after.split_first_chunk::<4>()?;
        let mut path = before
            .get(..usize::from(u16::from_le_bytes(*shared)))?
            .to_vec();
        path.extend(suffix);
        files.insert(
            path.clone(),
            (u32::from_le_bytes(*content), u32::from_le_bytes(*mode)),
        );
        before = path;
        rest = after;
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::{SelectedEntry, SelectedRoot};
    use solver::ContentDigest;

    fn selected(digest: u8, files: &[(&str, &str, u32)]) -> Selected {
        let entries = files
            .iter()
            .map(|(path, content, mode)| SelectedEntry {
                source: path.as_bytes().to_vec(),
                entry: Entry::file(
                    *path,
                    *mode,
                    content.len() as u64,
                    ContentDigest::of(content.as_bytes()),
                ),
            })
            .collect();
        Selected {
            digest: TreeDigest([digest; 32]),
            roots: vec![SelectedRoot {
                name: Vec::new(),
                is_dir: true,
                entries,
            }],
        }
    }

    #[test]
    fn two_listings_name_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::Store::open(crate::StoreOptions::new(dir.path().join("s"))).unwrap();
        let old = selected(
            1,
            &[
                ("a", "1", 0o644),
                ("src/lib.rs", "1", 0o644),
                ("src/main.rs", "1", 0o644),
                ("z", "1", 0o644),
            ],
        );
        let new = selected(
            2,
            &[
                ("a", "1", 0o755),
                ("src/lib.rs", "2", 0o644),
                ("src/main.rs", "1", 0o644),
                ("src/new.rs", "1", 0o644),
            ],
        );
        assert_eq!(store.compare_listings(&old.digest, &new.digest), None);
        store.keep_listing(&old).unwrap();
        store.keep_listing(&new).unwrap();
        let changes = store.compare_listings(&old.digest, &new.digest).unwrap();
        let shown: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.what)).collect();
        assert_eq!(
            shown,
            [
                ("a", FileChangeKind::ModeChanged),
                ("src/lib.rs", FileChangeKind::Changed),
                ("src/new.rs", FileChangeKind::New),
                ("z", FileChangeKind::Gone),
            ]
        );
        std::fs::write(store.listing(&old.digest), "nonsense").unwrap();
        assert_eq!(store.compare_listings(&old.digest, &new.digest), None);
    }
}
