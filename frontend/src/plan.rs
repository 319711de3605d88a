//! Tree to graph, configuration and history.

use std::collections::BTreeMap;

use image::{ImageConfig, Platform};
use solver::op::{ImageOrigin, NetworkMode};
use solver::{Graph, Span, VertexId};

use crate::instruction::{Dockerfile, Warning};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// `--target`; the last stage when none.
    pub target: Option<String>,
    /// `--platform`, one build each; the host's when empty.
    pub platforms: Vec<Platform>,
    /// `--build-arg`, in the order given; a later one wins.
    pub build_args: Vec<(String, String)>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// `--build-context` names, lower case; they replace stages, images and `--from`.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter` stage names.
    pub no_cache_filter: Vec<String>,
    /// `--network`.
    pub network: Option<NetworkMode>,
    /// `--add-host`.
    pub extra_hosts: Vec<(String, String)>,
    /// `--ulimit`.
    pub ulimits: Vec<String>,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `--allow network.host`.
    pub allow_host_network: bool,
    /// `--allow security.insecure`.
    pub allow_insecure: bool,
    /// Files that the ignore file hides, for the CopyIgnoredFile check; none when unknown.
    pub ignored: Option<crate::ignore::IgnoreRules>,
    /// The time of this build, RFC 3339, for configuration and history; SOURCE_DATE_EPOCH wins.
    pub now: String,
}

/// What a `--build-context` name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory.
    Directory,
    /// `docker-image://reference`.
    Image(String),
    /// `oci-layout://directory[:tag][@digest]`.
    Layout(String),
    /// A git repository or an archive behind a URL.
    Url(String),
}

/// An image whose manifest and configuration were read.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// Its canonical name.
    pub reference: String,
    /// Where its blobs are to be had.
    pub origin: ImageOrigin,
    /// Digest of the manifest for the platform.
    pub manifest: image::Digest,
    /// Its configuration.
    pub config: ImageConfig,
}

/// Which image is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageName {
    /// A reference as written in FROM, `--from` or `docker-image://`.
    Reference(String),
    /// `oci-layout://…`, without the scheme.
    Layout(String),
}

/// Reads base images' configurations: all the frontend knows of stores and registries.
pub trait ImageResolver: Sync {
    /// The image's manifest for `platform` and its configuration.
    fn resolve(&self, name: &ImageName, platform: &Platform)
    -> Result<ResolvedImage, ResolveError>;
}

/// Why an image's configuration could not be read; its cause is the resolver's.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    /// What went wrong, naming the image.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// What the frontend hands over.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// Every vertex that the targets need.
    pub graph: Graph,
    /// One for each platform.
    pub targets: Vec<Target>,
    /// Results of the checks, in the order of their places.
    pub warnings: Vec<Warning>,
}

/// One image to be made.
#[derive(Debug, Clone)]
pub struct Target {
    /// For which machine.
    pub platform: Platform,
    /// The vertex whose stack is the image's file system.
    pub root: VertexId,
    /// Its configuration with complete history; `rootfs.diff_ids` holds the base's only: one more
    /// belongs to each history entry that is not empty after the base's.
    pub config: ImageConfig,
    /// Number of history entries that came from the base.
    pub base_history: usize,
    /// Number of layers that came from the base.
    pub base_layers: usize,
    /// SOURCE_DATE_EPOCH, seconds since 1970.
    pub epoch: Option<i64>,
}

/// Why a Dockerfile that parses cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// What is wrong, in the reference's words where it has some.
    pub message: String,
    /// Where; none when it is the request that is wrong.
    pub span: Option<Span>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Lowers the stages that the target needs to a graph.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn plan(
    source: &str,
    dockerfile: &Dockerfile,
    request: &PlanRequest,
    images: &dyn ImageResolver,
) -> Result<BuildPlan, PlanError> {
    let _ = (source, dockerfile, request, images);
    todo!()
}
