//! Reads ahead of its user in a thread of its own, so that the stages of a pull (fetch and
//! verify, decompress, unpack) run side by side.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 8;
/// How often one who waits asks whether to go on.
const PATIENCE: Duration = Duration::from_millis(200);

/// The bytes of another reader, which is read in a thread; at most 2 MiB are held. Dropping it
/// ends the thread at its next chunk.
pub struct ReadAhead {
    cancel: Arc<dyn Fn() -> bool + Send + Sync>,
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    position: usize,
    ended: bool,
}

impl ReadAhead {
    /// Begins to read `source`.
    pub fn new(source: impl Read + Send + 'static) -> io::Result<Self> {
        Self::cancelled_by(Arc::new(|| false), source)
    }

    /// Begins to read `source`. While it waits, reading from the result fails soon after `cancel`
    /// says `true`, even when `source` hangs.
    pub fn cancelled_by(
        cancel: Arc<dyn Fn() -> bool + Send + Sync>,
        source: impl Read + Send + 'static,
    ) -> io::Result<Self> {
        let (ahead, fill, reuse) = Self::unread(cancel);
        named()
            .spawn(move || read_chunks(source, &fill, &reuse))
            .map(|_| ahead)
    }

    /// Begins to read a `source` that lives as long as `scope`.
    pub fn within<'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: impl Read + Send + 'scope,
    ) -> io::Result<Self> {
        let (ahead, fill, reuse) = Self::unread(Arc::new(|| false));
        named()
            .spawn_scoped(scope, move || read_chunks(source, &fill, &reuse))
            .map(|_| ahead)
    }

    fn unread(cancel: Arc<dyn Fn() -> bool + Send + Sync>) -> (Self, Fill, Receiver<Vec<u8>>) {
        let (fill, full) = bounded(CHUNKS - 2);
        let (empty, reuse) = bounded(CHUNKS);
        let ahead = Self {
            cancel,
            full,
            empty,
            chunk: Vec::new(),
            position: 0,
            ended: false,
        };
        (ahead, fill, reuse)
    }
}

/// Where the chunks of a source go.
type Fill = Sender<io::Result<Vec<u8>>>;

fn named() -> thread::Builder {
    thread::Builder::new().name("read-ahead".to_owned())
}

/// Sends chunks until the source ends or fails, or nobody listens. The last thing sent is an
/// empty chunk or an error: a thread that died is not taken for the end.
fn read_chunks(mut source: impl Read, fill: &Fill, reuse: &Receiver<Vec<u8>>) {
    loop {
        let mut chunk = reuse.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let mut filled = 0;
        let mut failure = None;
        while filled < CHUNK {
            match source.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    failure = Some(e);
                    break;
                }
            }
        }
        chunk.truncate(filled);
        let ended = filled < CHUNK;
        if filled > 0 && fill.send(Ok(chunk)).is_err() {
            return;
        }
        if ended {
            let _ = fill.send(failure.map_or(Ok(Vec::new()), Err));
            return;
        }
    }
}

impl ReadAhead {
    fn next_chunk(&self) -> io::Result<Vec<u8>> {
        loop {
            match self.full.recv_timeout(PATIENCE) {
                Ok(next) => return next,
                Err(RecvTimeoutError::Timeout) if (self.cancel)() => {
                    return Err(io::Error::other("cancelled"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that reads ahead is gone"));
                }
            }
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.position == self.chunk.len() {
            if self.ended || into.is_empty() {
                return Ok(0);
            }
            let next = self.next_chunk()?;
            let used = std::mem::replace(&mut self.chunk, next);
            let _ = self.empty.try_send(used);
            self.position = 0;
            self.ended = self.chunk.is_empty();
        }
        let count = into.len().min(self.chunk.len() - self.position);
        into[..count].copy_from_slice(&self.chunk[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}
