//! The solve: runs what the cache lacks, and nothing else.
//!
//! One thread decides and owns all state; what blocks happens on the threads of a [`pool`] and comes
//! back as messages. It goes from the leaves to all definition keys and one look-up, checks what was
//! found against what was found for its inputs ([`leaves`]), and then from the targets down: a
//! vertex is asked for its state, for its result or for its tree, and asks its inputs for no more
//! than it needs for that ([`decision`], [`progress`], [`arrival`]). What a thread does for one vertex is
//! in [`work`]. What a solve would do is foretold by [`mod@forecast`].

mod arrival;
mod decision;
mod error;
mod forecast;
mod leaves;
mod node;
mod pool;
mod progress;
#[cfg(test)]
mod tests;
mod work;

use std::thread;
use std::time::Duration;

pub use error::SolveError;
pub use forecast::{Forecast, Prospect, forecast};

use crate::{
    CacheKey, Cancel, DefinitionKey, EventSink, Graph, HitOrigin, ResultCache, StateDigest,
    VertexId, Worker,
};

/// How many steps run at once when nothing else is asked for. Not the number of cores: a RUN mostly
/// waits, for the network, for a disk, for one child after the other.
pub const DEFAULT_JOBS: usize = 16;

/// How a graph is to be solved.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many steps may run at once; at least one does.
    pub jobs: usize,
    /// Class of the sandbox that steps run in: part of every key, so that what a limited sandbox
    /// made is never taken for what a full one would make.
    pub sandbox: String,
    /// How soon to ask again for a result that another process makes: at first, and at most; the
    /// pause doubles.
    pub lease_poll: (Duration, Duration),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: DEFAULT_JOBS,
            sandbox: "full".to_owned(),
            lease_poll: (Duration::from_millis(2), Duration::from_millis(250)),
        }
    }
}

/// What a solve came to.
#[derive(Debug)]
pub struct Solution<O, P> {
    /// What the targets left, in their order. Only what ran or was read is pinned: who reads a
    /// target pins it.
    pub outputs: Vec<O>,
    /// Every vertex that the targets need, inputs before users.
    pub vertices: Vec<Resolution>,
    /// Keeps what was pinned on the way.
    pub pins: Vec<P>,
}

/// How one vertex was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Which.
    pub vertex: VertexId,
    /// How.
    pub how: Outcome,
    /// Key of its record, where there is one.
    pub key: Option<CacheKey>,
    /// Its definition; none for what has no result of its own.
    pub definition: Option<DefinitionKey>,
    /// Its state, if it came to be known.
    pub state: Option<StateDigest>,
    /// How long it ran.
    pub elapsed: Duration,
}

/// How a vertex came to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The cache had it.
    Cached(HitOrigin),
    /// It ran.
    Ran,
    /// It needs no work: `Scratch`, `Merge`, a context.
    Free,
    /// Nobody needed it.
    Skipped,
}

/// What came of [`solve`] with the worker `W` and the cache `C`.
pub type Solved<W, C> = Result<
    Solution<<W as Worker>::Output, <C as ResultCache>::Pin>,
    SolveError<<W as Worker>::Error, <C as ResultCache>::Error>,
>;

/// Resolves `targets` and whatever they need.
///
/// The first failure stops the rest; what finished by then is in the cache. So is what finished when
/// `cancel` was called, which is noticed within a fiftieth of a second.
///
/// # Errors
/// See [`SolveError`].
///
/// # Panics
/// Goes on with the panic of a worker or cache once all others have stopped.
pub fn solve<W, C>(
    graph: &Graph,
    targets: &[VertexId],
    worker: &W,
    cache: &C,
    options: &Options,
    cancel: &Cancel,
    events: &dyn EventSink,
) -> Solved<W, C>
where
    W: Worker,
    C: ResultCache<Output = W::Output, Lease = W::Lease>,
{
    let (nodes, by_id) = node::nodes(graph, targets);
    let targets = node::positions(&nodes, &by_id, targets)?;
    let stop = Cancel::new();
    let place = work::Place {
        worker,
        cache,
        events,
        cancel: &stop,
        sandbox: &options.sandbox,
    };
    thread::scope(|scope| {
        let mut decision = decision::Decision::new(scope, place, nodes, options, cancel);
        decision.look_up(&targets);
        decision.resolve(&targets);
        decision.finish(&targets)
    })
}
