//! All entries of a layer, sorted and packed: the truth about it, and the source of its tar.
//!
//! The bytes in memory are those on disk, so that loading is one read and one pass of checks, and
//! a layer of 500,000 files costs some 70 MB and no allocation per entry. All numbers are little
//! endian:
//!
//! ```text
//! header   "rbuildLI", u16 version, u8 digest function, 5 zero bytes, u32 entries, u32 bytes of strings,
//!          ChangeDigest, BLAKE3 of all other bytes
//! records  one of `RECORD` bytes per entry, sorted
//! strings  per entry, in order: path, link target, extended attributes
//! ```
//!
//! There is one encoding of a list of entries, and only that one is accepted.

mod pack;

use std::cmp::Ordering;

use solver::{ChangeDigest, ContentDigest};

use self::pack::Packer;
use super::change::ChangeEncoder;
use super::entry::{is_within, path_cmp};
use super::error::lossy;
use super::record::{NO_LINK, RECORD, Record, tag};
use super::{Entry, Kind, LayerError};

const MAGIC: &[u8; 8] = b"rbuildLI";
const VERSION: u16 = 1;
/// The digest function of contents: BLAKE3. 2 is kept for SHA-256.
const BLAKE3: u8 = 1;
const HEADER: usize = 88;
const CHANGE: std::ops::Range<usize> = 24..56;
const CHECKSUM: std::ops::Range<usize> = 56..88;

/// Sorted, canonical list of a layer's entries, packed as it is on disk. Entries are made when asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct LayerIndex {
    bytes: Vec<u8>,
    count: usize,
    opaque: bool,
}

impl std::fmt::Debug for LayerIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for LayerIndex {
    fn default() -> Self {
        Packer::new(0).finish(ChangeEncoder::new().finish())
    }
}

