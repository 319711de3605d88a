//! What is legal and yet not right: the reference's rules, by its names and in its words.
//!
//! Nothing here decides what is built. Rules that need the tree alone are in `tree`; the others
//! are reported by the code that lowers, where the facts are.

mod config;
pub(super) mod tree;
pub(super) mod values;

use std::cell::RefCell;
use std::collections::HashSet;

use config::Config;
use solver::Span;

use super::error::PlanError;
use crate::instruction::{Dockerfile, Warning, Word};

/// The names of the rules.
pub(super) mod rule {
    pub(in super::super) const STAGE_NAME_CASING: &str = "StageNameCasing";
    pub(in super::super) const FROM_AS_CASING: &str = "FromAsCasing";
    pub(in super::super) const CONSISTENT_CASING: &str = "ConsistentInstructionCasing";
    pub(in super::super) const DUPLICATE_STAGE: &str = "DuplicateStageName";
    pub(in super::super) const RESERVED_STAGE: &str = "ReservedStageName";
    pub(in super::super) const JSON_ARGS: &str = "JSONArgsRecommended";
    pub(in super::super) const MAINTAINER: &str = "MaintainerDeprecated";
    pub(in super::super) const UNDEFINED_ARG_IN_FROM: &str = "UndefinedArgInFrom";
    pub(in super::super) const WORKDIR_RELATIVE: &str = "WorkdirRelativePath";
    pub(in super::super) const UNDEFINED_VAR: &str = "UndefinedVar";
    pub(in super::super) const MULTIPLE: &str = "MultipleInstructionsDisallowed";
    pub(in super::super) const LEGACY_KEY_VALUE: &str = "LegacyKeyValueFormat";
    pub(in super::super) const BASE_PLATFORM: &str = "InvalidBaseImagePlatform";
    pub(in super::super) const REDUNDANT_PLATFORM: &str = "RedundantTargetPlatform";
    pub(in super::super) const SECRETS: &str = "SecretsUsedInArgOrEnv";
    pub(in super::super) const DEFAULT_ARG_IN_FROM: &str = "InvalidDefaultArgInFrom";
    pub(in super::super) const CONST_PLATFORM: &str = "FromPlatformFlagConstDisallowed";
    pub(in super::super) const IGNORED_FILE: &str = "CopyIgnoredFile";
    pub(in super::super) const DESCRIPTION: &str = "InvalidDefinitionDescription";
    pub(in super::super) const EXPOSE_CASING: &str = "ExposeProtoCasing";
    pub(in super::super) const EXPOSE_FORMAT: &str = "ExposeInvalidFormat";
}

/// Takes what the rules find, minus what the file and the request do not want to hear.
#[derive(Debug)]
pub(super) struct Checks {
    config: Config,
    found: RefCell<Found>,
}

#[derive(Debug, Default)]
struct Found {
    warnings: Vec<Warning>,
    seen: HashSet<(&'static str, Span, String)>,
}

impl Checks {
    /// Reads `# check=`, or what replaces it; takes over what the parser found.
    pub(super) fn new(dockerfile: &Dockerfile, instead: Option<&str>) -> Result<Self, PlanError> {
        let directive = dockerfile.directives.check.as_ref();
        let text = instead.or(directive.map(|word| word.text.as_str()));
        let config = Config::parse(text.unwrap_or_default()).map_err(|reason| {
            let error = PlanError::new(format!("failed to parse check options: {reason}"));
            match (instead, directive) {
                (None, Some(word)) => error.at(word.span),
                _ => error,
            }
        })?;
        let checks = Self {
            config,
            found: RefCell::default(),
        };
        for warning in &dockerfile.warnings {
            checks.report(warning.rule, warning.span, &[], warning.message.clone());
        }
        Ok(checks)
    }

    /// Notes what `rule` found at `span`; `comments` stand above the instruction and may silence
    /// it.
    pub(super) fn report(
        &self,
        rule: &'static str,
        span: Span,
        comments: &[Word],
        message: String,
    ) {
        if !self.config.wants(rule, rule == rule::DESCRIPTION, comments) {
            return;
        }
        let mut found = self.found.borrow_mut();
        if found.seen.insert((rule, span, message.clone())) {
            found.warnings.push(Warning {
                rule,
                message,
                span,
            });
        }
    }

    /// What was found so far, by place.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.found.borrow().warnings.clone();
        warnings.sort_by_key(|warning| (warning.span.start, warning.span.end));
        warnings
    }

    /// What was found; an error if the file wants findings to be one.
    pub(super) fn finish(&self) -> Result<Vec<Warning>, PlanError> {
        let warnings = self.warnings();
        if !self.config.is_error() || warnings.is_empty() {
            return Ok(warnings);
        }
        let mut rules: Vec<&str> = Vec::new();
        for warning in &warnings {
            if !rules.contains(&warning.rule) {
                rules.push(warning.rule);
            }
        }
        let mut error = PlanError::new(format!(
            "lint violation found for rules: {}",
            rules.join(", ")
        ));
        error.span = warnings.first().map(|warning| warning.span);
        error.warnings = warnings;
        error.is_violation = true;
        Err(error)
    }
}
