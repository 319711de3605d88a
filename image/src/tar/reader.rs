//! Reads an archive as a stream, entry by entry, and never panics on what it finds there.
//!
//! It follows Go's `archive/tar` where writers or readers differ: global extended headers are
//! checked and passed over, entries without content ignore their size, and the end is two zero
//! blocks or simply the end of the stream.

use std::io::{self, Read};
use std::mem;

use super::extensions::Extensions;
use super::header::{self, Format, Header, until_nul};
use super::sparse::{self, Extent, Map};
use super::{BLOCK, EXTENSION_LIMIT, Entry, Kind, PATH_LIMIT, TarError, Time, padding, pax, shown};

/// Reads entries from a stream.
///
/// ```
/// # use image::tar::{Entry, Kind, Reader, Writer};
/// # let mut writer = Writer::new(Vec::new());
/// # writer.append(&Entry { size: 2, ..Entry::new("a", Kind::File, 0o644) }, &mut &b"hi"[..])?;
/// # let bytes = writer.finish()?;
/// let mut reader = Reader::new(&bytes[..]);
/// while let Some(entry) = reader.next_entry()? {
///     let mut content = Vec::new();
///     std::io::Read::read_to_end(&mut reader.body(), &mut content)?;
///     assert_eq!((entry.size, &content[..]), (2, &b"hi"[..]));
/// }
/// # Ok::<(), image::tar::TarError>(())
/// ```
pub struct Reader<R> {
    inner: R,
    /// Bytes taken from `inner`.
    offset: u64,
    /// Bytes of the current entry still in the archive, without padding.
    stored: u64,
    padding: u64,
    /// Length of the current file, holes included.
    size: u64,
    /// Where in the current file the next byte is.
    position: u64,
    /// What of the file is stored, from the current extent on; none when all is.
    extents: Option<std::vec::IntoIter<Extent>>,
    extent: Extent,
    finished: bool,
}

