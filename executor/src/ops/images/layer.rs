//! One layer of an image: from its blob to a committed layer, in one pass.
//!
//! One thread fetches, verifies and stores the blob; the next decompresses and digests the tar;
//! the last unpacks. Bounded channels between them keep memory small.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use cache::{NewLayer, Snapshot, Unpacked};
use crossbeam_channel::{Receiver, Sender, bounded};
use image::blob::BlobSink;
use image::compress::{Decoder, ReadAhead};
use image::{Descriptor, DiffId, Digest, DigestWriter};
use solver::op::ImageOp;
use solver::{Event, Job};

use super::Lies;
use super::source::Source;
use crate::ops::Executor;
use crate::ops::error::OpError;

/// Pieces of a blob that wait for the decompressor.
const AHEAD: usize = 16;
/// Bytes between two progress events.
const REPORT_EVERY: u64 = 1 << 20;

/// What is needed to fetch one layer.
pub struct Fetch<'a> {
    pub executor: &'a Executor,
    pub job: &'a Job<'a, Snapshot>,
    pub op: &'a ImageOp,
    pub source: &'a Source,
    pub descriptor: &'a Descriptor,
    pub diff_id: &'a DiffId,
    /// Whether there is no use in going on.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Fetch<'_> {
    /// Fetches and unpacks the layer, to be committed.
    pub fn run(&self) -> Result<(NewLayer, Unpacked), OpError> {
        let digest = self.descriptor.digest;
        let blobs = self.executor.store().blobs();
        let stored = blobs.size(&digest)?.is_some();
        let own = Source::Store(blobs.clone());
        let from = if stored { &own } else { self.source };
        let (sender, receiver) = bounded(AHEAD);
        std::thread::scope(|scope| {
            let fetch = || -> io::Result<()> {
                let mut tee = Tee {
                    inner: from.open(self.descriptor)?,
                    next: Some(sender),
                    fetch: self,
                    done: 0,
                    reported: 0,
                };
                if stored {
                    io::copy(&mut tee, &mut io::sink())?;
                } else {
                    BlobSink::put(&blobs, Some(&digest), &mut tee)?;
                }
                Ok(())
            };
            let failed = |source| OpError::ImageLayer {
                image: self.op.reference.clone(),
                layer: digest,
                source,
            };
            let fetching = std::thread::Builder::new()
                .spawn_scoped(scope, fetch)
                .map_err(failed)?;
            let unpacked = self.unpack(receiver);
            let fetched = fetching
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the fetching thread panicked")));
            // What is wrong with the blob explains what is wrong with its content.
            fetched.map_err(failed)?;
            let (new, unpacked, found) = unpacked?;
            if found != self.diff_id.0 {
                return Err(self.op.lies(format!(
                    "layer {digest} unpacks to {found}, its configuration says {}",
                    self.diff_id.0
                )));
            }
            Ok((new, unpacked))
        })
    }

    fn unpack(&self, pieces: Receiver<Vec<u8>>) -> Result<(NewLayer, Unpacked, Digest), OpError> {
        let failed = |source| OpError::ImageLayer {
            image: self.op.reference.clone(),
            layer: self.descriptor.digest,
            source,
        };
        let new = self.executor.store().new_layer()?;
        let found = Arc::new(Mutex::new(None));
        let plain = Decoder::new(Pieces {
            pieces,
            piece: Vec::new(),
            at: 0,
        })
        .map_err(failed)?;
        let digested = Digested {
            inner: plain,
            writer: Some(DigestWriter::new(io::sink())),
            found: Arc::clone(&found),
        };
        let mut tar = ReadAhead::new(digested).map_err(failed)?;
        let unpacked = new.unpack(&mut tar)?;
        // What follows the archive's end belongs to the digest too.
        io::copy(&mut tar, &mut io::sink()).map_err(failed)?;
        let found = found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
        Ok((new, unpacked, found))
    }
}

/// Hands on what is read, and says how far it is. Fails when there is no use in going on.
struct Tee<'a, 'b, R> {
    inner: R,
    /// Gone when the other side has failed: the blob is wanted all the same.
    next: Option<Sender<Vec<u8>>>,
    fetch: &'a Fetch<'b>,
    done: u64,
    reported: u64,
}

impl<R: Read> Read for Tee<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.fetch.stopped)() {
            return Err(io::Error::other("stopped"));
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            // The other side reaches its end only after the digest was right.
            self.next = None;
        } else if let Some(next) = &self.next
            && next.send(buffer[..count].to_vec()).is_err()
        {
            self.next = None;
        }
        self.done += count as u64;
        if self.done - self.reported >= REPORT_EVERY || count == 0 {
            self.reported = self.done;
            self.fetch.job.events.event(Event::Progress {
                vertex: self.fetch.job.id,
                item: self.fetch.descriptor.digest.to_string(),
                done: self.done,
                total: self.fetch.descriptor.size,
            });
        }
        Ok(count)
    }
}

/// The reading end of a tee.
struct Pieces {
    pieces: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            match self.pieces.recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                // Its end, or its failure, which the fetching thread reports.
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Digests what is read, and leaves the digest where the end was reached.
struct Digested<R> {
    inner: R,
    writer: Option<DigestWriter<io::Sink>>,
    found: Arc<Mutex<Option<Digest>>>,
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            if let Some(writer) = &mut self.writer {
                io::Write::write_all(writer, &buffer[..count])?;
            }
        } else if !buffer.is_empty()
            && let Some(writer) = self.writer.take()
        {
            let (_, digest, _) = writer.finish();
            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
        }
        Ok(count)
    }
}
