//! Round trips through another's decoder, and sizes.

use std::io::Read;

use proptest::prelude::*;

use super::*;

fn packed(content: &[u8]) -> Vec<u8> {
    let mut noise = Noise::default();
    noise.judge(content);
    let mut out = Vec::new();
    Deflate::default().pack(content, &noise, &mut out);
    out
}

/// What two decoders that share nothing make of it.
fn unpacked(packed: &[u8], size: usize) -> Vec<u8> {
    let mut one = Vec::new();
    flate2::read::DeflateDecoder::new(packed)
        .read_to_end(&mut one)
        .unwrap();
    let mut other = vec![0; size];
    let length = libdeflater::Decompressor::new()
        .deflate_decompress(packed, &mut other)
        .unwrap();
    other.truncate(length);
    assert!(one == other);
    one
}

/// Random bytes, the same for the same seed.
fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    (0..size).map(next).collect()
}

fn words(size: usize, seed: u64) -> Vec<u8> {
    let numbers = noise(size, seed);
    let words = numbers
        .iter()
        .flat_map(|n| format!("word-{n} ").into_bytes());
    words.take(size).collect()
}

#[test]
fn content_of_every_shape_reads_back() {
    let mixed: Vec<u8> = (0..300)
        .flat_map(|n| [noise(1024, n), words(1024, n)].concat())
        .collect();
    let noise_again = [noise(20_000, 5), words(500, 6), noise(20_000, 5)].concat();
    let skewed: Vec<u8> = (0..24_u32)
        .flat_map(|n| vec![n as u8; 1 << (n * 2 / 3)])
        .collect();
    for content in [
        Vec::new(),
        vec![0],
        vec![7; 300],
        vec![0; 1 << 20],
        noise(70_000, 1),
        noise(200_000, 2),
        words(200_000, 3),
        mixed,
        noise_again,
        skewed,
        (0..=255).cycle().take(100_000).collect(),
    ] {
        assert!(unpacked(&packed(&content), content.len()) == content);
    }
}

#[test]
fn noise_is_stored_and_repetition_in_it_found() {
    let once = noise(20_000, 9);
    let size = packed(&once).len();
    assert!((20_000..20_040).contains(&size), "{size}");
    let twice = once.repeat(2);
    let size = packed(&twice).len();
    assert!(size < 20_600, "{size}");
    assert!(packed(&words(100_000, 1)).len() < 40_000);
}

#[test]
fn a_piece_does_not_depend_on_the_one_before() {
    let (first, second) = (words(50_000, 1), words(50_000, 2));
    let alone = packed(&second);
    let mut deflate = Deflate::default();
    let mut judged = Noise::default();
    let mut out = Vec::new();
    for content in [&first, &second] {
        out.clear();
        judged.judge(content);
        deflate.pack(content, &judged, &mut out);
    }
    assert!(out == alone);
}

#[test]
fn codes_are_complete_and_no_longer_than_asked() {
    let steep: Vec<u32> = (0..30).map(|n| 1 << n).collect();
    for (counts, longest) in [
        (steep.as_slice(), 15),
        (&steep[..19], 7),
        (&[0, 0, 9, 0][..], 15),
        (&[0; 30][..], 15),
        (&[1; 19][..], 7),
    ] {
        let mut codes = vec![huffman::Code::default(); counts.len()];
        huffman::Huffman::default().codes(counts, longest, &mut codes);
        let lengths = || codes.iter().map(|code| u32::from(code.length));
        assert!(lengths().all(|length| length <= longest as u32));
        assert!(counts.iter().zip(lengths()).all(|(n, l)| *n == 0 || l > 0));
        let used: u32 = lengths().filter(|l| *l > 0).map(|l| 1 << (15 - l)).sum();
        assert_eq!(used, 1 << 15, "{counts:?}");
    }
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked(
        parts in prop::collection::vec((any::<u64>(), 0..6000_usize, 0..4_u8, 1..3_usize), 0..12)
    ) {
        let content: Vec<u8> = parts
            .into_iter()
            .flat_map(|(seed, size, kind, times)| match kind {
                0 => noise(size, seed),
                1 => words(size, seed),
                2 => noise(size.min(40), seed).repeat(times * 40),
                _ => vec![seed as u8; size],
            }.repeat(times))
            .collect();
        prop_assert!(unpacked(&packed(&content), content.len()) == content);
    }
}
