//! Writes archives whose bytes depend on the entries alone.
//!
//! A header is ustar where everything fits, otherwise an extended header with its records sorted
//! by key stands in front of it. Never written: user and group names, access and change times,
//! anything of the machine. The order of entries, and rounding times to seconds (each fraction
//! costs an extended header), are the caller's.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use super::header::{self, Header, fits};
use super::{BLOCK, Entry, Kind, PATH_LIMIT, TarError, padding, pax, shown};

const COPY_BUFFER: usize = 128 << 10;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes entries to a stream.
pub struct Writer<W> {
    inner: W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Starts an archive.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
        }
    }

    /// Writes an entry and, for a file, its content: exactly `entry.size` bytes of `body`, which
    /// must end there.
    pub fn append(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<(), TarError> {
        self.append_header(entry)?;
        if entry.kind != Kind::File {
            return Ok(());
        }
        let changed = || TarError::Body {
            path: shown(&entry.path),
            size: entry.size,
        };
        self.buffer.resize(COPY_BUFFER, 0);
        let mut left = entry.size;
        loop {
            let read = match body.read(&mut self.buffer) {
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            if read == 0 {
                break;
            }
            left = left.checked_sub(read as u64).ok_or_else(changed)?;
            self.inner.write_all(&self.buffer[..read])?;
        }
        if left > 0 {
            return Err(changed());
        }
        self.inner
            .write_all(&ZEROS[..padding(entry.size) as usize])?;
        Ok(())
    }

    /// Ends the archive and returns the stream.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.inner.write_all(&ZEROS)?;
        self.inner.write_all(&ZEROS)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn append_header(&mut self, entry: &Entry) -> Result<(), TarError> {
        let mut records = BTreeMap::new();
        let mut header = Header::new();
        set_path(&mut header, entry, &mut records)?;
        header.set_octal(header::MODE, u64::from(entry.mode & 0o7777));
        let mut number = |at, key: &str, value: u64| {
            if fits(at, value) {
                header.set_octal(at, value);
            } else {
                header.set_octal(at, 0);
                records.insert(key.into(), value.to_string().into_bytes());
            }
        };
        number(header::UID, "uid", u64::from(entry.uid));
        number(header::GID, "gid", u64::from(entry.gid));
        let size = if entry.kind == Kind::File {
            entry.size
        } else {
            0
        };
        number(header::SIZE, "size", size);
        let seconds = u64::try_from(entry.mtime.seconds)
            .ok()
            .filter(|seconds| fits(header::MTIME, *seconds));
        header.set_octal(header::MTIME, seconds.unwrap_or(0));
        if seconds.is_none() || entry.mtime.nanos != 0 {
            records.insert("mtime".into(), pax::time_text(entry.mtime).into_bytes());
        }
        for (name, value) in &entry.xattrs {
            if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
                return Err(field("extended attribute's name", entry));
            }
            records.insert([pax::XATTR, name].concat(), value.clone());
        }
        let flag = set_kind(&mut header, entry, &mut records)?;
        if !records.is_empty() {
            self.append_extension(entry, &pax::write(&records))?;
        }
        header.seal(flag);
        self.inner.write_all(&header.0)?;
        Ok(())
    }

    fn append_extension(&mut self, entry: &Entry, body: &[u8]) -> Result<(), TarError> {
        let size = body.len() as u64;
        if size > super::EXTENSION_LIMIT {
            return Err(TarError::TooLarge {
                what: "an extended header",
                size,
                limit: super::EXTENSION_LIMIT,
            });
        }
        let base = entry
            .path
            .rsplit(|b| *b == b'/')
            .find(|part| !part.is_empty());
        let mut header = Header::new();
        let name = [b"PaxHeaders.0/", base.unwrap_or_default()].concat();
        header.set_text(header::NAME, &name);
        for zero in [header::MODE, header::UID, header::GID, header::MTIME] {
            header.set_octal(zero, 0);
        }
        header.set_octal(header::SIZE, size);
        header.seal(b'x');
        self.inner.write_all(&header.0)?;
        self.inner.write_all(body)?;
        self.inner.write_all(&ZEROS[..padding(size) as usize])?;
        Ok(())
    }
}

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn set_path(header: &mut Header, entry: &Entry, records: &mut Records) -> Result<(), TarError> {
    let mut path = entry.path.clone();
    if entry.kind == Kind::Dir && !path.ends_with(b"/") {
        path.push(b'/');
    } else if entry.kind != Kind::Dir && path.ends_with(b"/") {
        return Err(field("path", entry));
    }
    check_text("path", &path, entry)?;
    match split(&path) {
        Some((prefix, name)) => {
            header.set_text(header::PREFIX, prefix);
            header.set_text(header::NAME, name);
        }
        None => {
            // For readers that know no extended headers, or only ones in UTF-8.
            header.set_text(header::NAME, &path);
            records.insert("path".into(), path);
        }
    }
    Ok(())
}

/// Writes what belongs to the kind and returns its flag.
fn set_kind(header: &mut Header, entry: &Entry, records: &mut Records) -> Result<u8, TarError> {
    let flag = match &entry.kind {
        Kind::File => b'0',
        Kind::HardLink { target } | Kind::Symlink { target } => {
            check_text("link target", target, entry)?;
            header.set_text(header::LINK, target);
            if target.len() > 100 || !target.is_ascii() {
                records.insert("linkpath".into(), target.clone());
            }
            match entry.kind {
                Kind::HardLink { .. } => b'1',
                _ => b'2',
            }
        }
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            for (at, value) in [(header::MAJOR, major), (header::MINOR, minor)] {
                if !fits(at, u64::from(*value)) {
                    return Err(field("device number", entry));
                }
                header.set_octal(at, u64::from(*value));
            }
            match entry.kind {
                Kind::CharDevice { .. } => b'3',
                _ => b'4',
            }
        }
    };
    Ok(flag)
}

fn field(field: &'static str, entry: &Entry) -> TarError {
    TarError::Field {
        field,
        path: shown(&entry.path),
    }
}

fn check_text(what: &'static str, text: &[u8], entry: &Entry) -> Result<(), TarError> {
    // A link to `/` is a link; a path of `/` alone names no entry.
    let names_nothing = text.is_empty() || (what == "path" && text == b"/");
    if names_nothing || text.contains(&0) {
        return Err(field(what, entry));
    }
    if text.len() > PATH_LIMIT {
        return Err(TarError::TooLarge {
            what,
            size: text.len() as u64,
            limit: PATH_LIMIT as u64,
        });
    }
    Ok(())
}

/// A path as ustar's prefix and name, when it fits: at the last slash that leaves both short
/// enough (and the name not empty).
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    let most = path.len().min(155 + 1);
    let slash = path[..most]
        .iter()
        .take(path.len() - 1)
        .rposition(|b| *b == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && name.len() <= 100 && !name.is_empty()).then_some((prefix, name))
}
