//! What happens during a build, for whoever shows or stores it.

use std::time::Duration;

use crate::VertexId;

/// One thing that happened to a vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It needs to run; `reason` is one line that says why the cache had nothing.
    Missed {
        /// Which vertex.
        vertex: VertexId,
        /// Why, for people: `src/main.c changed`.
        reason: String,
    },
    /// It waits for another process that makes the same thing.
    Waiting {
        /// Which vertex.
        vertex: VertexId,
        /// Who has the lease, for people.
        owner: String,
    },
    /// It runs.
    Started {
        /// Which vertex.
        vertex: VertexId,
    },
    /// A piece of what it wrote, cut at the end of a line where there was one.
    Log {
        /// Which vertex.
        vertex: VertexId,
        /// To which stream.
        stream: LogStream,
        /// The bytes, not necessarily UTF-8.
        data: Vec<u8>,
    },
    /// It moved on: bytes pulled, unpacked, copied or exported.
    Progress {
        /// Which vertex.
        vertex: VertexId,
        /// Of what: a layer, a file.
        item: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, 0 when not known.
        total: u64,
    },
    /// The cache had its result.
    CacheHit {
        /// Which vertex.
        vertex: VertexId,
        /// Where.
        origin: HitOrigin,
    },
    /// It ran and left a result.
    Done {
        /// Which vertex.
        vertex: VertexId,
        /// How long it ran.
        elapsed: Duration,
    },
    /// It ran and failed.
    Failed {
        /// Which vertex.
        vertex: VertexId,
        /// Why, one line.
        message: String,
    },
    /// It was stopped because another one failed or the user asked.
    Cancelled {
        /// Which vertex.
        vertex: VertexId,
    },
    /// Nobody needed it.
    Skipped {
        /// Which vertex.
        vertex: VertexId,
    },
}

/// Which of a process's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// Where a cached result was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitOrigin {
    /// In this store, found before the build began.
    Definition,
    /// In this store, found by content: an input was made anew and came out the same.
    Content,
    /// Another process made it while this one waited.
    Shared,
    /// In a remote cache.
    Remote,
}

/// Takes events; must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes one.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> EventSink for F {
    fn event(&self, event: Event) {
        self(event);
    }
}
