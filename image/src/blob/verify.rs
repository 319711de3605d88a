//! Verifies a blob while it streams by.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::BlobError;
use crate::Digest;

/// Reads a blob of known digest and length. Its end is only ever reached when both were right;
/// otherwise reading fails with a [`BlobError`] inside the [`io::Error`]. It never asks for more
/// than one byte past the length.
pub struct Verifier<R> {
    inner: R,
    expected: Digest,
    size: u64,
    read: u64,
    hash: Option<Sha256>,
}

impl<R: Read> Verifier<R> {
    /// Reads from `inner`, which stands at the start of the blob.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Self {
            inner,
            expected,
            size,
            read: 0,
            hash: Some(Sha256::new()),
        }
    }

    fn check_end(&mut self) -> io::Result<usize> {
        let Some(hash) = self.hash.take() else {
            return Ok(0);
        };
        let mut more = [0];
        loop {
            match self.inner.read(&mut more) {
                Ok(0) => break,
                Ok(_) => return Err(self.wrong_size(None)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let found = Digest::from_bytes(hash.finalize().into());
        if found != self.expected {
            return Err(BlobError::Digest {
                expected: self.expected,
                found,
            }
            .into());
        }
        Ok(0)
    }

    fn wrong_size(&self, found: Option<u64>) -> io::Error {
        BlobError::Size {
            digest: self.expected,
            expected: self.size,
            found,
        }
        .into()
    }
}

impl<R: Read> Read for Verifier<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let left = self.size - self.read;
        if left == 0 {
            return self.check_end();
        }
        let most = usize::try_from(left).map_or(into.len(), |n| n.min(into.len()));
        let read = self.inner.read(&mut into[..most])?;
        if read == 0 {
            return Err(self.wrong_size(Some(self.read)));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&into[..read]);
        }
        self.read += read as u64;
        Ok(read)
    }
}
