//! Makes a layer's blob in one pass: tar in, compressed bytes out, and the digests of both.

use std::io::{self, BufWriter, Write};

use super::{Compression, Encoder};
use crate::manifest::Descriptor;
use crate::{DiffId, Digest, DigestWriter};

/// Bytes that are gathered where nothing is packed.
const BUFFER: usize = 1 << 20;

/// What was written by a [`BlobWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Digest of what was written to the writer.
    pub diff_id: DiffId,
    /// Length of that, in bytes.
    pub content_size: u64,
    /// Digest of what came out.
    pub digest: Digest,
    /// Length of that, in bytes.
    pub size: u64,
    /// How it was packed.
    pub compression: Compression,
}

impl Blob {
    /// The OCI descriptor of the blob as a layer.
    pub fn layer(&self) -> Descriptor {
        let media_type = self.compression.container().oci_layer();
        Descriptor::new(media_type, self.digest, self.size)
    }
}

/// Packs what is written to it into `W`, and takes small pieces as well as large ones. Digesting
/// goes on in threads of its own, beside the packing in rayon's.
pub struct BlobWriter<W: Write> {
    packer: Packer<W>,
    compression: Compression,
}

enum Packer<W: Write> {
    /// Content and blob are the same bytes and are digested once.
    Uncompressed(BufWriter<DigestWriter<W>>),
    Compressed(Box<Encoder<W>>),
}

impl<W: Write> BlobWriter<W> {
    /// Writes a blob to `inner`.
    pub fn new(inner: W, compression: Compression) -> Self {
        let packer = match compression {
            Compression::Uncompressed => {
                let digesting = DigestWriter::new(inner);
                Packer::Uncompressed(BufWriter::with_capacity(BUFFER, digesting))
            }
            _ => Packer::Compressed(Box::new(Encoder::digesting(inner, compression))),
        };
        Self {
            packer,
            compression,
        }
    }

    /// Ends the blob: the writer under it, and what it holds now.
    pub fn finish(self) -> io::Result<(W, Blob)> {
        let (inner, content, content_size, digest, size) = match self.packer {
            Packer::Uncompressed(mut writer) => {
                writer.flush()?;
                let writer = writer
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)?;
                let (inner, digest, size) = writer.finish();
                (inner, digest, size, digest, size)
            }
            Packer::Compressed(writer) => {
                let (inner, [(content, content_size), (digest, size)]) =
                    writer.finish_digesting()?;
                (inner, content, content_size, digest, size)
            }
        };
        let blob = Blob {
            diff_id: DiffId(content),
            content_size,
            digest,
            size,
            compression: self.compression,
        };
        Ok((inner, blob))
    }
}

impl<W: Write> Write for BlobWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.packer {
            Packer::Uncompressed(writer) => writer.write(bytes),
            Packer::Compressed(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.packer {
            Packer::Uncompressed(writer) => writer.flush(),
            Packer::Compressed(writer) => writer.flush(),
        }
    }
}
