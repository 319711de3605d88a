//! The fixed part of a packed entry: where its fields are. Knows no strings and no order.

use super::{Entry, Kind, TimeRule, Timestamp};

/// Bytes of one record.
pub(super) const RECORD: usize = 88;

/// In place of a hard link's first entry: there is none.
pub(super) const NO_LINK: u32 = u32::MAX;

/// What an entry is.
pub(crate) mod tag {
    pub const WHITEOUT: u8 = 0;
    pub const DIR: u8 = 1;
    pub const FILE: u8 = 2;
    pub const SYMLINK: u8 = 3;
    pub const CHAR: u8 = 4;
    pub const BLOCK: u8 = 5;
    pub const FIFO: u8 = 6;
}

const OPAQUE: u8 = 1;
const PLACEHOLDER: u8 = 2;
const TIME: u8 = 0b1100;

/// One record, to be read.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(pub &'a [u8]);

impl Record<'_> {
    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    fn u64(self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    pub fn path_at(self) -> usize {
        self.u32(0) as usize
    }

    pub fn path_len(self) -> usize {
        self.u32(4) as usize
    }

    pub fn tag(self) -> u8 {
        self.0[8]
    }

    pub fn is_opaque(self) -> bool {
        self.0[9] & OPAQUE != 0
    }

    pub fn is_placeholder(self) -> bool {
        self.0[9] & PLACEHOLDER != 0
    }

    pub fn time_rule(self) -> TimeRule {
        match self.0[9] & TIME {
            0b0100 => TimeRule::Now,
            0b1000 => TimeRule::Ignored,
            _ => TimeRule::Exact,
        }
    }

    pub fn mode(self) -> u32 {
        u32::from(self.0[10]) | u32::from(self.0[11]) << 8
    }

    pub fn uid(self) -> u32 {
        self.u32(12)
    }

    pub fn gid(self) -> u32 {
        self.u32(16)
    }

    pub fn mtime(self) -> Timestamp {
        Timestamp {
            seconds: self.u64(24) as i64,
            nanos: self.u32(20),
        }
    }

    /// Size of a file.
    pub fn number(self) -> u64 {
        self.u64(32)
    }

    /// Numbers of a device.
    pub fn device(self) -> (u32, u32) {
        (self.u32(36), self.u32(32))
    }

    /// A symbolic link's target, or the entry that is a file's first hard link.
    pub fn text_at(self) -> u32 {
        self.u32(40)
    }

    pub fn text_len(self) -> usize {
        self.u32(44) as usize
    }

    pub fn xattrs_at(self) -> usize {
        self.u32(48) as usize
    }

    pub fn xattrs_len(self) -> usize {
        self.u32(52) as usize
    }

    pub fn content(self) -> [u8; 32] {
        let mut content = [0; 32];
        content.copy_from_slice(&self.0[56..88]);
        content
    }

    /// Everything but strings and content.
    pub fn attributes(&self) -> &[u8] {
        &self.0[8..40]
    }

    /// Refuses values that no writer writes.
    pub fn check(self) -> Result<(), &'static str> {
        let flags = self.0[9];
        if self.tag() > tag::FIFO
            || flags > 0b1011
            || self.tag() == tag::WHITEOUT && flags & TIME != 0
            || self.is_opaque() && self.tag() != tag::DIR
        {
            return Err("it has an entry of an unknown kind");
        }
        if self.mode() > 0o7777 || self.mtime().nanos > 999_999_999 {
            return Err("it has an impossible mode or time");
        }
        if self.tag() != tag::FILE && self.content() != [0; 32] {
            return Err("something other than a file has content");
        }
        let numbered = matches!(self.tag(), tag::FILE | tag::CHAR | tag::BLOCK);
        if !numbered && self.number() != 0 {
            return Err("something other than a file or device has a number");
        }
        if self.tag() != tag::SYMLINK && self.text_len() != 0 {
            return Err("something other than a link has a target");
        }
        if self.tag() == tag::WHITEOUT && self.0[10..32] != [0; 22] {
            return Err("a whiteout has attributes");
        }
        if self.tag() == tag::SYMLINK && self.mode() != 0o777 {
            return Err("a symbolic link has a mode");
        }
        Ok(())
    }
}

/// Appends the record of `entry`, whose strings are at these places (start, length).
pub(super) fn write(
    out: &mut Vec<u8>,
    entry: &Entry,
    path: (u32, u32),
    text: (u32, u32),
    xattrs: (u32, u32),
) -> Result<(), &'static str> {
    if entry.mode > 0o7777 || entry.mtime.nanos > 999_999_999 {
        return Err("its mode or time is impossible");
    }
    let device = |major: u32, minor: u32| u64::from(major) << 32 | u64::from(minor);
    let (tag, number, content) = match &entry.kind {
        Kind::Whiteout => (tag::WHITEOUT, 0, [0; 32]),
        Kind::Dir { .. } => (tag::DIR, 0, [0; 32]),
        Kind::File { size, content, .. } => (tag::FILE, *size, content.0),
        Kind::Symlink { .. } => (tag::SYMLINK, 0, [0; 32]),
        Kind::CharDevice { major, minor } => (tag::CHAR, device(*major, *minor), [0; 32]),
        Kind::BlockDevice { major, minor } => (tag::BLOCK, device(*major, *minor), [0; 32]),
        Kind::Fifo => (tag::FIFO, 0, [0; 32]),
    };
    let opaque = matches!(entry.kind, Kind::Dir { opaque: true });
    let time = match entry.time {
        TimeRule::Exact => 0,
        TimeRule::Now => 0b0100,
        TimeRule::Ignored => 0b1000,
    };
    let flags = (u8::from(opaque) * OPAQUE) | (u8::from(entry.placeholder) * PLACEHOLDER) | time;
    out.extend_from_slice(&path.0.to_le_bytes());
    out.extend_from_slice(&path.1.to_le_bytes());
    out.extend_from_slice(&[tag, flags]);
    out.extend_from_slice(&(entry.mode as u16).to_le_bytes());
    for number in [entry.uid, entry.gid, entry.mtime.nanos] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&entry.mtime.seconds.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    for number in [text.0, text.1, xattrs.0, xattrs.1] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&content);
    Ok(())
}
