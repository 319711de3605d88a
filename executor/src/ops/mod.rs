//! Runs ops: one file for each kind, and [`Executor`] that the schedule calls.
//!
//! - `images`, `http`, `git`: where trees come from
//! - `context`: contexts that are trees of the store
//! - `copy`, `make_dir`: layers written without a container, through `tree`
//! - `exec`: RUN, a container on a snapshot
//! - `select`: which files of an input a step uses
//! - `modified`: when a URL or a repository was last changed
//! - `owner`, `mode`: what `--chown`, USER and `--chmod` mean
//!
//! This room knows no Dockerfile, prints nothing and reads no environment: what a step may have of
//! the host is in [`ExecutorOptions`].

mod auth;
mod context;
mod copy;
pub mod error;
mod exec;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod git;
mod http;
mod images;
mod make_dir;
pub mod mode;
mod modified;
pub mod owner;
mod select;
mod sources;
pub(crate) mod tree;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use cache::{Context, Layer, Lease, Snapshot, Store};
use solver::traits::{Selection, Verdict};
use solver::{Cancel, Job, LayerDigest, Op, StateDigest, TreeDigest, Vertex, VertexId, Worker};

use crate::cdi::Edits;
use crate::container::spec::Resources;
pub use context::Fetched;
pub use error::OpError;
use select::Selections;

/// What an executor works with.
pub struct ExecutorOptions {
    /// Where layers are.
    pub store: Store,
    /// The directories offered, by name; the main one is `context`.
    pub contexts: HashMap<String, Arc<Context>>,
    /// Contexts that are trees of the store, by name.
    pub trees: HashMap<String, Snapshot>,
    /// Secrets by id.
    pub secrets: HashMap<String, SecretSource>,
    /// Sockets of SSH agents by id.
    pub ssh_agents: HashMap<String, PathBuf>,
    /// Registries; without them every image is in the store or in a layout.
    pub registries: Option<Arc<image::registry::Client>>,
    /// The host's certificate bundle, if steps shall trust it (`--host-certs`).
    pub host_certs: Option<PathBuf>,
    /// What the processes of a step may use; in no key, as it changes no result.
    pub resources: Resources,
    /// What the devices of `RUN --device` change, by the steps that ask for them.
    pub devices: HashMap<VertexId, Edits>,
}

impl ExecutorOptions {
    /// A store, and nothing that is said of a build.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            contexts: HashMap::new(),
            trees: HashMap::new(),
            secrets: HashMap::new(),
            ssh_agents: HashMap::new(),
            registries: None,
            host_certs: None,
            resources: Resources::default(),
            devices: HashMap::new(),
        }
    }
}

/// Where a secret's bytes are.
#[derive(Clone)]
pub enum SecretSource {
    /// In a file, read when a step asks for it.
    File(PathBuf),
    /// Here.
    Value(Vec<u8>),
}

/// Runs the ops of one build.
pub struct Executor {
    options: ExecutorOptions,
    selections: Selections,
    launcher: exec::LazyLauncher,
    context_layers: exec::ContextLayers,
    renewed: exec::Renewed,
    sources: sources::Sources,
}

impl Executor {
    /// An executor; nothing is started before a step needs it.
    pub fn new(options: ExecutorOptions) -> Self {
        Self {
            options,
            selections: Selections::default(),
            launcher: exec::LazyLauncher::default(),
            context_layers: exec::ContextLayers::default(),
            renewed: exec::Renewed::default(),
            sources: sources::Sources::default(),
        }
    }

    fn store(&self) -> &Store {
        &self.options.store
    }
}

/// The result that the op's input `position` left.
fn input<'a>(job: &Job<'a, Snapshot>, position: usize) -> Result<&'a Snapshot, OpError> {
    job.inputs
        .get(position)
        .and_then(Option::as_ref)
        .ok_or(OpError::MissingInput { position })
}

impl Worker for Executor {
    type Output = Snapshot;
    type Error = OpError;
    type Lease = Lease;

    fn source(&self, vertex: &Vertex, cancel: &Cancel) -> Result<StateDigest, OpError> {
        match &vertex.op {
            Op::Git(op) => git::snapshot(self, op, cancel).map(|snapshot| snapshot.state),
            Op::Http(op) => http::snapshot(self, op, cancel).map(|snapshot| snapshot.state),
            _ => Err(OpError::NothingToRun),
        }
    }

    fn select(&self, selection: &Selection<'_, Snapshot>) -> Result<TreeDigest, OpError> {
        select::digest(self, selection)
    }

    fn run(&self, job: &Job<'_, Snapshot>, lease: &Lease) -> Result<Snapshot, OpError> {
        if job.cancel.is_cancelled() {
            return Err(OpError::Cancelled);
        }
        match &job.vertex.op {
            Op::Copy(op) => copy::run(self, job, op),
            Op::MakeDir(op) => make_dir::run(self, job, op),
            Op::Exec(op) => exec::run(self, job, op, lease),
            Op::Git(op) => git::snapshot(self, op, job.cancel),
            Op::Http(op) => http::snapshot(self, op, job.cancel),
            Op::Image(op) => images::run(self, job, op),
            Op::Scratch | Op::Merge | Op::Context(_) => Err(OpError::NothingToRun),
        }
    }

    fn verdict(&self, error: &OpError) -> Verdict {
        match error {
            OpError::Cancelled => Verdict::Cancelled,
            OpError::SelectionChanged { .. }
            | OpError::Context(cache::ContextError::Changed { .. }) => Verdict::Changed,
            _ => Verdict::Failed,
        }
    }
}

/// The stack that a step leaves: `layer` on what was below.
fn on_top(below: &Snapshot, layer: &Layer) -> Snapshot {
    let mut stack = below.clone();
    stack.push(layer.id.clone(), LayerDigest::Change(layer.change));
    stack
}
