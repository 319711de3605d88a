//! SHA-256 of bytes that come in pieces, in a thread beside the one that makes them. Knows nothing
//! of what the pieces are.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Pieces that wait to be digested, at most.
const WAITING: usize = 2;

/// Takes pieces to a thread.
type Pieces = Sender<Arc<Vec<u8>>>;

/// A digest that grows. The first piece is digested by the caller: most content has no other, and
/// then a thread costs more than it saves.
#[derive(Default)]
pub(super) struct Aside {
    here: Sha256,
    size: u64,
    pieces: usize,
    thread: Option<(Pieces, JoinHandle<Sha256>)>,
}

impl Aside {
    /// Adds a piece.
    pub(super) fn add(&mut self, piece: &Arc<Vec<u8>>) {
        self.size += piece.len() as u64;
        self.pieces += 1;
        // One of rayon's threads must not wait for another.
        if self.pieces == 2 && rayon::current_thread_index().is_none() {
            self.thread = start(self.here.clone());
        }
        match &self.thread {
            Some((to, _)) if to.send(piece.clone()).is_ok() => (),
            _ => self.here.update(piece.as_slice()),
        }
    }

    /// The digest, and the number of bytes.
    ///
    /// # Panics
    /// If the thread did.
    pub(super) fn finish(self) -> (Digest, u64) {
        let hash = match self.thread {
            None => self.here,
            Some((to, thread)) => {
                drop(to);
                thread.join().expect("digesting does not panic")
            }
        };
        (Digest::from_bytes(hash.finalize().into()), self.size)
    }
}

/// None where no more threads can be had.
fn start(hash: Sha256) -> Option<(Pieces, JoinHandle<Sha256>)> {
    let (to, from) = bounded(WAITING);
    let thread = Builder::new()
        .name("digest".to_owned())
        .spawn(move || digest(hash, &from))
        .ok()?;
    Some((to, thread))
}

fn digest(mut hash: Sha256, pieces: &Receiver<Arc<Vec<u8>>>) -> Sha256 {
    for piece in pieces {
        hash.update(piece.as_slice());
    }
    hash
}
