//! Repetitions in a piece. Knows no codes.
//!
//! The last position with the same four bytes is asked, and what repeats from there is taken: no
//! search for a longer one. In noise only some positions are asked, so that a repeated stretch of
//! it is found.

use super::Sequence;
use super::noise::Noise;

const WINDOW: usize = 32 << 10;
const HASH_BITS: u32 = 15;
/// The longest that DEFLATE can say.
const LONGEST: usize = 258;
/// Bytes that are looked at together at a position.
const AHEAD: usize = 8;
/// How far it is from one position to the next where the content is noise.
const STRIDE: usize = 16;
/// Content of a block about at most, in bytes.
const BLOCK: usize = 64 << 10;
/// A run of literals so long becomes a block of its own, in bytes.
const LONG_RUN: usize = 4 << 10;

/// No position: further away from every other than the window.
const NONE: u32 = u32::MAX / 2;

/// The table of the search, and what it found.
pub(super) struct Search {
    /// What was found in the last block.
    pub(super) sequences: Vec<Sequence>,
    /// The last position of each hash.
    heads: Box<[u32; 1 << HASH_BITS]>,
    /// Where the search goes on: a block may begin with literals that were already searched.
    at: usize,
    /// A distance that will probably do there too.
    again: Option<usize>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            sequences: Vec::new(),
            heads: vec![NONE; 1 << HASH_BITS]
                .into_boxed_slice()
                .try_into()
                .expect("it has this length"),
            at: 0,
            again: None,
        }
    }
}

impl Search {
    /// Forgets the piece before.
    pub(super) fn begin(&mut self) {
        self.heads.fill(NONE);
        self.at = 0;
        self.again = None;
    }

    /// Cuts the block that begins at `start` into sequences; returns its end.
    pub(super) fn block(&mut self, content: &[u8], noise: &Noise, start: usize) -> usize {
        self.sequences.clear();
        // Behind it no eight bytes can be read together at the next position.
        let last = content.len().saturating_sub(AHEAD);
        let mut at = self.at.max(start);
        let mut anchor = start;
        let mut end = content.len();
        while at < last {
            let Some(distance) = self.repeated(content, at) else {
                let run = at - anchor;
                if run >= LONG_RUN && anchor > start {
                    end = anchor;
                    break;
                }
                at += if noise.at(at) { STRIDE } else { 1 };
                continue;
            };
            let entered = at;
            let most = LONGEST.min(content.len() - at);
            let mut length = common(content, at, at - distance, most);
            // The strides may have gone over its beginning.
            while at > anchor
                && at > distance
                && length < LONGEST
                && content[at - 1] == content[at - 1 - distance]
            {
                at -= 1;
                length += 1;
            }
            if at - anchor >= LONG_RUN && anchor == start {
                self.again = Some(distance);
                end = at;
                break;
            }
            // In noise hardly another position was entered.
            self.again = (length == LONGEST).then_some(distance);
            self.sequences.push(Sequence {
                literals: (at - anchor) as u32,
                length: length as u16,
                distance: distance as u16,
            });
            at += length;
            self.enter(content, entered + 1, at.min(last));
            anchor = at;
            if at - start >= BLOCK {
                end = at;
                break;
            }
        }
        self.at = at;
        if end > anchor {
            self.sequences.push(Sequence {
                literals: (end - anchor) as u32,
                length: 0,
                distance: 0,
            });
        }
        end
    }

    /// How far before `at` the same four bytes are, if they are in the window; enters `at`.
    #[inline]
    fn repeated(&mut self, content: &[u8], at: usize) -> Option<usize> {
        let here = four(content, at);
        let candidate = std::mem::replace(&mut self.heads[hash(here)], at as u32);
        let distance = (at as u32).wrapping_sub(candidate) as usize;
        let near = (1..WINDOW).contains(&distance);
        let again = self.again.take();
        (near && four(content, candidate as usize) == here)
            .then_some(distance)
            .or_else(|| again.filter(|distance| four(content, at - distance) == here))
    }

    /// Enters every other position of those that are not asked: whoever repeats from one between
    /// is found a byte later, and gets that byte when it looks back.
    #[inline]
    fn enter(&mut self, content: &[u8], from: usize, to: usize) {
        for at in (from..to).step_by(2) {
            self.heads[hash(four(content, at))] = at as u32;
        }
    }
}

/// Bytes at a place; zeros behind the end, where none are asked for.
#[inline]
fn four(content: &[u8], at: usize) -> u32 {
    content
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn eight(content: &[u8], at: usize) -> u64 {
    content
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn hash(word: u32) -> usize {
    (word.wrapping_mul(0x9E37_79B1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes are the same at two places, `most` at most.
fn common(content: &[u8], here: usize, there: usize, most: usize) -> usize {
    let mut same = 0;
    while same + AHEAD <= most {
        let differs = eight(content, here + same) ^ eight(content, there + same);
        if differs != 0 {
            return same + differs.trailing_zeros() as usize / 8;
        }
        same += AHEAD;
    }
    while same < most && content[here + same] == content[there + same] {
        same += 1;
    }
    same
}
