//! Writes the packed form of an index; what it means is said and read one module up.

use solver::ChangeDigest;

use super::{BLAKE3, CHANGE, CHECKSUM, HEADER, LayerIndex, MAGIC, VERSION, checksum, refused};
use crate::layer::record::{self, RECORD};
use crate::layer::{Entry, Kind, LayerError};

/// Takes entries in their order.
pub(super) struct Packer {
    records: Vec<u8>,
    strings: Vec<u8>,
    count: usize,
    opaque: bool,
}

impl Packer {
    pub fn new(count: usize) -> Self {
        let mut records = Vec::with_capacity(HEADER + count * RECORD);
        records.resize(HEADER, 0);
        Self {
            records,
            strings: Vec::with_capacity(count * 48),
            count: 0,
            opaque: false,
        }
    }

    pub fn push(&mut self, entry: &Entry, first: u32) -> Result<(), LayerError> {
        let before = self.strings.len();
        self.strings.extend_from_slice(&entry.path);
        let text_at = self.strings.len();
        if let Kind::Symlink { target } = &entry.kind {
            self.strings.extend_from_slice(target);
        }
        let xattrs_at = self.strings.len();
        for (name, value) in &entry.xattrs {
            for piece in [name.as_bytes(), value] {
                self.strings
                    .extend_from_slice(&(piece.len() as u32).to_le_bytes());
                self.strings.extend_from_slice(piece);
            }
        }
        let end = self.strings.len();
        let ends = [before, text_at, xattrs_at, end].map(|at| u32::try_from(at).ok());
        let [Some(path), Some(text), Some(xattrs), Some(end)] = ends else {
            return Err(refused(
                &entry.path,
                "the layer's names take more than 4 GiB",
            ));
        };
        let text = match entry.kind {
            Kind::File { .. } => (first, 0),
            _ => (text, xattrs - text),
        };
        record::write(
            &mut self.records,
            entry,
            (path, text_at as u32 - path),
            text,
            (xattrs, end - xattrs),
        )
        .map_err(|reason| refused(&entry.path, reason))?;
        self.opaque |= matches!(entry.kind, Kind::Dir { opaque: true });
        self.count += 1;
        Ok(())
    }

    pub fn finish(self, change: ChangeDigest) -> LayerIndex {
        let mut bytes = self.records;
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = BLAKE3;
        bytes[16..20].copy_from_slice(&(self.count as u32).to_le_bytes());
        bytes[20..24].copy_from_slice(&(self.strings.len() as u32).to_le_bytes());
        bytes[CHANGE].copy_from_slice(&change.0);
        bytes.extend_from_slice(&self.strings);
        let checksum = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&checksum);
        LayerIndex {
            bytes,
            count: self.count,
            opaque: self.opaque,
        }
    }
}
