//! Compression of layers and archives. Knows bytes only: neither tar nor registries.
//!
//! - [`Format`], [`Decoder`]: what some bytes are packed with, by their first bytes; and unpacking
//! - [`Compression`], [`Encoder`]: packing on all cores, with bytes that do not depend on them
//! - [`BlobWriter`]: packs, and digests both sides in the same pass
//! - [`ReadAhead`]: moves a stream's producer to a thread of its own

mod ahead;
mod aside;
mod blob;
mod decoder;
mod deflate;
mod encoder;
mod piece;

use crate::manifest::Container;

pub use ahead::ReadAhead;
pub use blob::{Blob, BlobWriter};
pub use decoder::{Decoder, Format};
pub use encoder::Encoder;

/// How to pack a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Uncompressed,
    /// gzip, in members of 1 MiB of content.
    Gzip {
        /// 0 (stored) to 9, on zlib's scale; none leaves the way to the content.
        level: Option<u8>,
    },
    /// zstd, in frames of 4 MiB of content.
    Zstd {
        /// 1 to 22; none is about as small as 3, and faster.
        level: Option<u8>,
    },
}

/// A compression that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// An unknown name.
    #[error("unsupported layer compression type {0}: use uncompressed, gzip or zstd")]
    Unknown(String),
    /// A level that the format does not have.
    #[error("{name} has no compression level {level}: use {range}")]
    Level {
        /// The format.
        name: &'static str,
        /// What was asked for.
        level: i64,
        /// What there is.
        range: &'static str,
    },
}

impl Default for Compression {
    fn default() -> Self {
        Self::GZIP
    }
}

impl Compression {
    /// gzip about as small as Go's default, what registries and engines expect.
    pub const GZIP: Self = Self::Gzip { level: None };
    /// zstd about as small as its own default.
    pub const ZSTD: Self = Self::Zstd { level: None };

    /// The compression that `compression=NAME,compression-level=LEVEL` of an output means.
    pub fn named(name: &str, level: Option<i64>) -> Result<Self, CompressionError> {
        let checked = |name, default: Self, most: u8, range| match level {
            None => Ok(default),
            Some(level) => u8::try_from(level)
                .ok()
                .filter(|l| *l <= most && (*l > 0 || name == "gzip"))
                .map(Some)
                .map(|level| match default {
                    Self::Zstd { .. } => Self::Zstd { level },
                    _ => Self::Gzip { level },
                })
                .ok_or(CompressionError::Level { name, level, range }),
        };
        match name {
            "uncompressed" => Ok(Self::Uncompressed),
            "gzip" => checked("gzip", Self::GZIP, 9, "0 to 9"),
            "zstd" => checked("zstd", Self::ZSTD, 22, "1 to 22"),
            other => Err(CompressionError::Unknown(other.to_owned())),
        }
    }

    /// What a layer so packed is wrapped in, for its media type.
    pub const fn container(self) -> Container {
        match self {
            Self::Uncompressed => Container::Uncompressed,
            Self::Gzip { .. } => Container::Gzip,
            Self::Zstd { .. } => Container::Zstd,
        }
    }
}

#[cfg(test)]
mod tests;
