//! Blobs, wherever they are kept: the two traits by which this room reads and writes them, and the
//! checks that every blob goes through. Knows no store, no archive and no registry.

mod verify;
mod walk;

use std::io::{self, Read};

use crate::manifest::{DOCUMENT_LIMIT, Descriptor, DocumentError};
use crate::{Digest, DigestWriter};

pub use verify::Verifier;
pub use walk::reachable;

/// Where blobs can be read.
pub trait BlobSource: Sync {
    /// Opens a blob; [`io::ErrorKind::NotFound`] when it is not there. What is read is not
    /// verified: see [`Verifier`].
    fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>>;

    /// The length of a blob in bytes; none when it is not there.
    fn size(&self, digest: &Digest) -> io::Result<Option<u64>>;
}

/// Where blobs can be put.
pub trait BlobSink: Sync {
    /// Stores all of `from` and returns what it was. With `expected`, `from` fails at its end
    /// unless it has that digest, so that it need not be computed again. When `from` fails,
    /// nothing stays.
    fn put(&self, expected: Option<&Digest>, from: &mut dyn Read) -> io::Result<(Digest, u64)>;
}

/// A blob that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not there.
    #[error("blob {0} is missing")]
    Missing(Digest),
    /// Its bytes have another digest.
    #[error("blob {expected} is corrupt: its bytes have the digest {found}")]
    Digest {
        /// The digest by which it was found.
        expected: Digest,
        /// That of its bytes.
        found: Digest,
    },
    /// It has another length than its descriptor says.
    #[error("blob {digest} should have {expected} bytes, and has {}", Found(*.found))]
    Size {
        /// Which blob.
        digest: Digest,
        /// What its descriptor says.
        expected: u64,
        /// How many there are; none when there are more.
        found: Option<u64>,
    },
    /// It should have been a manifest or an index.
    #[error("blob {digest}")]
    Document {
        /// Which blob.
        digest: Digest,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// It should have been JSON of another kind.
    #[error("blob {digest} is not the JSON document it should be")]
    Json {
        /// Which blob.
        digest: Digest,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Indexes of indexes of indexes, or too many of them.
    #[error("the index {0} leads to too many others")]
    Nested(Digest),
}

struct Found(Option<u64>);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(size) => write!(f, "{size}"),
            None => f.write_str("more"),
        }
    }
}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Io(error) => error,
            BlobError::Missing(_) => Self::new(io::ErrorKind::NotFound, error),
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// Reads a document (manifest, index, configuration) whole and verifies it.
pub fn read_document(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
) -> Result<Vec<u8>, BlobError> {
    let digest = descriptor.digest;
    if descriptor.size > DOCUMENT_LIMIT {
        return Err(BlobError::Document {
            digest,
            source: DocumentError::TooLarge {
                size: descriptor.size,
            },
        });
    }
    let reader = source.open(&digest).map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            BlobError::Missing(digest)
        } else {
            e.into()
        }
    })?;
    let mut bytes = Vec::with_capacity(descriptor.size as usize);
    Verifier::new(reader, digest, descriptor.size)
        .read_to_end(&mut bytes)
        .map_err(blob_error)?;
    Ok(bytes)
}

/// The [`BlobError`] that a [`Verifier`] raised, taken out of its wrapping.
fn blob_error(error: io::Error) -> BlobError {
    error.downcast().unwrap_or_else(BlobError::Io)
}

/// Digest and length of all that a reader holds, copied to `into`.
pub fn copy_digesting(from: &mut dyn Read, into: &mut dyn io::Write) -> io::Result<(Digest, u64)> {
    let mut writer = DigestWriter::new(into);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => io::Write::write_all(&mut writer, &buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let (_, digest, size) = writer.finish();
    Ok((digest, size))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;

    /// Blobs in memory.
    #[derive(Default)]
    pub(crate) struct Memory(pub(crate) Mutex<BTreeMap<Digest, Vec<u8>>>);

    impl Memory {
        pub(crate) fn add(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
            let descriptor = Descriptor::of(media_type, bytes);
            self.0
                .lock()
                .unwrap()
                .insert(descriptor.digest, bytes.to_vec());
            descriptor
        }
    }

    impl BlobSource for Memory {
        fn open(&self, digest: &Digest) -> io::Result<Box<dyn Read + Send + '_>> {
            let blobs = self.0.lock().unwrap();
            let bytes = blobs.get(digest).ok_or(io::ErrorKind::NotFound)?.clone();
            Ok(Box::new(io::Cursor::new(bytes)))
        }

        fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
            Ok(self.0.lock().unwrap().get(digest).map(|b| b.len() as u64))
        }
    }

    impl BlobSink for Memory {
        fn put(&self, expected: Option<&Digest>, from: &mut dyn Read) -> io::Result<(Digest, u64)> {
            let mut bytes = Vec::new();
            let (digest, size) = copy_digesting(from, &mut bytes)?;
            assert!(expected.is_none_or(|e| *e == digest), "a reader lied");
            self.0.lock().unwrap().insert(digest, bytes);
            Ok((digest, size))
        }
    }

    #[test]
    fn documents_are_verified() {
        let blobs = Memory::default();
        let good = blobs.add("a", b"{}");
        assert_eq!(read_document(&blobs, &good).unwrap(), b"{}");
        let longer = Descriptor {
            size: 3,
            ..good.clone()
        };
        let shorter = Descriptor {
            size: 1,
            ..good.clone()
        };
        let huge = Descriptor {
            size: DOCUMENT_LIMIT + 1,
            ..good.clone()
        };
        let absent = Descriptor::of("a", b"other");
        assert!(matches!(
            read_document(&blobs, &longer),
            Err(BlobError::Size { found: Some(2), .. })
        ));
        assert!(matches!(
            read_document(&blobs, &shorter),
            Err(BlobError::Size { found: None, .. })
        ));
        assert!(matches!(
            read_document(&blobs, &huge),
            Err(BlobError::Document { .. })
        ));
        assert!(matches!(
            read_document(&blobs, &absent),
            Err(BlobError::Missing(_))
        ));
        blobs.0.lock().unwrap().insert(good.digest, b"[]".to_vec());
        assert!(matches!(
            read_document(&blobs, &good),
            Err(BlobError::Digest { .. })
        ));
    }
}
