//! Raw DEFLATE (RFC 1951) of one piece of content, made for layers: text and programs between
//! stretches that do not compress, such as pictures and archives. Knows no gzip and no threads.
//!
//! libdeflate packs smaller but spends as much on every byte of noise as on one of text. Here
//! noise is searched in strides, and where it is long it is stored.
//!
//! - `noise`: where content does not compress
//! - `search`: repetitions, as a list of literal runs and copies
//! - `huffman`: codes of limited length for counted symbols
//! - `bits`: codes into bytes
//! - `block`: one DEFLATE block, in the form that is the smallest

mod bits;
mod block;
mod huffman;
mod noise;
mod search;

#[cfg(test)]
mod tests;

use bits::Bits;
use block::BlockWriter;
pub(super) use noise::Noise;
use search::Search;

/// The most content that is packed at once, in bytes: positions in it are 32 bits wide.
const MOST: usize = 1 << 30;

/// Packs pieces one after the other, each on its own; keeps its tables between them.
#[derive(Default)]
pub(super) struct Deflate {
    search: Search,
    writer: BlockWriter,
}

/// A run of literals and the copy after it. A run at the end of a block has a copy of length 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sequence {
    literals: u32,
    length: u16,
    distance: u16,
}

impl Deflate {
    /// Appends `content`, packed, to `out`: a whole DEFLATE stream. The same for the same
    /// content, whatever was packed before.
    pub(super) fn pack(&mut self, content: &[u8], noise: &Noise, out: &mut Vec<u8>) {
        assert!(content.len() <= MOST, "a piece is far smaller");
        let mut bits = Bits::append_to(out);
        if content.is_empty() {
            self.writer.write(&[], &[], true, &mut bits);
        }
        self.search.begin();
        let mut start = 0;
        while start < content.len() {
            let end = self.search.block(content, noise, start);
            let last = end == content.len();
            self.writer.write(
                &content[start..end],
                &self.search.sequences,
                last,
                &mut bits,
            );
            start = end;
        }
        bits.finish();
    }
}
