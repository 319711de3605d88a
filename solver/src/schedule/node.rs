//! What the decision thread knows of one vertex.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SolveError;
use crate::{
    CacheKey, DefinitionKey, Found, Graph, HitOrigin, KeyPreimage, Op, Output, Selector,
    StateDigest, TreeDigest, Vertex, VertexId,
};

/// What kind of work a vertex is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The empty stack.
    Scratch,
    /// Has no result, only selections of it.
    Context,
    /// A concatenation: never looked up, never stored.
    Merge,
    /// Its state is known without its files: an image, a repository, a download.
    Source,
    /// All else.
    Step,
}

/// How much of a vertex its users need; each includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// Nothing.
    Nothing,
    /// Its state.
    State,
    /// Its result, not pinned.
    Output,
    /// Its result, pinned, to be read.
    Tree,
}

/// Where a vertex stands. `Scratch`, `Merge` and contexts stay `Unknown`: they only have levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody needed more than was known from the start.
    Unknown,
    /// Its inputs' states and selections are being found out, for its key.
    Keying,
    /// The cache is asked for its key.
    Asking,
    /// There is no record; its inputs' trees are being got.
    Missed,
    /// Only a job slot is missing.
    Ready,
    /// Another process makes it: ask again then.
    Waiting(Instant),
    /// It has a job slot.
    Running,
    /// A record was found.
    Known,
    /// Its record is being pinned.
    Pinning,
    /// Its record is pinned.
    Pinned,
    /// It ran; pinned too.
    Produced,
    /// It will have no result.
    Failed,
}

/// Why a vertex has no definition key in a forecast, where nobody is asked and nothing stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doubt {
    /// A download or repository is what the other side says it is.
    Unasked,
    /// The files that it selects cannot be read.
    Unreadable(String),
}

/// One selection that a vertex makes.
#[derive(Debug)]
pub(super) struct Selecting {
    /// Of which node; its position among the vertex's inputs stands in the op.
    pub(super) source: usize,
    pub(super) selector: Selector,
    /// What was selected.
    pub(super) digest: Option<TreeDigest>,
    /// The source's state when it was; none for a context.
    pub(super) of: Option<StateDigest>,
    /// Whether it is being made.
    pub(super) under_way: bool,
}

/// One vertex.
#[derive(Debug)]
pub(super) struct Node<'g, O> {
    pub(super) id: VertexId,
    pub(super) vertex: &'g Vertex,
    pub(super) kind: Kind,
    /// Nodes by input position.
    pub(super) inputs: Vec<usize>,
    pub(super) users: Vec<usize>,
    pub(super) selections: Vec<Selecting>,
    /// What a download or repository was found to be.
    pub(super) source: Option<StateDigest>,
    pub(super) definition: Option<DefinitionKey>,
    /// Runs whatever the cache has.
    pub(super) forced: bool,
    /// Forced, or on a root file system that is: no look-up of any kind.
    pub(super) hard: bool,
    /// Above something forced: no look-up by definition.
    pub(super) soft: bool,
    /// In a forecast: why it cannot be defined without asking the other side, or at all.
    pub(super) doubt: Option<Doubt>,

    pub(super) want: Want,
    pub(super) phase: Phase,
    /// A record found by definition that counts.
    pub(super) hit: Option<Found<O>>,
    pub(super) state: Option<StateDigest>,
    pub(super) output: Option<O>,
    /// Whether the output is pinned.
    pub(super) pinned: bool,
    pub(super) preimage: Option<Arc<KeyPreimage>>,
    pub(super) key: Option<CacheKey>,
    /// The input states that the key or result at hand stands on, by position.
    pub(super) used: Arc<[Option<StateDigest>]>,
    pub(super) origin: Option<HitOrigin>,
    pub(super) ran: bool,
    pub(super) elapsed: Duration,
    /// Raised when what is under way for it no longer counts.
    pub(super) epoch: u32,
    /// How often its record was gone when it was to be pinned.
    pub(super) vanished: u32,
    /// Whether a context changed under it once already.
    pub(super) changed: bool,
    /// Whom it was said to wait for.
    pub(super) owner: Option<String>,
    /// The last pause between two looks at another process's work.
    pub(super) pause: Option<Duration>,
    /// Whether it is on the list of those to be advanced.
    pub(super) open: bool,
}

