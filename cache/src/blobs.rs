//! Manifests, configs and compressed layers: files named by the SHA-256 of their bytes.
//!
//! A blob is written under `tmp` while it is digested, and renamed when it is whole. Whoever puts
//! or asks for a blob has it pinned from then on, as a pull may take an hour before an image names
//! its blobs.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use image::blob::{BlobSink, BlobSource};
use image::{Digest, DigestWriter};

use crate::layer::LayerId;
use crate::store::{Store, StoreError};

/// Bytes moved at once.
const CHUNK: usize = 128 * 1024;

/// The blobs of a store.
#[derive(Debug, Clone)]
pub struct Blobs {
    store: Store,
}

impl Store {
    /// Its blobs.
    pub fn blobs(&self) -> Blobs {
        Blobs {
            store: self.clone(),
        }
    }
}

impl Blobs {
    /// Stores all of `from`. With `expected` the reader has verified it by its end.
    pub fn put(
        &self,
        expected: Option<&Digest>,
        from: &mut dyn Read,
    ) -> Result<(Digest, u64), StoreError> {
        if let Some(digest) = expected
            && let Some(size) = self.size(digest)?
        {
            // The reader is read to its end: there it says whether it was what it should be.
            io::copy(from, &mut io::sink()).map_err(StoreError::io("read", self.path(digest)))?;
            return Ok((*digest, size));
        }
        let (scratch, file) = self.scratch()?;
        let (digest, size) = match expected {
            Some(digest) => (*digest, copy(from, &mut &file)),
            None => {
                let mut writer = DigestWriter::new(&file);
                let copied = copy(from, &mut writer);
                let (_, digest, _) = writer.finish();
                (digest, copied)
            }
        };
        let size = size.map_err(StoreError::io("write", &scratch.0))?;
        self.keep(&scratch, &digest)?;
        Ok((digest, size))
    }

    /// A file that is gone unless it is [kept](Self::keep).
    fn scratch(&self) -> Result<(Scratch, File), StoreError> {
        let scratch = Scratch(self.store.owner()?.fresh("blob"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&scratch.0)
            .map_err(StoreError::io("make", &scratch.0))?;
        Ok((scratch, file))
    }

    /// Gives a file that is whole its name.
    fn keep(&self, scratch: &Scratch, digest: &Digest) -> Result<(), StoreError> {
        // Pinned before it is there, so that it is never there unpinned and unnamed.
        self.store.pin_object(&digest.to_string())?;
        let place = self.path(digest);
        std::fs::rename(&scratch.0, &place).map_err(StoreError::io("write", &place))
    }

    /// Stores what `write` writes to the file that it is given, and says the digest of.
    pub fn put_with<E: From<StoreError>>(
        &self,
        write: impl FnOnce(&File) -> Result<Digest, E>,
    ) -> Result<Digest, E> {
        let (scratch, file) = self.scratch()?;
        let digest = write(&file)?;
        self.keep(&scratch, &digest)?;
        Ok(digest)
    }

    /// Stores bytes.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put(Some(&digest), &mut &*bytes)?;
        Ok(digest)
    }

    /// The length of a blob in bytes; none if it is not there. If it is, it stays while this
    /// process lives.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let path = self.path(digest);
        // The pin comes first: between the look and the pin it might be pruned.
        if !path.exists() {
            return Ok(None);
        }
        self.store.pin_object(&digest.to_string())?;
        match std::fs::metadata(&path) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Opens a blob. Its bytes were verified when they were written.
    pub fn open(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::NoBlob { digest: *digest },
            _ => StoreError::io("read", path)(error),
        })
    }

    /// Reads a small blob whole.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(digest)?
            .read_to_end(&mut bytes)
            .map_err(StoreError::io("read", self.path(digest)))?;
        Ok(bytes)
    }

    /// Remembers which blob a layer becomes in a `form` (compression, level, epoch), with whatever
    /// the caller wants to know of it later.
    pub fn set_form(
        &self,
        layer: &LayerId,
        form: &str,
        blob: &Digest,
        description: &[u8],
    ) -> Result<(), StoreError> {
        let db = self.store.database();
        db.write("add a form", |transaction| {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO forms VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut insert| {
                    insert.execute((&layer.0, form, blob.as_bytes(), description))
                })
                .map_err(db.error("add a form"))?;
            Ok(())
        })
    }

    /// The blob that a layer becomes in a form, and what was said of it, if the blob is still there.
    pub fn form(
        &self,
        layer: &LayerId,
        form: &str,
    ) -> Result<Option<(Digest, Vec<u8>)>, StoreError> {
        use rusqlite::OptionalExtension;
        let row: Option<([u8; 32], Vec<u8>)> =
            self.store.database().read("find a form", |connection| {
                connection
                    .prepare_cached(
                        "SELECT blob, description FROM forms WHERE layer = ?1 AND form = ?2",
                    )?
                    .query_row([&layer.0, form], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })?;
        let Some((digest, description)) = row else {
            return Ok(None);
        };
        let digest = Digest::from_bytes(digest);
        Ok(self.size(&digest)?.map(|_| (digest, description)))
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.store.blobs_dir().join(digest.hex())
    }
}

