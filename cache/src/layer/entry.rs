//! One entry of a layer: what a path of it is. Knows no files on disk.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use solver::ContentDigest;

/// A time of a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Timestamp {
    /// A whole second.
    pub const fn seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }
}

/// What an entry's modification time says about the entry's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TimeRule {
    /// It counts exactly: unpacked files, and times that a RUN set on purpose (`touch -d`).
    #[default]
    Exact,
    /// It counts as "now": the entry was written in the step's own window.
    Now,
    /// It does not count: content copied by COPY.
    Ignored,
}

/// One entry of a layer's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path from the root, without a leading `/`; empty for the root itself. Bytes, not necessarily UTF-8.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky, at most 07777.
    pub mode: u32,
    /// Owner, as the container sees it.
    pub uid: u32,
    /// Group, as the container sees it.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// How `mtime` counts.
    pub time: TimeRule,
    /// Extended attributes that count, sorted by name: `security.capability` in its v2 form.
    pub xattrs: Vec<(String, Vec<u8>)>,
    /// Whether the disk could not hold it as it is (a device, or an owner, of a store without
    /// root), so that something else stands in its place there. Not part of its identity.
    pub placeholder: bool,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Hides what is below at this path.
    Whiteout,
    /// A directory; an opaque one hides what is below in it.
    Dir {
        /// Whether it hides what is below in it.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// Digest of the bytes.
        content: ContentDigest,
        /// First path (in sort order) of the files of this layer that are the same inode, its own
        /// for that first one; none for a file that is alone.
        link: Option<Vec<u8>>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as written.
        target: Vec<u8>,
    },
    /// A character device.
    CharDevice {
        /// Its number.
        major: u32,
        /// Its number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its number.
        major: u32,
        /// Its number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl Entry {
    /// An entry owned by 0:0, of 1970, whose time counts exactly; for `..Entry::new(path, kind, mode)`.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            time: TimeRule::Exact,
            xattrs: Vec::new(),
            placeholder: false,
        }
    }

    /// A directory that hides nothing.
    pub fn dir(path: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::new(path, Kind::Dir { opaque: false }, mode)
    }

    /// A regular file that is alone.
    pub fn file(path: impl Into<Vec<u8>>, mode: u32, size: u64, content: ContentDigest) -> Self {
        let link = None;
        Self::new(
            path,
            Kind::File {
                size,
                content,
                link,
            },
            mode,
        )
    }

    /// A symbolic link.
    pub fn symlink(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        let target = target.into();
        Self::new(path, Kind::Symlink { target }, 0o777)
    }

    /// A whiteout.
    pub fn whiteout(path: impl Into<Vec<u8>>) -> Self {
        Self::new(path, Kind::Whiteout, 0)
    }

    /// Whether it is a directory.
    pub const fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir { .. })
    }

    /// The last component of its path; empty for the root.
    pub fn name(&self) -> &[u8] {
        split(&self.path).1
    }
}

/// Order of an index: bytewise per component, so that a directory stands right before what is in it.
pub fn path_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).position(|(x, y)| x != y);
    // `/` sorts before every byte that a name can hold, as the end of a path does before it
    let rank = |path: &[u8], at: usize| {
        path.get(at)
            .map_or(0, |c| if *c == b'/' { 1 } else { u16::from(*c) + 2 })
    };
    let at = common.unwrap_or_else(|| a.len().min(b.len()));
    rank(a, at).cmp(&rank(b, at))
}

/// The directory a path is in, and its name there; the root is in itself.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// `name` in the directory `dir`.
pub fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len() + 1 + name.len());
    join_in(&mut path, dir, name);
    path
}

/// The same in a buffer, in the place of what is there.
pub fn join_in(path: &mut Vec<u8>, dir: &[u8], name: &[u8]) {
    path.clear();
    path.extend_from_slice(dir);
    if !dir.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// Whether `path` is `dir` or something in it.
pub fn is_within(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty()
        || path
            .strip_prefix(dir)
            .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_right_before_what_is_in_it() {
        let sorted: [&[u8]; 9] = [
            b"", b"a", b"a/b", b"a/b/c", b"a/b-c", b"a/c", b"a-", b"a0", b"b",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(path_cmp(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn paths_are_split_and_joined() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(join(b"", b"a"), b"a");
        assert_eq!(join(b"a", b"b"), b"a/b");
        assert!(is_within(b"a/b", b"a") && is_within(b"a", b"a") && !is_within(b"ab", b"a"));
    }
}
