//! What is legal and yet not right: the reference's rules, by its names and in its words, and those of
//! rbuild's own.
//!
//! Nothing here decides what is built. Rules that need the tree alone are in `tree`; the others
//! are reported by the code that lowers, where the facts are. Own ones are in `own`.
//! What can be rewritten is in `fix`.

mod config;
pub(super) mod fix;
pub(super) mod own;
pub(super) mod tree;
pub(super) mod values;

use std::cell::RefCell;
use std::collections::HashSet;

use config::{Config, When};
use solver::Span;

use super::error::PlanError;
use super::request::PlanRequest;
use crate::instruction::{Dockerfile, Text, Warning, Word};
use crate::rules::OWN;

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
    pub(in super::super) const EMPTY_CONTINUATION: &str = "NoEmptyContinuation";
    pub(in super::super) const ARG_TOO_EARLY: &str = "rbuild/ArgTooEarly";
    pub(in super::super) const COPY_BEFORE_INSTALL: &str = "rbuild/CopyBeforeInstall";
    pub(in super::super) const LONE_APT_UPDATE: &str = "rbuild/LoneAptUpdate";
    pub(in super::super) const NO_IGNORE_FILE: &str = "rbuild/NoIgnoreFile";
    pub(in super::super) const USELESS_EXCEPTION: &str = "rbuild/UselessIgnoreException";
}

/// Takes what the rules find, minus what the file and the request do not want to hear.
#[derive(Debug)]
pub(super) struct Checks {
    config: Config,
    /// Whether own rules are asked though the file does not name them.
    own: bool,
    found: RefCell<Found>,
}

#[derive(Debug, Default)]
struct Found {
    warnings: Vec<Warning>,
    /// What a build would have asked too: this fails it if the file says `error=true`.
    counted: Vec<&'static str>,
    seen: HashSet<(&'static str, Span, String)>,
}

impl Checks {
    /// Reads `# check=`, or what replaces it; takes over what the parser found.
    pub(super) fn new(
        dockerfile: &Dockerfile,
        request: &PlanRequest,
        instead: Option<&str>,
    ) -> Result<Self, PlanError> {
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
            own: request.own_rules,
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
        self.report_in(Text::Dockerfile, rule, span, comments, message);
    }

    /// The same, of any text.
    pub(super) fn report_in(
        &self,
        text: Text,
        rule: &'static str,
        span: Span,
        comments: &[Word],
        message: String,
    ) {
        if !self.wants(rule, comments) {
            return;
        }
        let is_counted = !rule.starts_with(OWN) || self.config.wants(rule, When::Named, comments);
        let mut found = self.found.borrow_mut();
        if found.seen.insert((rule, span, message.clone())) {
            if is_counted && !found.counted.contains(&rule) {
                found.counted.push(rule);
            }
            found.warnings.push(Warning {
                rule,
                message,
                span,
                text,
            });
        }
    }

    /// Whether `rule` is asked at an instruction with `comments` above it.
    pub(super) fn wants(&self, rule: &str, comments: &[Word]) -> bool {
        let when = if rule == rule::DESCRIPTION {
            When::Experimental
        } else if rule.starts_with(OWN) && !self.own {
            When::Named
        } else {
            When::Always
        };
        self.config.wants(rule, when, comments)
    }

    /// Whether a rule of rbuild's own may be asked anywhere.
    pub(super) fn asks_own(&self) -> bool {
        self.own || self.config.names_own()
    }

    /// What was found so far, by place.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.found.borrow().warnings.clone();
        warnings.sort_by_key(|warning| (warning.text, warning.span.start, warning.span.end));
        warnings
    }

    /// What was found; an error if the file wants findings to be one.
    pub(super) fn finish(&self) -> Result<Vec<Warning>, PlanError> {
        let warnings = self.warnings();
        let counted = self.found.borrow().counted.clone();
        if !self.config.is_error() || counted.is_empty() {
            return Ok(warnings);
        }
        let mut rules: Vec<&str> = Vec::new();
        for warning in &warnings {
            if counted.contains(&warning.rule) && !rules.contains(&warning.rule) {
                rules.push(warning.rule);
            }
        }
        let mut error = PlanError::new(format!(
            "lint violation found for rules: {}",
            rules.join(", ")
        ));
        let first = warnings
            .iter()
            .find(|warning| warning.text == Text::Dockerfile);
        error.span = first.map(|warning| warning.span);
        error.warnings = warnings;
        error.is_violation = true;
        Err(error)
    }
}