impl BlobSource for Blobs {
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Self::open(self, digest).map_err(as_io)?))
    }

    fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        Self::size(self, digest).map_err(as_io)
    }
}

impl BlobSink for Blobs {
    fn put(&self, expected: Option<&Digest>, from: &mut dyn Read) -> io::Result<(Digest, u64)> {
        Self::put(self, expected, from).map_err(as_io)
    }
}

/// Keeps the kind of an error, so that a full disk stays one.
fn as_io(error: StoreError) -> io::Error {
    let kind = match &error {
        StoreError::NoBlob { .. } => ErrorKind::NotFound,
        error if error.is_full() => ErrorKind::StorageFull,
        StoreError::Io { source, .. } => source.kind(),
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Copies with a buffer of its own: readers here are decoders and sockets.
fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                size += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    to.flush()?;
    Ok(size)
}

/// A file that goes away unless it was renamed.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples;

    /// Gives some bytes and then an error.
    struct Broken(usize);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("cut"));
            }
            let some = self.0.min(buffer.len());
            self.0 -= some;
            Ok(some)
        }
    }

    #[test]
    fn what_was_put_is_read_and_what_failed_leaves_nothing() {
        let (_dir, store) = samples::store();
        let blobs = store.blobs();
        let (digest, size) = blobs.put(None, &mut &b"hello"[..]).unwrap();
        assert_eq!((digest, size), (Digest::of(b"hello"), 5));
        assert_eq!(blobs.read(&digest).unwrap(), b"hello");
        assert_eq!(blobs.size(&digest).unwrap(), Some(5));
        assert_eq!(blobs.put_bytes(b"hello").unwrap(), digest);
        let other = Digest::of(b"other");
        assert!(matches!(blobs.open(&other), Err(StoreError::NoBlob { .. })));
        assert_eq!(blobs.size(&other).unwrap(), None);
        for expected in [None, Some(&other), Some(&digest)] {
            assert!(blobs.put(expected, &mut Broken(300_000)).is_err());
        }
        assert_eq!(std::fs::read_dir(store.blobs_dir()).unwrap().count(), 1);
        let left = store.owner().unwrap().fresh("x");
        assert_eq!(
            std::fs::read_dir(left.parent().unwrap()).unwrap().count(),
            0
        );
    }

    #[test]
    fn the_image_room_sees_a_missing_blob_as_not_found() {
        let (_dir, store) = samples::store();
        let blobs = store.blobs();
        let source: &dyn BlobSource = &blobs;
        let error = source.open(&Digest::of(b"x")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_form_counts_while_its_blob_is_there() {
        let (_dir, store) = samples::store();
        let blobs = store.blobs();
        let layer = samples::layer(&store, 1);
        let digest = blobs.put_bytes(b"compressed").unwrap();
        blobs.set_form(&layer, "gzip", &digest, b"{}").unwrap();
        assert_eq!(
            blobs.form(&layer, "gzip").unwrap(),
            Some((digest, b"{}".to_vec()))
        );
        assert_eq!(blobs.form(&layer, "zstd").unwrap(), None);
        std::fs::remove_file(blobs.path(&digest)).unwrap();
        assert_eq!(blobs.form(&layer, "gzip").unwrap(), None);
    }
}
