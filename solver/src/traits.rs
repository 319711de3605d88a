//! What the schedule asks of a worker and of a cache. Both are generic over what a step leaves, so
//! that the schedule is tested on integers.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    CacheKey, DefinitionKey, EventSink, KeyPreimage, LogStream, Selector, StateDigest, TreeDigest,
    Vertex, VertexId,
};

/// What a vertex left, a stack: its state, and whatever the worker needs to find its files again.
/// Plain data: none of these methods waits for anything.
pub trait Output: Clone + Send + Sync + Debug + 'static {
    /// The stack without layers: the result of `Scratch`.
    fn empty() -> Self;

    /// The state of the whole stack.
    fn state(&self) -> StateDigest;

    /// The state that a stack of state `below` gets when this stack's layers are put on it.
    fn state_on(&self, below: StateDigest) -> StateDigest;

    /// `below` with this stack's layers on it: how `Merge` concatenates.
    #[must_use]
    fn on(&self, below: &Self) -> Self;
}

/// A request to stop, shared by all who work on a build.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A request that nobody has made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was made.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One vertex to be run.
pub struct Job<'a, O> {
    /// Its id.
    pub id: VertexId,
    /// What to do.
    pub vertex: &'a Vertex,
    /// Its inputs' results, pinned; none for a context, which has no result. That of a `Merge` or
    /// `Scratch` is made of its parts, which are pinned.
    pub inputs: &'a [Option<O>],
    /// The vertices of the inputs, for contexts.
    pub input_vertices: &'a [&'a Vertex],
    /// What [`Worker::select`] gave for each selection, in the order of
    /// [`Op::selections`](crate::Op::selections).
    pub selections: &'a [TreeDigest],
    /// Whether it runs although the cache may have it: gets a new, empty instance of each cache mount.
    pub forced: bool,
    /// Asked at every place where waiting is possible.
    pub cancel: &'a Cancel,
    /// Where log lines and progress go.
    pub events: &'a dyn EventSink,
}

/// One selection to be digested.
pub struct Selection<'a, O> {
    /// The vertex that selects.
    pub vertex: &'a Vertex,
    /// The vertex selected from.
    pub source: &'a Vertex,
    /// Its result; none for a context.
    pub output: Option<&'a O>,
    /// Which files.
    pub selector: &'a Selector,
}

/// What a worker's error means for the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The step failed.
    Failed,
    /// It stopped because [`Job::cancel`] asked it to.
    Cancelled,
    /// A context was not what its digest says when it was copied. What the step left is gone; its
    /// selections and its key are made anew and it runs once more. The second time is a failure.
    Changed,
}

/// Runs steps and reads sources. Never sees `Scratch`, `Merge` and `Context`, which need no work.
pub trait Worker: Send + Sync {
    /// What a step leaves.
    type Output: Output;
    /// Why it failed.
    type Error: std::error::Error + Send + Sync + 'static;
    /// The right to produce a key, as the cache gives it: whoever goes on with a step after this
    /// process is dead must have it too.
    type Lease;

    /// The state that an `Http` or `Git` vertex will have: asks the other side, and fetches what
    /// cannot be known otherwise.
    fn source(&self, vertex: &Vertex, cancel: &Cancel) -> Result<StateDigest, Self::Error>;

