//! Where content looks like noise: pictures, archives, keys. A cheap guess by the content alone.

/// Bytes that are judged together.
const CHUNK: usize = 256;
/// Of those, the bytes that are looked at.
const SAMPLE: usize = 64;
/// Different values among them from which on they are noise. Random bytes have 57, by a standard
/// deviation of 2; program code has about 40, base64 40, text 25.
const DIFFERENT: u32 = 51;

/// For each chunk of a piece whether it is noise.
#[derive(Debug, Default)]
pub(in crate::compress) struct Noise {
    chunks: Vec<bool>,
}

impl Noise {
    /// Judges another piece.
    pub(in crate::compress) fn judge(&mut self, content: &[u8]) {
        self.chunks.clear();
        let chunks = content.chunks(CHUNK);
        self.chunks.extend(chunks.map(|chunk| {
            let mut seen = [0_u8; 256];
            for byte in &chunk[..chunk.len().min(SAMPLE)] {
                seen[usize::from(*byte)] = 1;
            }
            seen.iter().map(|seen| u32::from(*seen)).sum::<u32>() >= DIFFERENT
        }));
    }

    /// Whether the byte at `at` is in noise.
    #[inline]
    pub(super) fn at(&self, at: usize) -> bool {
        self.chunks.get(at / CHUNK).copied().unwrap_or_default()
    }

    /// Whether an eighth of the piece or more is noise.
    pub(in crate::compress) fn is_much(&self) -> bool {
        let noisy = self.chunks.iter().filter(|noise| **noise).count();
        noisy * 8 >= self.chunks.len().max(1)
    }
}