impl LayerIndex {
    /// An index of `entries` in any order; of equal paths the last wins. A hard-link group gets
    /// the attributes of its first path; one that has a single member left is none.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, LayerError> {
        sort(&mut entries);
        regroup(&mut entries);
        let mut packer = Packer::new(entries.len());
        let mut change = ChangeEncoder::new();
        for (at, entry) in entries.iter().enumerate() {
            check(&entry.path)?;
            if at > 0 && !entries[at - 1].is_dir() && is_within(&entry.path, &entries[at - 1].path)
            {
                return Err(refused(&entry.path, "what it is in is not a directory"));
            }
            let first = match &entry.kind {
                Kind::File {
                    link: Some(first), ..
                } => entries[..=at]
                    .binary_search_by(|e| path_cmp(&e.path, first))
                    .map_err(|_| refused(&entry.path, "its hard link's first path is missing"))?,
                _ => NO_LINK as usize,
            };
            packer.push(entry, first as u32)?;
            change.entry(entry);
        }
        Ok(packer.finish(change.finish()))
    }

    /// Reads what [`as_bytes`](Self::as_bytes) gave; what is damaged or not canonical is refused.
    ///
    /// The digest of the change is taken from it. An index from elsewhere needs
    /// [`verify_change`](Self::verify_change) too.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, LayerError> {
        let fail = |reason| LayerError::Index { reason };
        let header = bytes.get(..HEADER).ok_or(fail("it is cut off"))?;
        if &header[..8] != MAGIC {
            return Err(fail("it is something else"));
        }
        if header[8..10] != VERSION.to_le_bytes() {
            return Err(fail("its version is not known here"));
        }
        if header[10] != BLAKE3 || header[11..16] != [0; 5] {
            return Err(fail("its digest function is not known here"));
        }
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
                as usize
        };
        let (count, strings) = (number(16), number(20));
        let size = count
            .checked_mul(RECORD)
            .and_then(|n| n.checked_add(HEADER + strings));
        if size != Some(bytes.len()) {
            return Err(fail("its size is not what its header says"));
        }
        if checksum(&bytes) != header[CHECKSUM] {
            return Err(fail("its checksum is wrong"));
        }
        let mut index = Self {
            bytes,
            count,
            opaque: false,
        };
        index.opaque = index.validate(strings).map_err(fail)?;
        Ok(index)
    }

    /// Makes sure that the entries are what the digest of the change says.
    pub fn verify_change(&self) -> Result<(), LayerError> {
        let mut change = ChangeEncoder::new();
        for entry in self.iter() {
            change.entry(&entry);
        }
        let (expected, found) = (self.change_digest(), change.finish());
        if expected == found {
            Ok(())
        } else {
            Err(LayerError::Changed { expected, found })
        }
    }

    /// The file's content.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What this layer does to what is below it.
    pub fn change_digest(&self) -> ChangeDigest {
        let mut digest = [0; 32];
        digest.copy_from_slice(&self.bytes[CHANGE]);
        ChangeDigest(digest)
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether the layer does nothing.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entry at `path`.
    pub fn get(&self, path: &[u8]) -> Option<Entry> {
        self.find(path).ok().map(|at| self.entry(at))
    }

    /// All entries, sorted: bytewise per component, so that a directory stands right before what is in it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry> + '_ {
        (0..self.count).map(|at| self.entry(at))
    }

    /// Whether any directory of it is opaque.
    pub(crate) const fn has_opaque(&self) -> bool {
        self.opaque
    }

    /// Position of `path`, or where it would be.
    pub(crate) fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.find_from(0, path)
    }

    /// As [`find`](Self::find), among the entries from `low` on.
    pub(crate) fn find_from(&self, mut low: usize, path: &[u8]) -> Result<usize, usize> {
        let mut high = self.count;
        while low < high {
            let middle = low + (high - low) / 2;
            match path_cmp(self.path(middle), path) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// The position after everything in the entry at `at`.
    pub(crate) fn end_of(&self, at: usize) -> usize {
        let path = self.path(at);
        let (mut step, mut low) = (1, at + 1);
        while low + step < self.count && is_within(self.path(low + step), path) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_within(self.path(middle), path) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The path of the entry at `at`.
    pub(crate) fn path(&self, at: usize) -> &[u8] {
        let record = self.record(at);
        self.string(record.path_at(), record.path_len())
    }

    /// The kind's tag of the entry at `at`, without making the entry.
    pub(crate) fn tag(&self, at: usize) -> u8 {
        self.record(at).tag()
    }

    /// Whether the entry at `at` is an opaque directory.
    pub(crate) fn is_opaque(&self, at: usize) -> bool {
        self.record(at).is_opaque()
    }

    /// Whether the disk holds something else in the place of the entry at `at`.
    pub(crate) fn is_placeholder(&self, at: usize) -> bool {
        self.record(at).is_placeholder()
    }

    /// The first path of the hard links that the entry at `at` is one of.
    pub(crate) fn link(&self, at: usize) -> Option<&[u8]> {
        let record = self.record(at);
        let linked = record.tag() == tag::FILE && record.text_at() != NO_LINK;
        linked.then(|| self.path(record.text_at() as usize))
    }

    /// Whether the entry at `at` is `entry`, placeholders aside, without making it.
    pub(crate) fn holds(&self, at: usize, entry: &Entry) -> bool {
        let record = self.record(at);
        let is_kind = match &entry.kind {
            Kind::Whiteout => record.tag() == tag::WHITEOUT,
            Kind::Dir { opaque } => record.tag() == tag::DIR && record.is_opaque() == *opaque,
            Kind::File {
                size,
                content,
                link,
            } => {
                record.tag() == tag::FILE
                    && record.number() == *size
                    && record.content() == content.0
                    && self.link(at) == link.as_deref()
            }
            Kind::Symlink { target } => {
                record.tag() == tag::SYMLINK
                    && self.string(record.text_at() as usize, record.text_len()) == target
            }
            Kind::CharDevice { major, minor } => {
                record.tag() == tag::CHAR && record.device() == (*major, *minor)
            }
            Kind::BlockDevice { major, minor } => {
                record.tag() == tag::BLOCK && record.device() == (*major, *minor)
            }
            Kind::Fifo => record.tag() == tag::FIFO,
        };
        is_kind
            && record.mode() == entry.mode
            && (record.uid(), record.gid()) == (entry.uid, entry.gid)
            && record.mtime() == entry.mtime
            && record.time_rule() == entry.time
            && self.path(at) == entry.path
            && (record.xattrs_len() == 0) == entry.xattrs.is_empty()
            && (entry.xattrs.is_empty() || self.entry(at).xattrs == entry.xattrs)
    }

    /// The entry at `at`.
    pub(crate) fn entry(&self, at: usize) -> Entry {
        let record = self.record(at);
        let kind = match record.tag() {
            tag::WHITEOUT => Kind::Whiteout,
            tag::DIR => Kind::Dir {
                opaque: record.is_opaque(),
            },
            tag::FILE => Kind::File {
                size: record.number(),
                content: ContentDigest(record.content()),
                link: (record.text_at() != NO_LINK)
                    .then(|| self.path(record.text_at() as usize).to_vec()),
            },
            tag::SYMLINK => Kind::Symlink {
                target: self
                    .string(record.text_at() as usize, record.text_len())
                    .to_vec(),
            },
            tag::CHAR => {
                let (major, minor) = record.device();
                Kind::CharDevice { major, minor }
            }
            tag::BLOCK => {
                let (major, minor) = record.device();
                Kind::BlockDevice { major, minor }
            }
            _ => Kind::Fifo,
        };
        let xattrs = parse_xattrs(self.string(record.xattrs_at(), record.xattrs_len()));
        Entry {
            path: self.path(at).to_vec(),
            kind,
            mode: record.mode(),
            uid: record.uid(),
            gid: record.gid(),
            mtime: record.mtime(),
            time: record.time_rule(),
            xattrs: xattrs.unwrap_or_default(),
            placeholder: record.is_placeholder(),
        }
    }

    fn record(&self, at: usize) -> Record<'_> {
        let start = HEADER + at * RECORD;
        Record(&self.bytes[start..start + RECORD])
    }

    fn strings(&self) -> &[u8] {
        &self.bytes[HEADER + self.count * RECORD..]
    }

    fn string(&self, at: usize, len: usize) -> &[u8] {
        self.strings()
            .get(at..at.saturating_add(len))
            .unwrap_or_default()
    }

    /// Whether two entries have all that one inode has.
    fn same_inode(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.record(a), self.record(b));
        let xattrs = |r: Record<'_>| self.string(r.xattrs_at(), r.xattrs_len());
        a.attributes() == b.attributes() && a.content() == b.content() && xattrs(a) == xattrs(b)
    }

    /// Checks every record; tells whether a directory is opaque.
    fn validate(&self, strings: usize) -> Result<bool, &'static str> {
        let mut opaque = false;
        let mut next = 0;
        let mut lone = std::collections::HashSet::new();
        for at in 0..self.count {
            let record = self.record(at);
            record.check()?;
            let mut tile = |from: usize, len: usize| {
                let fits = from == next && len <= strings - next;
                next += if fits { len } else { 0 };
                fits.then_some(())
                    .ok_or("its strings are not where they should be")
            };
            tile(record.path_at(), record.path_len())?;
            if record.tag() != tag::FILE {
                tile(record.text_at() as usize, record.text_len())?;
            }
            tile(record.xattrs_at(), record.xattrs_len())?;
            if parse_xattrs(self.string(record.xattrs_at(), record.xattrs_len())).is_none() {
                return Err("its extended attributes are damaged");
            }
            if record.tag() == tag::FILE && record.text_at() != NO_LINK {
                let first = record.text_at() as usize;
                if first > at
                    || self.record(first).text_at() as usize != first
                    || !self.same_inode(first, at)
                {
                    return Err("a hard link leads to another file");
                }
                if first == at {
                    lone.insert(at);
                } else {
                    lone.remove(&first);
                }
            }
            opaque |= record.is_opaque();
            let path = self.path(at);
            if check(path).is_err() {
                return Err("it has a path that cannot be");
            }
            if at > 0 {
                let before = self.path(at - 1);
                if path_cmp(before, path) != Ordering::Less {
                    return Err("its paths are not in order");
                }
                if self.tag(at - 1) != tag::DIR && is_within(path, before) {
                    return Err("something is in what is not a directory");
                }
            }
        }
        if !lone.is_empty() {
            return Err("a hard link is alone");
        }
        if next == strings {
            Ok(opaque)
        } else {
            Err("its strings are longer than its records say")
        }
    }
}