impl<O: Output> Node<'_, O> {
    /// How much of it there is.
    pub(super) const fn has(&self) -> Want {
        match (self.state.is_some(), self.output.is_some(), self.pinned) {
            (true, true, true) => Want::Tree,
            (true, true, false) => Want::Output,
            (true, false, _) => Want::State,
            (false, ..) => Want::Nothing,
        }
    }

    /// Its result, be it one that was found and that nobody asked for yet.
    pub(super) fn known_output(&self) -> Option<&O> {
        let found = self.hit.as_ref().map(|hit| &hit.output);
        self.output.as_ref().or(found)
    }

    /// Its state, be it that of a record that was found and that nobody asked for yet.
    pub(super) fn known_state(&self) -> Option<StateDigest> {
        self.state
            .or_else(|| self.known_output().map(Output::state))
    }

    /// Why the cache is not to be asked for it; none where it is.
    pub(super) const fn unasked(&self) -> Option<&'static str> {
        match self {
            Self { forced: true, .. } => Some("asked not to use the cache"),
            Self { hard: true, .. } => Some("on a step that was not to use the cache"),
            Self { vanished: 2.., .. } => Some("its record is gone"),
            _ => None,
        }
    }

    /// The node that is its root file system, whose state is in its key.
    pub(super) fn root(&self) -> Option<usize> {
        self.inputs
            .first()
            .copied()
            .filter(|_| self.kind == Kind::Step)
    }
}

/// Nodes of what `targets` need, inputs before users, and where each vertex is among them.
pub(super) fn nodes<'g, O: Output>(
    graph: &'g Graph,
    targets: &[VertexId],
) -> (Vec<Node<'g, O>>, HashMap<VertexId, usize>) {
    let mut nodes: Vec<Node<'g, O>> = Vec::new();
    let mut by_id = HashMap::new();
    for (id, vertex) in graph.iter_needed(targets) {
        let index = nodes.len();
        let inputs: Vec<usize> = vertex.inputs.iter().map(|input| by_id[input]).collect();
        for &input in &inputs {
            // The same input may stand at several positions, one after the other here.
            if nodes[input].users.last() != Some(&index) {
                nodes[input].users.push(index);
            }
        }
        let node = node(id, vertex, inputs, &nodes);
        nodes.push(node);
        by_id.insert(id, index);
    }
    (nodes, by_id)
}

/// Where the targets are.
pub(super) fn positions<O, W, C>(
    nodes: &[Node<'_, O>],
    by_id: &HashMap<VertexId, usize>,
    targets: &[VertexId],
) -> Result<Vec<usize>, SolveError<W, C>>
where
    W: std::error::Error + 'static,
    C: std::error::Error + 'static,
{
    let position = |target: &VertexId| match by_id.get(target) {
        None => Err(SolveError::UnknownTarget(*target)),
        Some(&index) if nodes[index].kind == Kind::Context => {
            Err(SolveError::ContextTarget(*target))
        }
        Some(&index) => Ok(index),
    };
    targets.iter().map(position).collect()
}

fn node<'g, O: Output>(
    id: VertexId,
    vertex: &'g Vertex,
    inputs: Vec<usize>,
    below: &[Node<'g, O>],
) -> Node<'g, O> {
    let kind = match &vertex.op {
        Op::Scratch => Kind::Scratch,
        Op::Context(_) => Kind::Context,
        Op::Merge => Kind::Merge,
        Op::Image(_) | Op::Http(_) | Op::Git(_) => Kind::Source,
        Op::Exec(_) | Op::Copy(_) | Op::MakeDir(_) => Kind::Step,
    };
    let selections = vertex
        .op
        .selections()
        .into_iter()
        .map(|(position, selector)| Selecting {
            source: inputs[position],
            selector,
            digest: None,
            of: None,
            under_way: false,
        });
    // WORKDIR is never forced, and sources are always asked what they are.
    let forced = vertex.meta.forced && matches!(vertex.op, Op::Exec(_) | Op::Copy(_));
    let on_forced = match kind {
        Kind::Step => inputs.first().is_some_and(|&root| below[root].hard),
        Kind::Merge => inputs.iter().any(|&input| below[input].hard),
        _ => false,
    };
    Node {
        selections: selections.collect(),
        soft: inputs.iter().any(|&input| below[input].soft) || forced || on_forced,
        hard: forced || on_forced,
        forced,
        doubt: None,
        used: vec![None; inputs.len()].into(),
        id,
        vertex,
        kind,
        inputs,
        users: Vec::new(),
        source: None,
        definition: None,
        want: Want::Nothing,
        phase: Phase::Unknown,
        hit: None,
        state: None,
        output: None,
        pinned: false,
        preimage: None,
        key: None,
        origin: None,
        ran: false,
        elapsed: Duration::ZERO,
        epoch: 0,
        vanished: 0,
        changed: false,
        owner: None,
        pause: None,
        open: false,
    }
}
