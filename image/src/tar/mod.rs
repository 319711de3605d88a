//! Tar archives, read and written: the form in which layers travel.
//!
//! An own codec, because a layer's bytes must be the same on every machine, and because two
//! readers that see different things in one archive are a way to smuggle files: this one sees
//! what Go's `archive/tar` sees, the reader of the builders and engines around us. Paths are
//! bytes and pass through unjudged: where they may lead is the business of who unpacks them.
//!
//! Formats: POSIX.1-2001 (pax), ustar, GNU tar's manual ("Basic Tar Format", "Storing Sparse
//! Files"), V7.

mod extensions;
mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

use std::collections::BTreeMap;
use std::io;

pub use reader::{Body, Reader};
pub use writer::Writer;

/// Everything is in blocks of this many bytes.
const BLOCK: usize = 512;
/// The largest extension header or sparse map that is read, in bytes (as in Go's reader).
const EXTENSION_LIMIT: u64 = 1 << 20;
/// The longest path or link target that is read or written, in bytes.
pub const PATH_LIMIT: usize = 32 << 10;
/// The start of a whiteout's name: `.wh.NAME` says that `NAME` below is gone (OCI layer.md).
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The name of an opaque whiteout: nothing of the directory below is seen (OCI layer.md).
pub const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";

/// One member of an archive, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path as written, without the slash at the end of a directory.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-user-id, set-group-id and sticky: `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When its content last changed.
    pub mtime: Time,
    /// Extended attributes, by full name (`security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Length of its content in bytes, holes included; 0 unless it is a file.
    pub size: u64,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; its content follows.
    File,
    /// Another name of an earlier entry of the same archive.
    HardLink {
        /// The path of that entry.
        target: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// What it points at, as written.
        target: Vec<u8>,
    },
    /// A directory.
    Dir,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Seconds since 1970, rounded down.
    pub seconds: i64,
    /// Nanoseconds after that second, below 10⁹.
    pub nanos: u32,
}

/// An archive that cannot be read, or an entry that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream under the archive failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The archive ends inside an entry.
    #[error("the archive is cut off")]
    Truncated,
    /// A header's checksum is wrong: this is no tar, or a damaged one.
    #[error("not a tar header at byte {offset}")]
    Header {
        /// Where in the uncompressed archive.
        offset: u64,
    },
    /// A field does not hold what it should.
    #[error("bad {field} of tar entry `{path}`")]
    Field {
        /// Which field.
        field: &'static str,
        /// Of which entry, as far as its name is known.
        path: String,
    },
    /// An extension header is malformed.
    #[error("bad extended header in tar archive: {reason}")]
    Pax {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A sparse file's map is malformed.
    #[error("bad sparse map of tar entry `{path}`")]
    Sparse {
        /// Of which entry.
        path: String,
    },
    /// Something is larger than anyone sane makes it.
    #[error("{what} in tar archive has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its length.
        size: u64,
        /// The most that is read or written.
        limit: u64,
    },
    /// A kind of entry that has no place in a file tree.
    #[error("tar entry `{path}` is of the unknown type {flag:?}")]
    Kind {
        /// Of which entry.
        path: String,
        /// Its type flag.
        flag: char,
    },
    /// The body given for an entry does not have the announced length.
    #[error("`{path}` changed while it was written: it has not the {size} bytes it had")]
    Body {
        /// Of which entry.
        path: String,
        /// The length announced.
        size: u64,
    },
}

impl From<TarError> for io::Error {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Io(error) => error,
            TarError::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

impl Entry {
    /// An entry of root's, from 1970, without attributes and content.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            xattrs: BTreeMap::new(),
            size: 0,
        }
    }
}

/// A path for a message.
fn shown(path: &[u8]) -> String {
    const LONGEST: usize = 256;
    let cut = &path[..path.len().min(LONGEST)];
    String::from_utf8_lossy(cut).into_owned()
}

/// The bytes that bring `size` to a full block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

#[cfg(test)]
mod tests;