/// The attributes that mean nothing are always the same ones.
fn normalise(entry: &mut Entry) {
    match entry.kind {
        Kind::Whiteout => {
            let path = std::mem::take(&mut entry.path);
            let placeholder = entry.placeholder;
            *entry = Entry {
                placeholder,
                ..Entry::whiteout(path)
            };
        }
        Kind::Symlink { .. } => entry.mode = 0o777,
        _ => {}
    }
}

fn refused(path: &[u8], reason: &'static str) -> LayerError {
    LayerError::Path {
        path: lossy(path),
        reason,
    }
}

/// Refuses what cannot be a path relative to the root, without `.` and `..`.
pub(crate) fn check(path: &[u8]) -> Result<(), LayerError> {
    if path.is_empty() {
        return Ok(());
    }
    if path.contains(&0) {
        return Err(refused(path, "it has a zero byte"));
    }
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." | b".." => {
                return Err(refused(path, "it has an empty component, `.` or `..`"));
            }
            _ if name.len() > 255 => {
                return Err(refused(path, "a component is longer than 255 bytes"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sorts and normalises; of equal paths the last stays.
pub(crate) fn sort(entries: &mut Vec<Entry>) {
    entries.iter_mut().for_each(normalise);
    entries.sort_by(|a, b| path_cmp(&a.path, &b.path));
    entries.dedup_by(|later, earlier| {
        let same = later.path == earlier.path;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
}

/// Names each hard-link group by its first path that is here, in sorted `entries`; a group with
/// one member is dissolved, and the members of others get the first one's attributes.
pub(crate) fn regroup(entries: &mut [Entry]) {
    let mut groups = std::collections::HashMap::<Vec<u8>, Vec<usize>>::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Kind::File {
            link: Some(first), ..
        } = &entry.kind
        {
            groups.entry(first.clone()).or_default().push(at);
        }
    }
    for members in groups.into_values() {
        let first = entries[members[0]].clone();
        let name = (members.len() > 1).then(|| first.path.clone());
        for at in members {
            let path = std::mem::take(&mut entries[at].path);
            entries[at] = Entry {
                path,
                ..first.clone()
            };
            if let Kind::File { link, .. } = &mut entries[at].kind {
                link.clone_from(&name);
            }
        }
    }
}

/// An index whose checksum is right, whatever else is wrong: fuzz targets cannot guess one.
#[cfg(feature = "fuzzing")]
pub fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= HEADER {
        let right = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&right);
    }
    bytes
}

fn checksum(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..CHECKSUM.start]);
    hasher.update(&bytes[HEADER..]);
    *hasher.finalize().as_bytes()
}

/// `None` if they are damaged or not sorted.
fn parse_xattrs(mut bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut xattrs = Vec::<(String, Vec<u8>)>::new();
    let mut piece = || {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (piece, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        bytes = rest;
        Some(piece.to_vec())
    };
    while let Some(name) = piece() {
        let value = piece()?;
        let name = String::from_utf8(name).ok()?;
        if xattrs.last().is_some_and(|(last, _)| *last >= name) {
            return None;
        }
        xattrs.push((name, value));
    }
    bytes.is_empty().then_some(xattrs)
}

#[cfg(test)]
mod tests;
