//! One DEFLATE block, in the form that is the smallest (RFC 1951, 3.2.3 to 3.2.7). Knows no
//! search.

use super::Sequence;
use super::bits::Bits;
use super::huffman::{Code, Huffman};

/// Literals, the end, and lengths.
const SYMBOLS: usize = 286;
const END: usize = 256;
const DISTANCES: usize = 30;
const LENGTH_CODES: usize = 19;
/// The longest code of a symbol, and of a length.
const LONGEST: usize = 15;
const LONGEST_OF_LENGTHS: usize = 7;
/// The order in which the codes of lengths are written.
const ORDER: [usize; LENGTH_CODES] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// The most content of one stored block.
const STORED: usize = 0xffff;

/// A length or distance: its symbol, and how many bits of what follow it.
#[derive(Clone, Copy, Default)]
struct Slot {
    symbol: u8,
    extra: u8,
    base: u16,
}

/// Writes blocks; keeps its tables.
pub(super) struct BlockWriter {
    huffman: Huffman,
    /// By length of a copy: `symbol` counts from 257.
    lengths: [Slot; 259],
    counts: [u32; SYMBOLS],
    distance_counts: [u32; DISTANCES],
    codes: [Code; SYMBOLS],
    distance_codes: [Code; DISTANCES],
    /// Lengths of codes, with runs folded: symbol, and value of its extra bits.
    folded: Vec<(u8, u8)>,
}

impl Default for BlockWriter {
    fn default() -> Self {
        let mut lengths = [Slot::default(); 259];
        for (length, slot) in lengths.iter_mut().enumerate().skip(3) {
            *slot = slot_of_length(length as u16);
        }
        Self {
            huffman: Huffman::default(),
            lengths,
            counts: [0; SYMBOLS],
            distance_counts: [0; DISTANCES],
            codes: [Code::default(); SYMBOLS],
            distance_codes: [Code::default(); DISTANCES],
            folded: Vec::new(),
        }
    }
}

/// The slot of a copy's length, 3 to 258.
fn slot_of_length(length: u16) -> Slot {
    if length == 258 {
        return Slot {
            symbol: 28,
            extra: 0,
            base: 258,
        };
    }
    let from = length - 3;
    if from < 8 {
        return Slot {
            symbol: from as u8,
            extra: 0,
            base: length,
        };
    }
    let extra = from.ilog2() - 2;
    Slot {
        symbol: (4 * extra + u32::from(from >> extra)) as u8,
        extra: extra as u8,
        base: (from >> extra << extra) + 3,
    }
}

/// The slot of a distance, 1 to 32768.
#[inline]
fn slot_of_distance(distance: u16) -> Slot {
    let from = distance - 1;
    if from < 4 {
        return Slot {
            symbol: from as u8,
            extra: 0,
            base: distance,
        };
    }
    let extra = from.ilog2() - 1;
    Slot {
        symbol: (2 * extra + u32::from(from >> extra)) as u8,
        extra: extra as u8,
        base: (from >> extra << extra) + 1,
    }
}

impl BlockWriter {
    /// Writes `content` as one block; a `last` one ends the stream.
    pub(super) fn write(
        &mut self,
        content: &[u8],
        sequences: &[Sequence],
        last: bool,
        bits: &mut Bits<'_>,
    ) {
        let extra = self.count(content, sequences);
        self.huffman.codes(&self.counts, LONGEST, &mut self.codes);
        let distances = &self.distance_counts;
        self.huffman
            .codes(distances, LONGEST, &mut self.distance_codes);
        let header = self.header();
        let coded = header.size
            + extra
            + price(&self.counts, &self.codes)
            + price(&self.distance_counts, &self.distance_codes);
        let blocks = content.len().div_ceil(STORED).max(1);
        let stored = 8 * content.len() as u64 + 40 * blocks as u64;
        bits.reserve((coded.min(stored) / 8) as usize + blocks);
        if stored <= coded {
            store(content, last, bits);
            return;
        }
        bits.put(u64::from(last) | 2 << 1, 3);
        self.write_header(&header, bits);
        self.write_content(content, sequences, bits);
    }

    /// Counts the symbols; returns how many bits follow them.
    fn count(&mut self, content: &[u8], sequences: &[Sequence]) -> u64 {
        self.counts.fill(0);
        self.distance_counts.fill(0);
        self.counts[END] = 1;
        let mut extra = 0;
        let mut at = 0;
        for sequence in sequences {
            let literals = &content[at..at + sequence.literals as usize];
            for literal in literals {
                self.counts[usize::from(*literal)] += 1;
            }
            at += literals.len() + usize::from(sequence.length);
            if sequence.length > 0 {
                let length = self.lengths[usize::from(sequence.length)];
                let distance = slot_of_distance(sequence.distance);
                self.counts[END + 1 + usize::from(length.symbol)] += 1;
                self.distance_counts[usize::from(distance.symbol)] += 1;
                extra += u64::from(length.extra + distance.extra);
            }
        }
        extra
    }

