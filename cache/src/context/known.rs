//! The packed stat index of a context: which content a file has as long as its stat is the same.
//!
//! ```text
//! header   "rbuildCI", u32 version, u32 directories, u32 files, u32 bytes of strings, u64 device,
//!          BLAKE3 of all that follows
//! dirs     u32 path (start, length), u32 files (first, count); sorted by path
//! files    u32 name (start, length), stat, digest; those of a directory together, sorted by name
//! strings
//! ```
//!
//! Losing it costs time and nothing else: what is damaged, or of another version or device, counts
//! as not there.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use solver::ContentDigest;

use super::listing::{Listing, NodeKind, NodeStat};
use crate::layer::entry::split;

const MAGIC: &[u8; 8] = b"rbuildCI";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const CHECKSUM: std::ops::Range<usize> = 32..64;
const DIR: usize = 16;
const FILE: usize = 96;

/// File name of a context's index in the store.
pub(super) fn name(dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    blake3::hash(dir.as_os_str().as_bytes()).to_hex()[..32].to_owned()
}

/// What is known of a context's files.
#[derive(Debug, Default)]
pub(super) struct Known {
    bytes: Vec<u8>,
    dirs: usize,
    files: usize,
}

/// The known files of one directory, asked for in the order of their names.
#[derive(Clone, Copy)]
pub(super) struct KnownDir<'k> {
    known: &'k Known,
    /// Where the next one asked for is likely to be.
    next: usize,
    first: usize,
    end: usize,
}

impl Known {
    /// Reads an index of files on `device`; an empty one if there is none of use.
    pub fn load(path: &Path, device: u64) -> Self {
        std::fs::read(path)
            .ok()
            .and_then(|bytes| Self::parse(bytes, device))
            .unwrap_or_default()
    }

    fn parse(bytes: Vec<u8>, device: u64) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        let usable = &header[..8] == MAGIC
            && u32_at(header, 8) == VERSION
            && u64_at(header, 24) == device
            && header[CHECKSUM] == *blake3::hash(&bytes[HEADER..]).as_bytes();
        let (dirs, files) = (u32_at(header, 12) as usize, u32_at(header, 16) as usize);
        let size = HEADER + dirs * DIR + files * FILE + u32_at(header, 20) as usize;
        (usable && size == bytes.len()).then_some(Self { bytes, dirs, files })
    }

    /// The known files of the directory at `path`.
    pub fn dir(&self, path: &[u8]) -> KnownDir<'_> {
        let (mut low, mut high) = (0, self.dirs);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.dir_path(middle).cmp(path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.dir_at(middle),
            }
        }
        KnownDir {
            known: self,
            first: 0,
            next: 0,
            end: 0,
        }
    }

    fn dir_at(&self, at: usize) -> KnownDir<'_> {
        let record = &self.bytes[HEADER + at * DIR..][..DIR];
        let (first, count) = (u32_at(record, 8) as usize, u32_at(record, 12) as usize);
        let end = first.saturating_add(count);
        KnownDir {
            known: self,
            first,
            next: first,
            end: if end <= self.files { end } else { first },
        }
    }

    fn dir_path(&self, at: usize) -> &[u8] {
        let record = &self.bytes[HEADER + at * DIR..][..DIR];
        self.string(u32_at(record, 0), u32_at(record, 4))
    }

    fn string(&self, at: u32, len: u32) -> &[u8] {
        let strings = HEADER + self.dirs * DIR + self.files * FILE;
        let start = strings.saturating_add(at as usize);
        self.bytes
            .get(start..start.saturating_add(len as usize))
            .unwrap_or_default()
    }

    fn file(&self, at: usize) -> (&[u8], &[u8]) {
        let start = HEADER + self.dirs * DIR + at * FILE;
        let record = &self.bytes[start..start + FILE];
        (
            self.string(u32_at(record, 0), u32_at(record, 4)),
            &record[8..],
        )
    }

    /// What is known together with what `listings` learned of files on `device`.
    pub fn with(&self, device: u64, listings: &HashMap<Vec<u8>, Arc<Listing>>) -> Self {
        let mut dirs = Dirs::new();
        for (path, listing) in listings {
            let files = dirs.entry(path).or_default();
            for node in &listing.children {
                if let Some(digested) = node.digest.get().filter(|digested| digested.lasting) {
                    files.push((listing.name(node), record(&node.stat, &digested.content)));
                }
            }
        }
        for at in 0..self.dirs {
            let path = self.dir_path(at);
            if !dirs.contains_key(path) && !is_gone(path, listings) {
                let dir = self.dir_at(at);
                let files = (dir.first..dir.end).map(|at| self.file(at));
                dirs.insert(
                    path,
                    files.map(|(name, rest)| (name, rest.to_vec())).collect(),
                );
            }
        }
        dirs.retain(|_, files| !files.is_empty());
        pack(device, &dirs)
    }

    /// Writes it, whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let scratch = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&scratch, &self.bytes)
            .and_then(|()| std::fs::rename(&scratch, path))
            .inspect_err(|_| {
                let _ = std::fs::remove_file(&scratch);
            })
    }
}

/// Whether a scan saw that the directory at `path`, or one around it, is not there any more.
fn is_gone(mut path: &[u8], listings: &HashMap<Vec<u8>, Arc<Listing>>) -> bool {
    while !path.is_empty() {
        let (parent, name) = split(path);
        if let Some(listing) = listings.get(parent) {
            return !listing
                .child(name)
                .is_some_and(|node| matches!(node.kind, NodeKind::Dir));
        }
        path = parent;
    }
    false
}

