//! Tree to graph, configuration and history.
//!
//! One plan per platform, in this order:
//!
//! - [`request`]: what the user asked for
//! - `scope`, `args`: the arguments that are the same for all stages
//! - `stages`: what each stage starts from and reads; which the target needs
//! - `resolve`, `onbuild`: base images, named contexts, triggers
//! - `lower`, `work`: stages to vertices, one instruction after the other, with `run`, `mounts`,
//!   `mounting`, `copy`, `remote` and `metadata` for their kinds
//! - `checks`: what is legal and yet not right
//! - `survey`: the check of all stages and the parameters of one, without a plan
//!
//! This room knows no files and no network: what a base image is, it asks [`ImageResolver`].

mod args;
mod checks;
mod contexts;
mod copy;
mod csv;
mod device;
mod environment;
mod epoch;
mod error;
mod gotext;
mod history;
mod images;
mod lower;
mod metadata;
mod mode;
mod mounting;
mod mounts;
mod onbuild;
mod paths;
mod ports;
mod remote;
pub mod request;
mod resolve;
mod run;
mod scope;
mod signals;
mod stages;
mod stamp;
mod state;
mod survey;
mod syntax;
#[cfg(test)]
mod tests;
mod work;

use std::sync::Arc;

use image::{ImageConfig, Platform};
use solver::{Graph, VertexId};

pub(crate) use checks::fix::FIXABLE;
pub use checks::fix::{Edit, apply, edits};
pub use error::PlanError;
pub(crate) use gotext::quoted;
pub use images::{ImageName, ImageResolver, ResolveError, ResolvedImage};
pub use lower::MAIN_CONTEXT;
pub use remote::{Checkout, remote_context};
pub use request::{ContextFiles, NamedContext, PlanRequest};
pub use survey::{Findings, check, is_same_build, outline};

use contexts::Contexts;
use images::Images;
use lower::Lowering;
use scope::Scope;
use stages::Table;
use state::StageState;

use crate::instruction::{Dockerfile, Warning};

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

/// Lowers the stages that the target needs to a graph.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn plan(
    dockerfile: &Dockerfile,
    request: &PlanRequest,
    images: &dyn ImageResolver,
) -> Result<BuildPlan, PlanError> {
    check_syntax(dockerfile, request)?;
    let images = Images::new(images);
    let contexts = Contexts::new(&request.named_contexts);
    let one = |platform| one_platform(dockerfile, request, &images, &contexts, platform);
    let mut plans = match request.platforms.as_slice() {
        [] => vec![one(None)],
        [platform] => vec![one(Some(platform))],
        platforms => std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> = platforms
                .iter()
                .map(|platform| scope.spawn(move || one(Some(platform))))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    let panicked = |_| Err(PlanError::new("planning a platform panicked"));
                    thread.join().unwrap_or_else(panicked)
                })
                .collect()
        }),
    }
    .into_iter();
    let Some(first) = plans.next() else {
        return Err(PlanError::new("no platform is asked for"));
    };
    let (mut graph, target, mut warnings) = first?;
    let mut targets = vec![target];
    for plan in plans {
        let (more, target, new) = plan?;
        for (_, vertex) in more.iter() {
            graph.add(vertex.clone());
        }
        targets.push(target);
        warnings.extend(new);
    }
    warnings.sort_by_key(|warning| (warning.text, warning.span.start, warning.span.end));
    warnings.dedup();
    Ok(BuildPlan {
        graph,
        targets,
        warnings,
    })
}

/// Refuses a language that is not this one.
fn check_syntax(dockerfile: &Dockerfile, request: &PlanRequest) -> Result<(), PlanError> {
    if let Some(word) = &dockerfile.directives.syntax {
        syntax::check(&word.text).map_err(|error| error.at(word.span))?;
    }
    for (name, value) in &request.build_args {
        if name == "BUILDKIT_SYNTAX" {
            syntax::check(value)?;
        }
    }
    Ok(())
}

fn no_stages() -> PlanError {
    PlanError::new("dockerfile contains no stages to build")
}

fn one_platform(
    dockerfile: &Dockerfile,
    request: &PlanRequest,
    images: &Images<'_>,
    contexts: &Contexts,
    platform: Option<&Platform>,
) -> Result<(Graph, Target, Vec<Warning>), PlanError> {
    if dockerfile.stages.is_empty() {
        return Err(no_stages());
    }
    let scope = Scope::new(dockerfile, request, images, contexts, platform)?;
    let lowered = lower_target(&scope);
    let lowered = lowered.map_err(|mut error| {
        error.warnings = scope.checks.warnings();
        error
    })?;
    let warnings = scope.checks.finish()?;
    Ok((lowered.graph, finish(&scope, lowered.state), warnings))
}

/// What lowering came to.
struct Lowered {
    graph: Graph,
    /// What the target left.
    state: StageState,
    /// The target's number.
    target: usize,
    /// Which stages were lowered.
    needed: Vec<bool>,
}

fn lower_target(scope: &Scope<'_>) -> Result<Lowered, PlanError> {
    checks::tree::run(scope);
    let mut table = Table::new(scope)?;
    let target = table.target(scope.request.target.as_deref())?;
    let grounds = resolve::resolve(scope, &mut table, target)?;
    let needed = grounds.needed.clone();
    checks::own::stages(scope, &needed);
    let (graph, state) = Lowering::new(scope, table, grounds).run(target)?;
    checks::own::files(scope, &graph);
    Ok(Lowered {
        graph,
        state,
        target,
        needed,
    })
}

/// The image that a stage has become.
fn finish(scope: &Scope<'_>, mut state: StageState) -> Target {
    if let Some(what) = &state.unaccounted {
        state.history.push_unaccounted(scope.created(), what);
    }
    let labels = scope.request.labels.iter().cloned();
    state.config().labels.extend(labels);
    let mut config = Arc::unwrap_or_clone(state.image);
    config.config.env = state.env.list().to_vec();
    config.history = state.history.into_vec();
    let last = config
        .history
        .last()
        .and_then(|entry| entry.created.clone());
    config.created = Some(last.unwrap_or_else(|| scope.created().to_owned()));
    let own = config.platform();
    let mut platform = Platform::new(&own.os, &own.architecture, &own.variant);
    platform.os_version = own.os_version;
    platform.os_features = own.os_features;
    if !scope.implicit_target {
        let wanted = &scope.target;
        let same = wanted.os == platform.os && wanted.architecture == platform.architecture;
        platform.os.clone_from(&wanted.os);
        platform.architecture.clone_from(&wanted.architecture);
        if !wanted.variant.is_empty() || !same {
            platform.variant.clone_from(&wanted.variant);
        }
        if !wanted.os_version.is_empty() || !same {
            platform.os_version.clone_from(&wanted.os_version);
        }
        if !wanted.os_features.is_empty() {
            platform.os_features.clone_from(&wanted.os_features);
        }
    }
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.architecture);
    config.variant.clone_from(&platform.variant);
    config.os_version.clone_from(&platform.os_version);
    config.os_features.clone_from(&platform.os_features);
    Target {
        platform,
        root: state.root,
        base_history: state.base_history,
        base_layers: state.base_layers,
        epoch: scope.epoch.as_ref().map(|epoch| epoch.seconds),
        config,
    }
}

/// The texts that Go's `strconv.ParseBool` takes.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
