//! What the user asked for.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use image::Platform;
use solver::op::NetworkMode;

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
    /// `--build-context` names, lower case; they replace stages, images and `--from`. A name may
    /// end in `::platform`.
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
    /// What the main context was fetched from, if it was: whose time SOURCE_DATE_EPOCH=context means.
    pub main_source: Option<solver::Op>,
    /// Files that the ignore file hides, for the CopyIgnoredFile check; none when unknown.
    pub ignored: Option<crate::ignore::IgnoreRules>,
    /// The files of the main context, if there is no ignore file that could hide any; none when
    /// there is one, or when the context is no directory.
    pub unguarded: Option<Arc<dyn ContextFiles>>,
    /// Whether the rules of rbuild's own are asked too. Otherwise those are that the Dockerfile's
    /// `# check=experimental=` names.
    pub own_rules: bool,
    /// The time of this build, RFC 3339, for configuration and history; SOURCE_DATE_EPOCH wins.
    pub now: String,
}

/// Lists the files of a context: all that rules know of a file system.
pub trait ContextFiles: Debug + Send + Sync {
    /// The regular files that are `wanted`, by their path, relative and `/`-separated, and how many
    /// bytes they have; in any order. What cannot be read is not there.
    fn find(&self, wanted: &(dyn Fn(&[u8], u64) -> bool + Sync)) -> Vec<(Vec<u8>, u64)>;

    /// The first bytes of a file, some hundreds; none if it cannot be read.
    fn head(&self, path: &str) -> Vec<u8>;
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
