//! Why a graph was not solved.

use crate::VertexId;

/// Why a graph was not solved; `W` is the worker's error, `C` the cache's.
#[derive(Debug, thiserror::Error)]
pub enum SolveError<W, C>
where
    W: std::error::Error + 'static,
    C: std::error::Error + 'static,
{
    /// A step failed. What was finished is in the cache.
    #[error("{name} failed")]
    Step {
        /// Which; its span is in the graph.
        vertex: VertexId,
        /// Its name as shown.
        name: String,
        /// Why.
        source: W,
        /// Vertices that failed too before all had stopped, and why.
        others: Vec<(VertexId, String)>,
    },
    /// The cache failed.
    #[error("the cache failed")]
    Cache {
        /// At which vertex; none for the look-up of the whole graph.
        vertex: Option<VertexId>,
        /// Why.
        source: C,
    },
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// A target is not in the graph.
    #[error("the target {0} is not in the graph")]
    UnknownTarget(VertexId),
    /// A target is a context, which is no file system of its own.
    #[error("the target {0} is a context")]
    ContextTarget(VertexId),
    /// No thread could be started.
    #[error("no thread could be started")]
    Threads(#[source] std::io::Error),
}

impl<W, C> SolveError<W, C>
where
    W: std::error::Error + 'static,
    C: std::error::Error + 'static,
{
    /// The vertex to show in an error's frame.
    pub const fn vertex(&self) -> Option<VertexId> {
        match self {
            Self::Step { vertex, .. } => Some(*vertex),
            Self::Cache { vertex, .. } => *vertex,
            Self::UnknownTarget(vertex) | Self::ContextTarget(vertex) => Some(*vertex),
            Self::Cancelled | Self::Threads(_) => None,
        }
    }
}