    /// The digest of selected files. The source's output is pinned. After [`Verdict::Changed`] the
    /// same selection is asked again and must be made from the files as they are then.
    fn select(&self, selection: &Selection<'_, Self::Output>) -> Result<TreeDigest, Self::Error>;

    /// Runs one vertex, of which `lease` is the right to make it. Blocks until it is done, failed or
    /// cancelled; leaves nothing behind but its result.
    fn run(
        &self,
        job: &Job<'_, Self::Output>,
        lease: &Self::Lease,
    ) -> Result<Self::Output, Self::Error>;

    /// What `error` means for the build.
    fn verdict(&self, error: &Self::Error) -> Verdict;
}

/// A record that a cache found.
#[derive(Debug, Clone)]
pub struct Found<O> {
    /// Its key.
    pub key: CacheKey,
    /// Its preimage.
    pub preimage: KeyPreimage,
    /// What the step left.
    pub output: O,
    /// From a look-up by definition: the states of the vertex's inputs that the alias was noted
    /// with, by position. Empty from a look-up by key.
    pub inputs: Vec<Option<StateDigest>>,
    /// Whether it stands in a remote cache only.
    pub remote: bool,
}

/// What a look-up by definition found, by position.
pub type FoundAll<O> = Vec<Option<Found<O>>>;

/// Who may produce a key, and what came of asking.
pub enum Claim<L, O = String> {
    /// We may; given back when dropped.
    Ours(L),
    /// Somebody else does, who is described, for people unless something else is said. Ask again.
    Theirs(O),
}

/// Pieces of what a step wrote, in their order.
pub type LogPieces = Vec<(LogStream, Vec<u8>)>;

/// Remembers results across builds. Every method may be called from many threads.
pub trait ResultCache: Send + Sync {
    /// What a step leaves.
    type Output: Output;
    /// Why it failed.
    type Error: std::error::Error + Send + Sync + 'static;
    /// The right to produce one key; given back when dropped.
    type Lease: Send;
    /// The right to read a result; given back when dropped.
    type Pin: Send;

    /// The records that these definitions were last answered with, in their order; one query.
    fn find_definitions(
        &self,
        definitions: &[DefinitionKey],
    ) -> Result<FoundAll<Self::Output>, Self::Error>;

    /// The record of a key.
    fn find(&self, key: &CacheKey) -> Result<Option<Found<Self::Output>>, Self::Error>;

    /// Notes that `definition` is now answered by `key`, on inputs of these states (none for a
    /// context). [`Found::inputs`] gives them back: where an input has another state by then, the
    /// alias does not count, so that two generations of a step never mix.
    fn alias(
        &self,
        definition: &DefinitionKey,
        key: &CacheKey,
        inputs: &[Option<StateDigest>],
    ) -> Result<(), Self::Error>;

    /// Tries to get the right to produce `key`, for the vertex `id` that is shown as `name`; does
    /// not wait.
    fn claim(
        &self,
        key: &CacheKey,
        id: VertexId,
        name: &str,
    ) -> Result<Claim<Self::Lease>, Self::Error>;

    /// What the owner of a key that was [`Claim::Theirs`] has written since this was last asked, as
    /// far as it is known. Never an error: who waits can do without.
    fn follow(&self, key: &CacheKey) -> LogPieces {
        let _ = key;
        LogPieces::new()
    }

    /// Makes sure that a found result stays while it is read; none if it is gone, and its record
    /// with it.
    fn pin(&self, key: &CacheKey, output: &Self::Output) -> Result<Option<Self::Pin>, Self::Error>;

    /// Stores a result, and the alias, and pins it, in one transaction. An earlier record of the
    /// key is replaced: a forced step stores its own result.
    fn store(&self, record: &NewRecord<'_, Self::Output>) -> Result<Self::Pin, Self::Error>;

    /// Why there was no record for `preimage`, in one line, from the nearest earlier record of the
    /// same stage and step.
    fn explain(&self, vertex: &Vertex, preimage: &KeyPreimage) -> Result<String, Self::Error>;
}

/// A result to be stored.
pub struct NewRecord<'a, O> {
    /// Its key.
    pub key: CacheKey,
    /// What the key is made of.
    pub preimage: &'a KeyPreimage,
    /// The definition that is answered by it from now on.
    pub definition: DefinitionKey,
    /// States of the vertex's inputs, to be noted with the alias as in [`ResultCache::alias`].
    pub inputs: &'a [Option<StateDigest>],
    /// The vertex, for its stage, step and name.
    pub vertex: &'a Vertex,
    /// What the step left.
    pub output: &'a O,
    /// How long it ran.
    pub elapsed: std::time::Duration,
}
