//! Codes of limited length for counted symbols (RFC 1951, 3.2.2). Knows nothing of what they
//! stand for.

/// A symbol's code, its bits already in the order in which they are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u16,
    /// In bits; 0 for a symbol that does not occur.
    pub(super) length: u8,
}

/// The longest code that DEFLATE has.
const LONGEST: usize = 15;

/// Makes codes; keeps its tables.
#[derive(Default)]
pub(super) struct Huffman {
    /// Count and symbol, later those of the leaves in ascending order.
    leaves: Vec<u64>,
    /// Weights of the inner nodes in ascending order.
    weights: Vec<u64>,
    /// For each leaf and then each inner node, the inner node above it.
    above: Vec<u32>,
    depths: Vec<u8>,
}

impl Huffman {
    /// Codes of at most `longest` bits for the symbols with a count above 0. There are always at
    /// least two, as some readers want it: missing ones are the first that do not occur.
    pub(super) fn codes(&mut self, counts: &[u32], longest: usize, codes: &mut [Code]) {
        codes.fill(Code::default());
        self.leaves.clear();
        for (symbol, count) in counts.iter().enumerate() {
            if *count > 0 {
                self.leaves.push(u64::from(*count) << 16 | symbol as u64);
            }
        }
        for (symbol, count) in counts.iter().enumerate().take(2) {
            if self.leaves.len() < 2 && *count == 0 {
                self.leaves.push(1 << 16 | symbol as u64);
            }
        }
        self.leaves.sort_unstable();
        let mut of_length = self.lengths(longest);
        // The rarest symbols get the longest codes.
        let mut length = longest;
        for leaf in &self.leaves {
            while of_length[length] == 0 {
                length -= 1;
            }
            of_length[length] -= 1;
            codes[(leaf & 0xffff) as usize].length = length as u8;
        }
        number(codes);
    }

    /// How many leaves get a code of each length.
    fn lengths(&mut self, longest: usize) -> [u32; LONGEST + 1] {
        let leaves = self.leaves.len();
        self.weights.clear();
        self.above.clear();
        self.above.resize(2 * leaves - 1, 0);
        let (mut leaf, mut inner) = (0, 0);
        while self.weights.len() < leaves - 1 {
            let made = self.weights.len();
            let mut weight = 0;
            for _ in 0..2 {
                let of_leaf = self.leaves.get(leaf).map(|leaf| leaf >> 16);
                let of_inner = self.weights.get(inner).copied();
                if of_leaf.is_some_and(|leaf| of_inner.is_none_or(|inner| leaf <= inner)) {
                    weight += of_leaf.unwrap_or_default();
                    self.above[leaf] = made as u32;
                    leaf += 1;
                } else {
                    weight += of_inner.unwrap_or_default();
                    self.above[leaves + inner] = made as u32;
                    inner += 1;
                }
            }
            self.weights.push(weight);
        }
        let mut of_length = [0; LONGEST + 1];
        self.depths.clear();
        self.depths.resize(leaves - 1, 0);
        for node in (0..leaves - 2).rev() {
            let above = self.above[leaves + node] as usize;
            self.depths[node] = self.depths[above].saturating_add(1);
        }
        for leaf in 0..leaves {
            let depth = usize::from(self.depths[self.above[leaf] as usize]) + 1;
            of_length[depth.min(longest)] += 1;
        }
        limit(&mut of_length, longest);
        of_length
    }
}

/// Lengthens codes until all fit, where those that were too long were cut to `longest`.
fn limit(of_length: &mut [u32; LONGEST + 1], longest: usize) {
    let room = 1_u32 << longest;
    let mut used: u32 = (1..=longest)
        .map(|length| of_length[length] << (longest - length))
        .sum();
    while used > room {
        // A leaf of the greatest shorter length goes down, and takes one of the longest beside it.
        let Some(length) = (1..longest).rev().find(|length| of_length[*length] > 0) else {
            return;
        };
        of_length[length] -= 1;
        of_length[length + 1] += 2;
        of_length[longest] -= 1;
        used -= 1;
    }
}

/// Numbers codes of given lengths (RFC 1951, 3.2.2).
pub(super) fn number(codes: &mut [Code]) {
    let mut of_length = [0_u32; LONGEST + 1];
    for code in codes.iter().filter(|code| code.length > 0) {
        of_length[usize::from(code.length)] += 1;
    }
    let mut next = [0_u32; LONGEST + 1];
    for length in 1..=LONGEST {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    for code in codes.iter_mut().filter(|code| code.length > 0) {
        let value = &mut next[usize::from(code.length)];
        code.bits = (*value as u16).reverse_bits() >> (16 - u32::from(code.length));
        *value += 1;
    }
}