/// Files of directories: name, and the rest of the record.
type Dirs<'k> = BTreeMap<&'k [u8], Vec<(&'k [u8], Vec<u8>)>>;

fn pack(device: u64, dirs: &Dirs<'_>) -> Known {
    let (mut table, mut files, mut strings) = (Vec::new(), Vec::new(), Vec::<u8>::new());
    let text = |text: &[u8], strings: &mut Vec<u8>| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text);
        [at.to_le_bytes(), (text.len() as u32).to_le_bytes()].concat()
    };
    let mut count = 0_u32;
    for (path, entries) in dirs {
        table.extend(text(path, &mut strings));
        table.extend(count.to_le_bytes());
        table.extend((entries.len() as u32).to_le_bytes());
        for (name, rest) in entries {
            files.extend(text(name, &mut strings));
            files.extend(rest);
            count += 1;
        }
    }
    let mut bytes = Vec::with_capacity(HEADER + table.len() + files.len() + strings.len());
    bytes.extend(MAGIC);
    for number in [VERSION, dirs.len() as u32, count, strings.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(device.to_le_bytes());
    bytes.extend([0; 32]);
    bytes.extend(table);
    bytes.extend(files);
    bytes.extend(strings);
    let checksum = *blake3::hash(&bytes[HEADER..]).as_bytes();
    bytes[CHECKSUM].copy_from_slice(&checksum);
    Known {
        dirs: dirs.len(),
        files: count as usize,
        bytes,
    }
}

/// The fixed part of a file's record, behind its name.
fn record(stat: &NodeStat, digest: &ContentDigest) -> Vec<u8> {
    let mut record = Vec::with_capacity(FILE - 8);
    for number in [
        stat.inode,
        stat.size,
        stat.mtime.seconds as u64,
        stat.ctime.seconds as u64,
    ] {
        record.extend(number.to_le_bytes());
    }
    for number in [
        stat.mtime.nanos,
        stat.ctime.nanos,
        stat.mode,
        stat.uid,
        stat.gid,
        0,
    ] {
        record.extend(number.to_le_bytes());
    }
    record.extend(digest.0);
    record
}

impl KnownDir<'_> {
    /// The digest of the file `name`, if its stat is what it was. Cheap if the names are asked for
    /// in their order, and right in any.
    pub fn digest(&mut self, name: &[u8], stat: &NodeStat) -> Option<ContentDigest> {
        let known = self.known;
        let (mut low, mut high) = (self.first, self.end);
        let mut middle = self.next;
        while low < high {
            if middle >= high {
                middle = low + (high - low) / 2;
            }
            let (found, rest) = known.file(middle);
            match found.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    self.next = middle + 1;
                    return same(rest, stat);
                }
            }
            middle = low + (high - low) / 2;
        }
        self.next = low;
        None
    }
}

fn same(record: &[u8], stat: &NodeStat) -> Option<ContentDigest> {
    let same = u64_at(record, 0) == stat.inode
        && u64_at(record, 8) == stat.size
        && u64_at(record, 16) == stat.mtime.seconds as u64
        && u64_at(record, 24) == stat.ctime.seconds as u64
        && u32_at(record, 32) == stat.mtime.nanos
        && u32_at(record, 36) == stat.ctime.nanos
        && u32_at(record, 40) == stat.mode
        && u32_at(record, 44) == stat.uid
        && u32_at(record, 48) == stat.gid;
    let digest: [u8; 32] = record[56..].try_into().ok()?;
    same.then_some(ContentDigest(digest))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Timestamp;

    #[test]
    fn files_are_found_in_any_order() {
        let stat = NodeStat {
            device: 1,
            inode: 2,
            size: 3,
            mtime: Timestamp::seconds(4),
            ctime: Timestamp::seconds(5),
            mode: 0o644,
            uid: 0,
            gid: 0,
            linked: false,
        };
        let names: Vec<String> = (0..20).map(|n| format!("f{n:02}")).collect();
        let digest = |n: u8| ContentDigest([n; 32]);
        let files = (0..20).map(|n| (names[usize::from(n)].as_bytes(), record(&stat, &digest(n))));
        let known = pack(1, &BTreeMap::from([(&b"d"[..], files.collect())]));
        let all: Vec<u8> = (0..20).collect();
        let orders: [Vec<u8>; 4] = [
            all.clone(),
            all.iter().rev().copied().collect(),
            all.iter().map(|n| n * 7 % 20).collect(),
            vec![3, 3, 19, 0, 0],
        ];
        for order in orders {
            let mut dir = known.dir(b"d");
            for n in order {
                assert_eq!(
                    dir.digest(names[usize::from(n)].as_bytes(), &stat),
                    Some(digest(n))
                );
                for no in ["", "f", "f03x", "z"] {
                    assert_eq!(dir.digest(no.as_bytes(), &stat), None);
                }
            }
            let later = NodeStat { size: 4, ..stat };
            assert_eq!(dir.digest(b"f00", &later), None);
        }
    }

    #[test]
    fn what_is_damaged_or_of_another_device_is_not_there() {
        let file = (&b"f"[..], vec![7; FILE - 8]);
        let dirs = BTreeMap::from([(&b""[..], vec![file.clone()]), (&b"d"[..], vec![file])]);
        let known = pack(3, &dirs);
        let parsed = Known::parse(known.bytes.clone(), 3).unwrap();
        let count = |path: &[u8]| {
            let dir = parsed.dir(path);
            dir.end - dir.first
        };
        assert_eq!((count(b"d"), count(b"e")), (1, 0));
        assert!(Known::parse(known.bytes.clone(), 4).is_none());
        // the count of strings and the padding are tied by the size
        for at in 0..known.bytes.len() {
            let mut bytes = known.bytes.clone();
            bytes[at] ^= 1;
            assert!(Known::parse(bytes, 3).is_none(), "byte {at}");
            assert!(Known::parse(known.bytes[..at].to_vec(), 3).is_none());
        }
    }
}
