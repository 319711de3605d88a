//! What is the same for all stages of one platform's plan.

use image::Platform;

use super::args::{self, BuildArgs, GlobalArgs};
use super::checks::Checks;
use super::contexts::Contexts;
use super::environment::Environment;
use super::epoch::Epoch;
use super::error::PlanError;
use super::images::Images;
use super::request::PlanRequest;
use super::stamp;
use super::survey::Survey;
use crate::expansion::{Budget, Lexer};
use crate::instruction::Dockerfile;

/// Bytes that substitution, history and environments may make in one plan.
const MOST_TEXT: u64 = 512 << 20;

/// What is the same for all stages of one platform's plan.
pub(super) struct Scope<'a> {
    pub(super) dockerfile: &'a Dockerfile,
    pub(super) request: &'a PlanRequest,
    pub(super) images: &'a Images<'a>,
    pub(super) contexts: &'a Contexts,
    pub(super) checks: Checks,
    pub(super) budget: Budget,
    /// For which machine the image is.
    pub(super) target: Platform,
    /// Whether nobody asked for that machine.
    pub(super) implicit_target: bool,
    pub(super) build_args: BuildArgs,
    pub(super) global: GlobalArgs,
    /// The same with the defaults alone, for a check; none if they cannot be had.
    pub(super) default_global: Option<GlobalArgs>,
    pub(super) proxies: Vec<(String, String)>,
    pub(super) epoch: Option<Epoch>,
    /// Set when no build is wanted.
    pub(super) survey: Option<Survey>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        dockerfile: &'a Dockerfile,
        request: &'a PlanRequest,
        images: &'a Images<'a>,
        contexts: &'a Contexts,
        target: Option<&Platform>,
    ) -> Result<Self, PlanError> {
        let build = Platform::host();
        let implicit_target = target.is_none();
        let target = target.unwrap_or(&build).clone();
        let mut build_args = BuildArgs::new(request);
        let budget = Budget::new(MOST_TEXT);
        let lexer = Lexer::new(dockerfile.directives.escape, &budget);
        let last = dockerfile
            .stages
            .last()
            .and_then(|stage| stage.name.as_ref());
        let target_stage = match (&request.target, last) {
            (Some(target), _) => target.clone(),
            (None, Some(name)) => name.lower(),
            (None, None) => String::new(),
        };
        let predefined = args::predefined(&build, &target, &target_stage, &build_args);
        let instructions = &dockerfile.global_args;
        let default_global = args::global(
            predefined.clone(),
            instructions,
            &BuildArgs::default(),
            &lexer,
        )
        .ok();
        let mut global = args::global(predefined, instructions, &build_args, &lexer)?;
        let time_of = |value: &str, build_args: &BuildArgs, values: &Environment| {
            let source = match value {
                stamp::CONTEXT => request.main_source.clone(),
                _ => stamp::source(
                    value, dockerfile, contexts, &target, build_args, values, &lexer,
                )?,
            };
            let Some(source) = source else {
                return Ok(None);
            };
            images.modified(&source).map_err(|error| PlanError {
                help: error.help,
                unreachable: error.unreachable,
                ..PlanError::new(format!(
                    "invalid SOURCE_DATE_EPOCH: {value}: {}",
                    error.message
                ))
            })
        };
        let epoch = args::epoch(&mut build_args, &mut global, time_of)?;
        let checks = Checks::new(
            dockerfile,
            request,
            build_args.get("BUILDKIT_DOCKERFILE_CHECK"),
        )?;
        Ok(Self {
            dockerfile,
            request,
            images,
            contexts,
            checks,
            budget,
            target,
            implicit_target,
            build_args,
            global,
            default_global,
            proxies: args::proxies(request),
            epoch,
            survey: None,
        })
    }

    /// The ordinary lexer.
    pub(super) fn lexer(&self) -> Lexer<'_> {
        Lexer::new(self.dockerfile.directives.escape, &self.budget)
    }

    /// The time that configuration and history show.
    pub(super) fn created(&self) -> &str {
        self.epoch
            .as_ref()
            .map_or(&self.request.now, |epoch| &epoch.text)
    }

    /// Whether names show the platform: there is more than one.
    pub(super) fn shows_platform(&self) -> bool {
        self.request.platforms.len() > 1
    }
}
