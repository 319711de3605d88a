//! Unpacks whatever it is given: the format is told from the first bytes, never from a name.

use std::io::{self, BufReader, Chain, Cursor, Read};

/// The most memory that unpacking xz may take, in bytes: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;
const BUFFER: usize = 128 << 10;
/// The longest magic number.
const MAGIC: usize = 6;

/// What some bytes are packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// None of the others.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz file format.
    Xz,
    /// bzip2.
    Bzip2,
}

impl Format {
    /// The format of a stream that begins so; six bytes suffice.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            // A frame, or a skippable one in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::Plain,
        }
    }
}

type Source<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// Reads the content of a stream in any [`Format`]: all members, frames and streams of it.
pub struct Decoder<R: Read>(Inner<R>);

enum Inner<R: Read> {
    Plain(Source<R>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Source<R>>>),
    Zstd(zstd::Decoder<'static, Source<R>>),
    Xz(liblzma::bufread::XzDecoder<Source<R>>),
    Bzip2(bzip2::bufread::MultiBzDecoder<Source<R>>),
}

impl<R: Read> Decoder<R> {
    /// Reads the first bytes of `inner` and prepares to unpack it.
    pub fn new(mut inner: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(MAGIC);
        inner.by_ref().take(MAGIC as u64).read_to_end(&mut start)?;
        let format = Format::of(&start);
        let source = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(inner));
        Ok(Self(match format {
            Format::Plain => Inner::Plain(source),
            Format::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(source))),
            Format::Zstd => Inner::Zstd(zstd::Decoder::with_buffer(source)?),
            Format::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                )?;
                Inner::Xz(liblzma::bufread::XzDecoder::new_stream(source, stream))
            }
            Format::Bzip2 => Inner::Bzip2(bzip2::bufread::MultiBzDecoder::new(source)),
        }))
    }

    /// What the stream is packed with.
    pub fn format(&self) -> Format {
        match self.0 {
            Inner::Plain(_) => Format::Plain,
            Inner::Gzip(_) => Format::Gzip,
            Inner::Zstd(_) => Format::Zstd,
            Inner::Xz(_) => Format::Xz,
            Inner::Bzip2(_) => Format::Bzip2,
        }
    }

    /// The stream under it. What was read ahead is lost.
    pub fn into_inner(self) -> R {
        let source = match self.0 {
            Inner::Plain(source) => source,
            Inner::Gzip(decoder) => decoder.into_inner(),
            Inner::Zstd(decoder) => decoder.finish(),
            Inner::Xz(decoder) => decoder.into_inner(),
            Inner::Bzip2(decoder) => decoder.into_inner(),
        };
        source.into_inner().into_inner().1
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(source) => source.read(into),
            Inner::Gzip(decoder) => decoder.read(into),
            Inner::Zstd(decoder) => decoder.read(into),
            Inner::Xz(decoder) => decoder.read(into),
            Inner::Bzip2(decoder) => decoder.read(into),
        }
    }
}
