//! Every target on its corpus and on mutations of it: no coverage guides it, but it needs nothing
//! but stable Rust and seconds. `FUZZ_SECONDS` says how long each target may take.

use std::path::Path;
use std::time::{Duration, Instant};

use rbuild_fuzz::TARGETS;

/// Xorshift: the same mutations on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.expect("the corpus is listed").path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("the corpus is read");
    files.iter().map(read).collect()
}

/// Changes a few places: bytes, numbers, pieces moved, doubled, cut out, or taken from another.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let piece = at..(at + dice.below(24)).min(bytes.len());
        match dice.below(8) {
            0 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.insert(at, b"\0\n \\\"'${}[]<=,:/-*#"[dice.below(19)]),
            3 => drop(bytes.drain(piece)),
            4 => {
                let copy = bytes[piece].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            5 if !other.is_empty() => {
                let from = dice.below(other.len());
                let end = (from + dice.below(64)).min(other.len());
                bytes.splice(piece, other[from..end].iter().copied());
            }
            6 if bytes.len() - at >= 4 => {
                let number = [0, u32::MAX, 1 << 31, bytes.len() as u32][dice.below(4)];
                bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            _ => bytes.truncate(bytes.len().min(at.max(1))),
        }
    }
}

#[test]
fn nothing_panics() {
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let seconds: f64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(1.0);
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        corpus.iter().for_each(|bytes| target(bytes));
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut count = 0_u64;
        while Instant::now() < end {
            let mut bytes = corpus[dice.below(corpus.len())].clone();
            let other = dice.below(corpus.len());
            mutate(&mut dice, &mut bytes, &corpus[other]);
            let saved = bytes.clone();
            let done = std::panic::catch_unwind(|| target(&bytes));
            assert!(
                done.is_ok(),
                "{name} panicked on {:?}",
                String::from_utf8_lossy(&saved)
            );
            count += 1;
        }
        println!("{name}: {} files, {count} mutations", corpus.len());
    }
}

#[test]
fn every_target_has_a_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("there is a manifest");
    for (name, _) in TARGETS {
        let program = root.join(format!("fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(program).expect("there is a program");
        assert!(text.contains(&format!("rbuild_fuzz::{name}(")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}