impl<R: Read> Reader<R> {
    /// Reads an archive from its start. Headers are read in single blocks: give a file through a
    /// `BufReader`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            stored: 0,
            padding: 0,
            size: 0,
            position: 0,
            extents: None,
            extent: Extent {
                offset: 0,
                length: 0,
            },
            finished: false,
        }
    }

    /// The stream, behind what was read of it. After the last entry, bytes may follow that belong
    /// to the archive's digest.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The next entry, none at the end; what was not read of the last one's content is passed
    /// over.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        if self.finished {
            return Ok(None);
        }
        self.skip(self.stored)?;
        self.stored = 0;
        let padding = mem::take(&mut self.padding);
        self.skip(padding)?;
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header()? else {
                self.finished = true;
                return Ok(None);
            };
            match header.flag() {
                b'x' => {
                    let records = pax::parse(&self.extension(&header)?)?;
                    let (long_name, long_link) = (extensions.long_name, extensions.long_link);
                    extensions = Extensions::from_records(records)?;
                    extensions.long_name = long_name;
                    extensions.long_link = long_link;
                }
                b'g' => drop(pax::parse(&self.extension(&header)?)?),
                b'L' => {
                    extensions.long_name = Some(until_nul(&self.extension(&header)?).to_vec());
                }
                b'K' => {
                    extensions.long_link = Some(until_nul(&self.extension(&header)?).to_vec());
                }
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
    }

    /// The content of the entry that [`Reader::next_entry`] last returned.
    pub fn body(&mut self) -> Body<'_, R> {
        Body(self)
    }

    /// Whether the current entry is a sparse file: its content may be far longer than the archive.
    pub fn has_holes(&self) -> bool {
        self.extents.is_some()
    }

    /// The next header; none at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut header = Header::new();
        if !self.block(&mut header.0)? {
            return Ok(None);
        }
        if header.0 == [0; BLOCK] {
            if !self.block(&mut header.0)? || header.0 == [0; BLOCK] {
                return Ok(None);
            }
            return Err(TarError::Header {
                offset: self.offset - BLOCK as u64,
            });
        }
        if !header.is_valid() {
            return Err(TarError::Header {
                offset: self.offset - BLOCK as u64,
            });
        }
        Ok(Some(header))
    }

    /// Fills a block; false when the stream has ended before it.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, TarError> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(TarError::Truncated),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.offset += BLOCK as u64;
        Ok(true)
    }

    /// The body of an extension header. Its length is its own: no extension applies to another.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let size = header
            .number(header::SIZE)
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| field("size", &header.path()))?;
        if size > EXTENSION_LIMIT {
            return Err(TarError::TooLarge {
                what: "an extended header",
                size,
                limit: EXTENSION_LIMIT,
            });
        }
        let mut body = vec![0; size as usize];
        fill(&mut self.inner, &mut body)?;
        self.offset += size;
        self.skip(padding(size))?;
        Ok(body)
    }

    fn entry(&mut self, header: &Header, mut extensions: Extensions) -> Result<Entry, TarError> {
        let map = match header.flag() {
            b'S' => Some(Map::None),
            _ => extensions.sparse.map(),
        };
        // The name of a sparse file counts only when it is one, as in Go's reader.
        let sparse_name = match map {
            Some(Map::None) => None,
            _ => extensions.sparse.name.take(),
        };
        let mut path = sparse_name
            .or(extensions.long_name)
            .or(extensions.path)
            .unwrap_or_else(|| header.path());
        check_length("a path", &path)?;
        let target = extensions
            .long_link
            .or(extensions.link)
            .unwrap_or_else(|| header.text(header::LINK).to_vec());
        check_length("a link target", &target)?;

        let number = |name, at| header.number(at).ok_or_else(|| field(name, &path));
        let id = |name, at, extended: Option<u32>| match extended {
            Some(id) => Ok(id),
            None => u32::try_from(number(name, at)?).map_err(|_| field(name, &path)),
        };
        let uid = id("uid", header::UID, extensions.uid)?;
        let gid = id("gid", header::GID, extensions.gid)?;
        let mode = (number("mode", header::MODE)? & 0o7777) as u32;
        let mtime = match extensions.mtime {
            Some(time) => time,
            None => Time {
                seconds: number("mtime", header::MTIME)?,
                nanos: 0,
            },
        };
        let stored = match extensions.size {
            Some(size) => size,
            None => {
                u64::try_from(number("size", header::SIZE)?).map_err(|_| field("size", &path))?
            }
        };
        let device = |name, at| match header.format() {
            Format::V7 => Ok(0),
            _ => u32::try_from(number(name, at)?).map_err(|_| field(name, &path)),
        };
        let kind = match header.flag() {
            b'\0' if path.ends_with(b"/") => Kind::Dir,
            b'\0' | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink { target },
            b'2' => Kind::Symlink { target },
            b'3' => Kind::CharDevice {
                major: device("device number", header::MAJOR)?,
                minor: device("device number", header::MINOR)?,
            },
            b'4' => Kind::BlockDevice {
                major: device("device number", header::MAJOR)?,
                minor: device("device number", header::MINOR)?,
            },
            b'5' => Kind::Dir,
            b'6' => Kind::Fifo,
            flag => {
                return Err(TarError::Kind {
                    path: shown(&path),
                    flag: flag.into(),
                });
            }
        };
        if kind == Kind::Dir {
            while path.len() > 1 && path.ends_with(b"/") {
                path.pop();
            }
        }
        let map = map.ok_or_else(|| TarError::Sparse { path: shown(&path) })?;
        let real_size = extensions.sparse.size().flatten();
        self.begin_body(&kind, stored, header, map, real_size, &path)?;
        Ok(Entry {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime,
            xattrs: extensions.xattrs,
            size: self.size,
        })
    }

    /// Sets the reader on the content of a new entry.
    fn begin_body(
        &mut self,
        kind: &Kind,
        stored: u64,
        header: &Header,
        map: Map,
        real_size: Option<u64>,
        path: &[u8],
    ) -> Result<(), TarError> {
        let bad = || TarError::Sparse { path: shown(path) };
        self.position = 0;
        self.extents = None;
        if *kind != Kind::File {
            (self.stored, self.padding, self.size) = (0, 0, 0);
            return match map {
                Map::None => Ok(()),
                _ => Err(bad()),
            };
        }
        (self.stored, self.padding, self.size) = (stored, padding(stored), stored);
        let (numbers, size) = if header.flag() == b'S' {
            if header.format() != Format::Gnu {
                return Err(bad());
            }
            let (pairs, extended) = header.gnu_sparse();
            let (numbers, read) = sparse::read_old(pairs, extended, &mut self.inner)?;
            self.offset += read;
            let size = header.number(header::GNU_REAL_SIZE);
            (numbers, size.and_then(|n| u64::try_from(n).ok()))
        } else {
            match map {
                Map::None => return Ok(()),
                Map::Given(numbers) => (numbers, real_size),
                Map::InBody => {
                    let (numbers, read) = sparse::read_in_body(&mut self.inner, stored)?;
                    self.offset += read;
                    self.stored -= read;
                    (numbers, real_size)
                }
            }
        };
        self.size = size.ok_or_else(bad)?;
        let mut extents = sparse::extents(&numbers, self.size, self.stored)
            .ok_or_else(bad)?
            .into_iter();
        self.extent = extents.next().unwrap_or(self.end());
        self.extents = Some(extents);
        Ok(())
    }

    /// The empty extent behind the last one.
    fn end(&self) -> Extent {
        Extent {
            offset: self.size,
            length: 0,
        }
    }

    /// Bytes of the hole in which the reader stands; 0 when it stands on content.
    fn hole(&self) -> u64 {
        match self.extents {
            Some(_) => self.extent.offset.saturating_sub(self.position),
            None => 0,
        }
    }

    /// Reads and drops `count` bytes of the archive.
    fn skip(&mut self, count: u64) -> Result<(), TarError> {
        let copied = io::copy(&mut self.inner.by_ref().take(count), &mut io::sink())?;
        self.offset += copied;
        if copied < count {
            return Err(TarError::Truncated);
        }
        Ok(())
    }

    fn read_stored(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = match self.extents {
            Some(_) => self.extent.offset + self.extent.length - self.position,
            None => self.stored,
        };
        let most = usize::try_from(most).map_or(into.len(), |n| n.min(into.len()));
        if most == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut into[..most])?;
        if read == 0 {
            return Err(TarError::Truncated.into());
        }
        self.offset += read as u64;
        self.stored -= read as u64;
        self.position += read as u64;
        if let Some(extents) = &mut self.extents
            && self.position == self.extent.offset + self.extent.length
        {
            let next = extents.next();
            self.extent = next.unwrap_or(self.end());
        }
        Ok(read)
    }
}

