//! Ops, the graph of them, keys, and the schedule that runs what the cache lacks.
//!
//! This room knows no file system, no Linux and no terminal. Read it in this order:
//!
//! - [`op`]: what a step does, as plain data
//! - [`graph`]: vertices, and the DAG in which equal vertices are one
//! - [`digest`]: names for what a step leaves
//! - [`key`]: the identity of a result across builds; [`identity`]: what of an op goes into it
//! - [`selector`] and [`pattern`]: which files of an input a step uses
//! - [`traits`]: what the schedule asks of a worker and of a cache
//! - [`event`]: what happened, for whoever shows it

pub mod digest;
pub mod event;
pub mod graph;
pub mod identity;
pub mod key;
pub mod op;
pub mod pattern;
pub mod schedule;
pub mod selector;
pub mod traits;

pub use digest::{ChangeDigest, ContentDigest, LayerDigest, StateDigest, StateFold, TreeDigest};
pub use event::{Event, EventSink, HitOrigin, LogStream};
pub use graph::{Graph, Span, Vertex, VertexId, VertexMeta};
pub use key::{CacheKey, Component, DefinitionKey, KeyPreimage};
pub use op::Op;
pub use pattern::{Matched, Pattern, PatternError, PatternList};
pub use schedule::{
    DEFAULT_JOBS, Forecast, Options, Outcome, Prospect, Resolution, Solution, SolveError, forecast,
    solve,
};
pub use selector::Selector;
pub use traits::{
    Cancel, Claim, Found, FoundAll, Job, LogPieces, NewRecord, Output, ResultCache, Selection,
    Verdict, Worker,
};
