//! Bits into bytes, the lowest first (RFC 1951, 3.1.1). Knows no codes.

/// Appends bits to a vector.
pub(super) struct Bits<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes of `out` that are whole; after them is room that is not used yet.
    position: usize,
    held: u64,
    count: u32,
}

/// Bytes that are written at once, of which only the whole ones count.
const WORD: usize = 8;

impl<'a> Bits<'a> {
    pub(super) fn append_to(out: &'a mut Vec<u8>) -> Self {
        let position = out.len();
        Self {
            out,
            position,
            held: 0,
            count: 0,
        }
    }

    /// Makes room for `bytes` more bytes.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let least = self.position + bytes + 2 * WORD;
        if self.out.len() < least {
            self.out.resize(least, 0);
        }
    }

    /// Adds the lowest `count` bits of `bits`; the others must be 0. At most 56 bits may be added
    /// between two calls of [`Bits::flush`], which leaves 7.
    #[inline]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
    }

    /// Moves whole bytes to where [`Bits::reserve`] made room.
    #[inline]
    pub(super) fn flush(&mut self) {
        self.out[self.position..self.position + WORD].copy_from_slice(&self.held.to_le_bytes());
        let bytes = self.count >> 3;
        self.position += bytes as usize;
        // Never 64: no more than 63 bits are held.
        self.held >>= self.count & 0x38;
        self.count &= 7;
    }

    /// Bits that are missing to the next whole byte.
    pub(super) fn to_next_byte(&self) -> u32 {
        (8 - (self.count & 7)) & 7
    }

    /// Adds whole bytes. There must be no bits but whole bytes before.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.flush();
        self.out[self.position..self.position + bytes.len()].copy_from_slice(bytes);
        self.position += bytes.len();
    }

    /// Ends at a whole byte, filled up with zeros.
    pub(super) fn finish(mut self) {
        let missing = self.to_next_byte();
        self.put(0, missing);
        self.reserve(0);
        self.flush();
        self.out.truncate(self.position);
    }
}
