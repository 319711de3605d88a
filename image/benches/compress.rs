//! What packing a layer costs one thread, by what it holds. `cargo bench -p image`.

use std::hint::black_box;
use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::compress::{Compression, Encoder};

const SIZE: usize = 16 << 20;

/// Numbers that look like chance and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn noise(dice: &mut Dice, size: usize) -> Vec<u8> {
    let words = std::iter::repeat_with(|| dice.roll()).take(size / 8);
    words.flat_map(u64::to_le_bytes).collect()
}

/// Words of 2 to 11 letters, of 4,000 different ones.
fn words(dice: &mut Dice, size: usize) -> Vec<u8> {
    let vocabulary: Vec<Vec<u8>> = (0..4000)
        .map(|_| {
            let letters = 2 + dice.roll() % 10;
            let mut word: Vec<u8> = (0..letters)
                .map(|_| b'a' + (dice.roll() % 26) as u8)
                .collect();
            word.push(b' ');
            word
        })
        .collect();
    let mut text = Vec::with_capacity(size + 12);
    while text.len() < size {
        text.extend_from_slice(&vocabulary[dice.roll() as usize % vocabulary.len()]);
    }
    text.truncate(size);
    text
}

/// 1 KiB of the one and 1 KiB of the other, in turns.
fn mixed(dice: &mut Dice) -> Vec<u8> {
    let (noise, words) = (noise(dice, SIZE / 2), words(dice, SIZE / 2));
    let pairs = noise.chunks(1024).zip(words.chunks(1024));
    pairs
        .flat_map(|(noise, words)| [noise, words].concat())
        .collect()
}

fn compress(c: &mut Criterion) {
    // A thread of a pool of one packs alone.
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread can be started");
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let contents = [
        ("noise and words", mixed(&mut dice)),
        ("words", words(&mut dice, SIZE)),
        ("noise", noise(&mut dice, SIZE)),
    ];
    let ways = [
        ("gzip", Compression::Gzip { level: None }),
        ("zstd", Compression::Zstd { level: None }),
    ];
    let mut group = c.benchmark_group("pack");
    group
        .throughput(Throughput::Bytes(SIZE as u64))
        .sample_size(10);
    for (name, content) in &contents {
        for (way, compression) in ways {
            let pack = || {
                let mut encoder = Encoder::new(Vec::with_capacity(SIZE), compression);
                encoder.write_all(content).expect("a vector takes it");
                encoder.finish().expect("a vector takes it")
            };
            // Not in the name: a run is compared with the one before by that.
            let share = one.install(pack).len() as f64 / SIZE as f64;
            writeln!(std::io::stderr(), "{name}, {way}: packed to {share:.4}")
                .expect("standard error takes it");
            group.bench_function(format!("{name}, {way}"), |b| {
                b.iter(|| one.install(|| black_box(pack())));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, compress);
criterion_main!(benches);