    /// The header of a block with codes of its own: their lengths, folded and coded themselves.
    fn header(&mut self) -> Header {
        let symbols = used(&self.codes).max(END + 1);
        let distances = used(&self.distance_codes).max(1);
        let mut lengths = [0; SYMBOLS + DISTANCES];
        let all = self.codes[..symbols]
            .iter()
            .chain(&self.distance_codes[..distances]);
        for (length, code) in lengths.iter_mut().zip(all) {
            *length = code.length;
        }
        fold(&lengths[..symbols + distances], &mut self.folded);
        let mut counts = [0; LENGTH_CODES];
        let mut size = 3 + 5 + 5 + 4;
        for (symbol, _) in &self.folded {
            counts[usize::from(*symbol)] += 1;
            size += u64::from(extra_of_fold(*symbol));
        }
        let mut codes = [Code::default(); LENGTH_CODES];
        self.huffman.codes(&counts, LONGEST_OF_LENGTHS, &mut codes);
        let ordered = ORDER
            .iter()
            .rposition(|symbol| codes[*symbol].length > 0)
            .map_or(4, |last| (last + 1).max(4));
        size += 3 * ordered as u64 + price(&counts, &codes);
        Header {
            symbols,
            distances,
            ordered,
            codes,
            size,
        }
    }

    fn write_header(&self, header: &Header, bits: &mut Bits<'_>) {
        bits.put(header.symbols as u64 - 257, 5);
        bits.put(header.distances as u64 - 1, 5);
        bits.put(header.ordered as u64 - 4, 4);
        for symbol in &ORDER[..header.ordered] {
            bits.flush();
            bits.put(u64::from(header.codes[*symbol].length), 3);
        }
        for (symbol, value) in &self.folded {
            bits.flush();
            put(header.codes[usize::from(*symbol)], bits);
            bits.put(u64::from(*value), extra_of_fold(*symbol));
        }
        bits.flush();
    }

    fn write_content(&self, content: &[u8], sequences: &[Sequence], bits: &mut Bits<'_>) {
        let mut at = 0;
        for sequence in sequences {
            let literals = &content[at..at + sequence.literals as usize];
            at += literals.len() + usize::from(sequence.length);
            let mut threes = literals.chunks_exact(3);
            for three in &mut threes {
                put(self.codes[usize::from(three[0])], bits);
                put(self.codes[usize::from(three[1])], bits);
                put(self.codes[usize::from(three[2])], bits);
                bits.flush();
            }
            for literal in threes.remainder() {
                put(self.codes[usize::from(*literal)], bits);
            }
            // At most 7 and two codes of 15 bits are held now, and a copy has at most 48.
            if !threes.remainder().is_empty() {
                bits.flush();
            }
            if sequence.length > 0 {
                let length = self.lengths[usize::from(sequence.length)];
                let distance = slot_of_distance(sequence.distance);
                put(self.codes[END + 1 + usize::from(length.symbol)], bits);
                bits.put(
                    u64::from(sequence.length - length.base),
                    u32::from(length.extra),
                );
                put(self.distance_codes[usize::from(distance.symbol)], bits);
                bits.put(
                    u64::from(sequence.distance - distance.base),
                    u32::from(distance.extra),
                );
                bits.flush();
            }
        }
        put(self.codes[END], bits);
        bits.flush();
    }
}

/// What stands before a block's content.
struct Header {
    symbols: usize,
    distances: usize,
    /// How many of the lengths' codes are written, in [`ORDER`].
    ordered: usize,
    /// Codes of the folded lengths.
    codes: [Code; LENGTH_CODES],
    /// In bits.
    size: u64,
}

#[inline]
fn put(code: Code, bits: &mut Bits<'_>) {
    bits.put(u64::from(code.bits), u32::from(code.length));
}

/// Bits that the counted symbols take.
fn price(counts: &[u32], codes: &[Code]) -> u64 {
    counts
        .iter()
        .zip(codes)
        .map(|(count, code)| u64::from(*count) * u64::from(code.length))
        .sum()
}

/// How many codes there are up to the last that is used.
fn used(codes: &[Code]) -> usize {
    codes
        .iter()
        .rposition(|code| code.length > 0)
        .map_or(0, |last| last + 1)
}

/// Folds runs of equal lengths (RFC 1951, 3.2.7): symbol, and value of its extra bits.
fn fold(lengths: &[u8], folded: &mut Vec<(u8, u8)>) {
    folded.clear();
    for run in lengths.chunk_by(|one, next| one == next) {
        let length = run[0];
        let mut left = run.len();
        if length == 0 {
            while left >= 11 {
                let some = left.min(138);
                folded.push((18, (some - 11) as u8));
                left -= some;
            }
            if left >= 3 {
                folded.push((17, (left - 3) as u8));
                left = 0;
            }
        } else {
            folded.push((length, 0));
            left -= 1;
            while left >= 3 {
                let some = left.min(6);
                folded.push((16, (some - 3) as u8));
                left -= some;
            }
        }
        folded.extend(std::iter::repeat_n((length, 0), left));
    }
}

/// Bits that follow a folded length.
fn extra_of_fold(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Writes content as it is, in as many blocks as it takes (RFC 1951, 3.2.4).
fn store(content: &[u8], last: bool, bits: &mut Bits<'_>) {
    let mut left = content;
    loop {
        let (some, rest) = left.split_at(left.len().min(STORED));
        bits.put(u64::from(last && rest.is_empty()), 3);
        let missing = bits.to_next_byte();
        bits.put(0, missing);
        let length = some.len() as u64;
        bits.put(length | (!length & 0xffff) << 16, 32);
        bits.bytes(some);
        left = rest;
        if left.is_empty() {
            return;
        }
    }
}
