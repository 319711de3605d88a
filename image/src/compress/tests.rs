//! Round trips, independence of threads, and what other tools make.

use std::io::{self, Read, Write};

use proptest::prelude::*;

use super::*;
use crate::{DiffId, Digest};

/// Bytes that compress, but not to nothing; the same for the same seed.
fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 16);
    while bytes.len() < size {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let word = (state >> 40) as u16 % 4096;
        bytes.extend_from_slice(format!("word-{word} ").as_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    Decoder::new(bytes)?.read_to_end(&mut out)?;
    Ok(out)
}

fn pack(bytes: &[u8], compression: Compression, step: usize) -> (Vec<u8>, Blob) {
    let mut writer = BlobWriter::new(Vec::new(), compression);
    for piece in bytes.chunks(step) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

const GZIP_PIECE: usize = 1 << 20;

const ALL: [Compression; 6] = [
    Compression::Uncompressed,
    Compression::GZIP,
    Compression::Gzip { level: Some(6) },
    Compression::Zstd { level: Some(3) },
    Compression::Gzip { level: Some(0) },
    Compression::ZSTD,
];

#[test]
fn a_blob_reads_back_and_its_digests_are_right() {
    for compression in ALL {
        for size in [0, 1, GZIP_PIECE - 1, GZIP_PIECE, 5 * GZIP_PIECE + 7] {
            let plain = content(size, 1);
            let (packed, blob) = pack(&plain, compression, 100_000);
            assert_eq!(unpack(&packed).unwrap(), plain, "{compression:?} {size}");
            assert_eq!(blob.diff_id, DiffId(Digest::of(&plain)));
            assert_eq!(blob.digest, Digest::of(&packed));
            assert_eq!(
                (blob.content_size, blob.size),
                (size as u64, packed.len() as u64)
            );
            assert_eq!(
                blob.layer().layer_format().unwrap().container,
                compression.container()
            );
        }
    }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_how_they_were_written() {
    let plain = content(9 << 20, 7);
    for compression in ALL {
        let alone = {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
            pool.build()
                .unwrap()
                .install(|| pack(&plain, compression, 4096))
                .0
        };
        assert!(pack(&plain, compression, 1 << 20).0 == alone);
        assert!(pack(&plain, compression, 777).0 == alone);
    }
}

#[test]
fn what_the_writer_under_it_says_is_not_lost() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for compression in ALL {
        let mut writer = BlobWriter::new(Full, compression);
        let written = writer.write_all(&content(3 << 20, 3));
        let error = written
            .and_then(|()| writer.finish().map(drop))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn formats_are_told_by_their_first_bytes() {
    let plain = content(300_000, 9);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let xz = |bytes: &[u8]| {
        let mut packed = Vec::new();
        liblzma::read::XzEncoder::new(bytes, 1)
            .read_to_end(&mut packed)
            .unwrap();
        packed
    };
    let bzip2 = |bytes: &[u8]| {
        let mut packed = Vec::new();
        bzip2::read::BzEncoder::new(bytes, bzip2::Compression::fast())
            .read_to_end(&mut packed)
            .unwrap();
        packed
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    type Packer<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let packers: [(Format, Packer<'_>); 5] = [
        (Format::Plain, &|bytes| bytes.to_vec()),
        (Format::Gzip, &gzip),
        (Format::Zstd, &zstd),
        (Format::Xz, &xz),
        (Format::Bzip2, &bzip2),
    ];
    for (format, packer) in packers {
        let (first, second) = plain.split_at(100_000);
        let packed = [packer(first), packer(second)].concat();
        assert_eq!(Decoder::new(packed.as_slice()).unwrap().format(), format);
        assert!(unpack(&packed).unwrap() == plain, "{format:?}");
        if format != Format::Plain {
            let cut = &packed[..packed.len() - 20];
            assert!(unpack(cut).is_err(), "{format:?} cut off is not the end");
        }
    }
    let skippable = [
        &[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2][..],
        &zstd(&plain),
    ]
    .concat();
    assert!(unpack(&skippable).unwrap() == plain);
    assert_eq!(unpack(b"").unwrap(), b"");
    assert_eq!(unpack(b"BZ").unwrap(), b"BZ");
}

#[test]
fn compressions_are_named() {
    for (name, level, expected) in [
        ("gzip", None, Ok(Compression::GZIP)),
        ("gzip", Some(0), Ok(Compression::Gzip { level: Some(0) })),
        ("zstd", Some(22), Ok(Compression::Zstd { level: Some(22) })),
        ("uncompressed", None, Ok(Compression::Uncompressed)),
    ] {
        assert_eq!(Compression::named(name, level), expected);
    }
    for (name, level) in [("gzip", 10), ("gzip", -1), ("zstd", 0), ("zstd", 23)] {
        assert!(matches!(
            Compression::named(name, Some(level)),
            Err(CompressionError::Level { .. })
        ));
    }
    assert!(Compression::named("estargz", None).is_err());
}

#[test]
fn reading_ahead_passes_on_bytes_and_errors() {
    let plain = content(3_000_000, 5);
    let mut read = Vec::new();
    let mut ahead = ReadAhead::new(io::Cursor::new(plain.clone())).unwrap();
    ahead.read_to_end(&mut read).unwrap();
    assert!(read == plain);
    assert_eq!(ahead.read(&mut [0; 4]).unwrap(), 0);

    struct Breaks(io::Cursor<Vec<u8>>);
    impl Read for Breaks {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.read(into)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                n => Ok(n),
            }
        }
    }
    let mut read = Vec::new();
    let mut ahead = ReadAhead::new(Breaks(io::Cursor::new(plain.clone()))).unwrap();
    let error = ahead.read_to_end(&mut read).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(read == plain);
}

#[test]
fn a_source_that_hangs_can_be_cancelled() {
    struct Hangs(std::sync::mpsc::Receiver<()>);
    impl Read for Hangs {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(0)
        }
    }
    let (_release, hangs) = std::sync::mpsc::channel();
    let cancel = std::sync::Arc::new(|| true);
    let mut ahead = ReadAhead::cancelled_by(cancel, Hangs(hangs)).unwrap();
    assert_eq!(ahead.read(&mut [0]).unwrap_err().to_string(), "cancelled");
}

proptest! {
    #[test]
    fn damaged_streams_are_answered(seed in any::<u64>(), at in any::<prop::sample::Index>(), value in any::<u8>(), which in 1..6_usize) {
        let mut packed = pack(&content(2000, seed), ALL[which], 2000).0;
        let at = at.index(packed.len());
        packed[at] = value;
        let _ = unpack(&packed);
    }
}
