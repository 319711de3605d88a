//! `manifest.json` and `repositories`: what `docker save` writes and `docker load` reads
//! (Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) const MANIFEST_FILE: &str = "manifest.json";
pub(super) const REPOSITORIES_FILE: &str = "repositories";

/// One image of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerImage {
    /// The path of its configuration in the archive.
    pub(super) config: String,
    /// Its names; `null` when it has none.
    pub(super) repo_tags: Option<Vec<String>>,
    /// The paths of its layers in the archive, lowest first.
    pub(super) layers: Option<Vec<String>>,
}

/// Repository, then tag, then the id of the topmost layer.
pub(super) type Repositories = BTreeMap<String, BTreeMap<String, String>>;
