//! A stage in the making: its file system so far, its variables, its configuration, its history.

use std::sync::Arc;

use image::{ContainerConfig, ImageConfig, Platform};
use solver::VertexId;
use solver::op::EnvOrigin;

use super::environment::{ConfigEnv, DEFAULT_PATH, Environment};
use super::history::HistoryList;
use super::paths;

/// What an instruction starts from and leaves. Cheap to clone: a stage on another one shares all
/// that it does not change.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    /// The vertex whose stack is the root file system.
    pub(super) root: VertexId,
    /// For which machine its processes are.
    pub(super) platform: Platform,
    /// The configuration, but for its environment and history.
    pub(super) image: Arc<ImageConfig>,
    /// The configuration's environment.
    pub(super) env: ConfigEnv,
    /// What RUN and expansion see: base, ARG and ENV.
    pub(super) variables: Environment,
    /// What was done.
    pub(super) history: HistoryList,
    /// ARGs declared here and below, with their values.
    pub(super) args: Arc<Vec<(String, Option<String>)>>,
    /// History entries of the base image.
    pub(super) base_history: usize,
    /// Layers of the base image.
    pub(super) base_layers: usize,
    /// A layer below the first instruction that history does not show, and what made it.
    pub(super) unaccounted: Option<String>,
    /// Whether a WORKDIR of this file was seen.
    pub(super) workdir_set: bool,
    /// Whether the base image could not be read, so that nobody knows its variables.
    pub(super) base_unknown: bool,
}

impl StageState {
    /// A stage that starts from `image`.
    pub(super) fn new(root: VertexId, platform: Platform, mut image: ImageConfig) -> Self {
        let layers = image.rootfs.diff_ids.len();
        let history = HistoryList::of_base(std::mem::take(&mut image.history), layers);
        let base_history = history.len();
        let env = ConfigEnv::new(std::mem::take(&mut image.config.env));
        image.created = None;
        // What is known only to the base's own tools says nothing about a new image.
        image.other.clear();
        image.config.other.clear();
        // Triggers have become steps by now.
        image.config.on_build.clear();
        Self {
            root,
            platform,
            image: Arc::new(image),
            env,
            variables: Environment::default(),
            history,
            args: Arc::default(),
            base_history,
            base_layers: layers,
            unaccounted: None,
            workdir_set: false,
            base_unknown: false,
        }
    }

    /// A stage that starts from this one; it gets none of its triggers.
    pub(super) fn child(&mut self) -> Self {
        let history = self.history.on_top();
        let mut child = Self {
            history,
            ..self.clone()
        };
        if !child.image.config.on_build.is_empty() {
            child.config().on_build.clear();
        }
        child
    }

    /// Makes the variables ready for the first instruction: a PATH, then the image's environment
    /// over whatever ARGs of the parent stage left.
    pub(super) fn begin(&mut self) {
        if !self.env.has("PATH") && self.platform.os != "windows" {
            self.env.set("PATH", DEFAULT_PATH);
        }
        for (name, value) in self.env.iter() {
            self.variables.set(name, value, EnvOrigin::Base);
        }
    }

    /// The configuration, to be changed.
    pub(super) fn config(&mut self) -> &mut ContainerConfig {
        &mut Arc::make_mut(&mut self.image).config
    }

    /// The working directory, absolute and cleaned.
    pub(super) fn cwd(&self) -> String {
        match self.image.config.working_dir.as_str() {
            "" => "/".to_owned(),
            path => paths::join("/", path),
        }
    }

    /// USER as written; empty for root.
    pub(super) fn user(&self) -> &str {
        &self.image.config.user
    }
}

/// The configuration of an empty image.
pub(super) fn empty_image(platform: &Platform) -> ImageConfig {
    let mut image = ImageConfig {
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os: platform.os.clone(),
        os_version: platform.os_version.clone(),
        os_features: platform.os_features.clone(),
        ..ImageConfig::default()
    };
    "/".clone_into(&mut image.config.working_dir);
    if platform.os != "windows" {
        image.config.env = vec![format!("PATH={DEFAULT_PATH}")];
    }
    image
}
