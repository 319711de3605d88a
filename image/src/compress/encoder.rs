//! Packs a stream on all cores. Its content is cut into pieces of fixed size, each packed on its
//! own (a gzip member, a zstd frame), so the bytes depend on content and level alone, never on the
//! number of threads, how the content was written, or timing.

use std::collections::VecDeque;
use std::io::{self, Write};

use crossbeam_channel::{Receiver, bounded};

use super::Compression;
use super::aside::Aside;
use super::piece::{Packed, pack};
use crate::Digest;

const GZIP_PIECE: usize = 1 << 20;
const ZSTD_PIECE: usize = 4 << 20;
/// Pieces in memory at most, on however many cores.
const MOST_PACKING: usize = 14;

/// Packs what is written to it into `inner`. Call [`Encoder::finish`]: dropping it loses the end.
///
/// The thread that writes also writes to `inner`, while rayon's threads pack. When it is itself
/// one of rayon's, it packs alone, since it must not wait for the others.
pub struct Encoder<W: Write> {
    inner: W,
    compression: Compression,
    piece_size: usize,
    piece: Vec<u8>,
    /// Pieces being packed, the oldest first.
    packing: VecDeque<Receiver<io::Result<Packed>>>,
    most_packing: usize,
    /// Buffers to use again.
    spare: Vec<Packed>,
    wrote_any: bool,
    digests: Option<Digests>,
}

/// Digests of both sides.
#[derive(Default)]
struct Digests {
    content: Aside,
    packed: Aside,
}

impl<W: Write> Encoder<W> {
    /// Packs into `inner`. At most three pieces more than rayon has threads are in memory, and 15
    /// on however many, each twice (as it was and packed): 10 MiB (gzip) or 40 MiB (zstd) on two
    /// cores.
    pub fn new(inner: W, compression: Compression) -> Self {
        let piece_size = match compression {
            Compression::Uncompressed => 0,
            Compression::Gzip { .. } => GZIP_PIECE,
            Compression::Zstd { .. } => ZSTD_PIECE,
        };
        Self {
            inner,
            compression,
            piece_size,
            piece: Vec::with_capacity(piece_size),
            packing: VecDeque::new(),
            most_packing: (rayon::current_num_threads() + 2).min(MOST_PACKING),
            spare: Vec::new(),
            wrote_any: false,
            digests: None,
        }
    }

    /// The same, and digests both sides beside it.
    pub(super) fn digesting(inner: W, compression: Compression) -> Self {
        Self {
            digests: Some(Digests::default()),
            ..Self::new(inner, compression)
        }
    }

    /// Packs what is left and returns the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        Ok(self.inner)
    }

    /// Packs what is left and returns the writer; digests and sizes of the content, and of what
    /// was written.
    pub(super) fn finish_digesting(mut self) -> io::Result<(W, [(Digest, u64); 2])> {
        self.end()?;
        let digests = self.digests.unwrap_or_default();
        let both = [digests.content.finish(), digests.packed.finish()];
        Ok((self.inner, both))
    }

    fn end(&mut self) -> io::Result<()> {
        if self.piece_size > 0 && (!self.piece.is_empty() || !self.wrote_any) {
            self.pack_piece()?;
        }
        while !self.packing.is_empty() {
            self.write_oldest()?;
        }
        self.inner.flush()
    }

    /// Hands the current piece over and starts an empty one.
    fn pack_piece(&mut self) -> io::Result<()> {
        self.wrote_any = true;
        let mut packed = self.spare.pop().unwrap_or_default();
        let next = std::mem::take(packed.content_to_fill());
        *packed.content_to_fill() = std::mem::replace(&mut self.piece, next);
        self.piece.clear();
        self.piece.reserve_exact(self.piece_size);
        if let Some(digests) = &mut self.digests {
            digests.content.add(&packed.content);
        }
        let compression = self.compression;
        if rayon::current_thread_index().is_some() {
            pack(compression, &mut packed)?;
            return self.put(packed);
        }
        if self.packing.len() >= self.most_packing {
            self.write_oldest()?;
        }
        let (done, result) = bounded(1);
        rayon::spawn(move || {
            let outcome = pack(compression, &mut packed).map(|()| packed);
            // Nobody waits any more when the encoder was dropped.
            let _ = done.send(outcome);
        });
        self.packing.push_back(result);
        while self
            .packing
            .front()
            .is_some_and(|oldest| !oldest.is_empty())
        {
            self.write_oldest()?;
        }
        Ok(())
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.packing.pop_front() else {
            return Ok(());
        };
        let packed = oldest
            .recv()
            .map_err(|_| io::Error::other("a thread that compressed is gone"))??;
        self.put(packed)
    }

    fn put(&mut self, packed: Packed) -> io::Result<()> {
        if let Some(digests) = &mut self.digests {
            digests.packed.add(&packed.packed);
        }
        self.inner.write_all(&packed.packed)?;
        self.spare.push(packed);
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece_size == 0 {
            return self.inner.write(bytes);
        }
        let room = self.piece_size - self.piece.len();
        let taken = bytes.len().min(room);
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == self.piece_size {
            self.pack_piece()?;
        }
        Ok(taken)
    }

    /// Does nothing to what is being packed: the cuts must not depend on it.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
