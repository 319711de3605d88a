//! Archives that ADD unpacks: told by their content, never by their name.
//!
//! Everything in an archive is hostile. [`mod@add`] gives every member a place below the destination;
//! nothing here touches a path that it has not resolved itself. Layers of images are not archives
//! in this sense: the cache unpacks those, whiteouts and all.

mod add;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::sync::{Arc, Mutex, PoisonError};

use image::compress::Decoder;
use image::tar::Reader;
use solver::ContentDigest;

use crate::ops::error::OpError;

pub use add::add;

const BUFFER: usize = 128 << 10;

/// A file that was found to be an archive.
pub struct Archive {
    file: File,
    /// Its name, for messages.
    name: String,
    /// Bytes of the file as it is.
    size: u64,
    /// What the file must be when it has been read to its end.
    expected: Option<ContentDigest>,
}

impl Archive {
    /// Looks whether `file` begins as a tar does, plain or compressed by gzip, bzip2, xz or zstd.
    /// With `expected`, what is unpacked is checked to be that.
    pub fn detect(
        mut file: File,
        expected: Option<ContentDigest>,
        name: &[u8],
    ) -> Result<Option<Self>, OpError> {
        let read = |e| OpError::io("read", name, e);
        let size = file.metadata().map_err(read)?.len();
        if size == 0 {
            return Ok(None);
        }
        // What cannot be decompressed or has no valid first header is an ordinary file.
        let is_archive = {
            Decoder::new(file.try_clone().map_err(read)?)
                .ok()
                .is_some_and(|plain| matches!(Reader::new(plain).next_entry(), Ok(Some(_))))
        };
        file.rewind().map_err(read)?;
        Ok(is_archive.then(|| Self {
            file,
            name: String::from_utf8_lossy(name).into_owned(),
            size,
            expected,
        }))
    }

    /// The uncompressed stream, and what checks it in the end.
    fn open(&self) -> io::Result<(Decoder<Hashed>, Check)> {
        let hasher = self
            .expected
            .map(|_| Arc::new(Mutex::new(blake3::Hasher::new())));
        let raw = Hashed {
            file: self.file.try_clone()?,
            hasher: hasher.clone(),
        };
        let check = Check {
            rest: Hashed {
                file: self.file.try_clone()?,
                hasher: hasher.clone(),
            },
            expected: self.expected,
        };
        Ok((Decoder::new(raw)?, check))
    }
}

/// The time of the newest regular file in an archive, in seconds since 1970; none for what is no
/// archive, or none to its end.
pub fn newest(file: File) -> Option<i64> {
    let plain = Decoder::new(file).ok()?;
    let mut reader = Reader::new(BufReader::with_capacity(BUFFER, plain));
    let mut newest = None;
    while let Some(member) = reader.next_entry().ok()? {
        if member.kind == image::tar::Kind::File {
            newest = newest.max(Some(member.mtime.seconds));
        }
    }
    newest
}

/// Digests a file while it is read.
struct Hashed {
    file: File,
    hasher: Option<Arc<Mutex<blake3::Hasher>>>,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if let Some(hasher) = &self.hasher {
            hasher
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Makes sure that what was unpacked is what the key says.
struct Check {
    rest: Hashed,
    expected: Option<ContentDigest>,
}

impl Check {
    /// Reads what the archive left unread (the streams share their position) and compares.
    fn finish(mut self) -> io::Result<bool> {
        let (Some(expected), Some(hasher)) = (self.expected, self.rest.hasher.clone()) else {
            return Ok(true);
        };
        io::copy(&mut self.rest, &mut io::sink())?;
        let found = hasher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .finalize();
        Ok(ContentDigest(*found.as_bytes()) == expected)
    }
}