/// The content of one entry.
pub struct Body<'a, R>(&'a mut Reader<R>);

impl<R: Read> Body<'_, R> {
    /// When the reader stands before a hole, passes over it and returns its length; else 0. So
    /// that holes are never written as zeros, and a file that is all hole costs nothing:
    /// call it before each `read`, which stops in front of holes.
    pub fn skip_hole(&mut self) -> u64 {
        let hole = self.0.hole();
        self.0.position += hole;
        hole
    }
}

impl<R: Read> Read for Body<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let hole = self.0.hole();
        if hole > 0 {
            let zeros = usize::try_from(hole).map_or(into.len(), |n| n.min(into.len()));
            into[..zeros].fill(0);
            self.0.position += zeros as u64;
            return Ok(zeros);
        }
        self.0.read_stored(into)
    }
}

fn field(field: &'static str, path: &[u8]) -> TarError {
    TarError::Field {
        field,
        path: shown(path),
    }
}

fn check_length(what: &'static str, path: &[u8]) -> Result<(), TarError> {
    if path.len() > PATH_LIMIT {
        return Err(TarError::TooLarge {
            what,
            size: path.len() as u64,
            limit: PATH_LIMIT as u64,
        });
    }
    Ok(())
}

/// Fills `buffer`, or says that the archive is cut off.
pub(super) fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<(), TarError> {
    from.read_exact(buffer).map_err(|e| {
        if e.kind() == io::ErrorKind::UnexpectedEof {
            TarError::Truncated
        } else {
            e.into()
        }
    })
}
