//! Rules that need nothing but the tree and the global ARGs.

use std::collections::HashSet;

use image::{ImageRef, Platform};
use solver::Span;

use super::rule;
use crate::expansion::{Expansion, Variables};
use crate::instruction::{Command, Instruction, Stage, Word};
use crate::plan::gotext::quoted;
use crate::plan::scope::Scope;
use crate::suggest::nearest;

/// Asks them all.
pub(in super::super) fn run(scope: &Scope<'_>) {
    let stages = &scope.dockerfile.stages;
    names(scope, stages);
    casing(scope, stages);
    default_args(scope, stages);
    for stage in stages {
        if let Some(name) = &stage.name {
            description(scope, "FROM", &[name.lower()], &stage.comments, stage.span);
        }
    }
    let instructions = stages.iter().flat_map(|stage| &stage.instructions);
    for instruction in scope.dockerfile.global_args.iter().chain(instructions) {
        one(scope, instruction);
    }
}

fn names(scope: &Scope<'_>, stages: &[Stage]) {
    let mut seen = HashSet::new();
    for stage in stages {
        let Some(name) = &stage.name else { continue };
        let report = |rule, message| {
            scope
                .checks
                .report(rule, stage.span, &stage.comments, message);
        };
        let written = &name.word.text;
        let lower = name.lower();
        if lower != *written {
            report(
                rule::STAGE_NAME_CASING,
                format!("Stage name '{written}' should be lowercase"),
            );
        }
        let fits = match case_of(&stage.keyword) {
            Some(Case::Lower) => name.keyword.text.to_lowercase() == name.keyword.text,
            Some(Case::Upper) => name.keyword.text.to_uppercase() == name.keyword.text,
            None => true,
        };
        if !fits {
            report(
                rule::FROM_AS_CASING,
                format!(
                    "'{}' and '{}' keywords' casing do not match",
                    name.keyword.text, stage.keyword
                ),
            );
        }
        if matches!(lower.as_str(), "scratch" | "context") {
            report(
                rule::RESERVED_STAGE,
                format!(
                    "Stage name should not use the same name as reserved stage {}",
                    quoted(&lower)
                ),
            );
        }
        let shown = quoted(&lower);
        if !seen.insert(lower) {
            report(
                rule::DUPLICATE_STAGE,
                format!("Duplicate stage name {shown}, stage names should be unique"),
            );
        }
    }
}

/// How keywords are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Lower,
    Upper,
}

impl Case {
    /// A keyword, so written.
    pub(super) fn of(self, keyword: &str) -> String {
        match self {
            Self::Lower => keyword.to_lowercase(),
            Self::Upper => keyword.to_uppercase(),
        }
    }
}

/// How a keyword is written; none if it is neither.
pub(super) fn case_of(keyword: &str) -> Option<Case> {
    let has = |case: fn(&u8) -> bool| keyword.as_bytes().iter().any(case);
    match (has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase)) {
        (_, false) => Some(Case::Lower),
        (false, true) => Some(Case::Upper),
        (true, true) => None,
    }
}

/// Each keyword with its instruction's place and comments.
fn keywords(stages: &[Stage]) -> impl Iterator<Item = (&str, Span, &[Word])> {
    stages.iter().flat_map(|stage| {
        let from = (
            stage.keyword.as_str(),
            stage.span,
            stage.comments.as_slice(),
        );
        let rest = stage.instructions.iter();
        std::iter::once(from)
            .chain(rest.map(|i| (i.keyword.as_str(), i.span, i.comments.as_slice())))
    })
}

/// How most keywords are written.
pub(super) fn majority(stages: &[Stage]) -> Case {
    let count = |case| {
        let cases = keywords(stages).map(|(keyword, ..)| case_of(keyword));
        cases.filter(|found| *found == Some(case)).count()
    };
    if count(Case::Lower) > count(Case::Upper) {
        Case::Lower
    } else {
        Case::Upper
    }
}

fn casing(scope: &Scope<'_>, stages: &[Stage]) {
    let wanted = majority(stages);
    let name = match wanted {
        Case::Lower => "lowercase",
        Case::Upper => "uppercase",
    };
    for (keyword, span, comments) in keywords(stages) {
        if case_of(keyword) != Some(wanted) {
            let message = format!(
                "Command '{keyword}' should match the case of the command majority ({name})"
            );
            scope
                .checks
                .report(rule::CONSISTENT_CASING, span, comments, message);
        }
    }
}

/// What every FROM would be without `--build-arg`.
fn default_args(scope: &Scope<'_>, stages: &[Stage]) {
    let Some(defaults) = &scope.default_global else {
        return;
    };
    for stage in stages {
        let Ok(name) = scope.lexer().word(&stage.base.text, &defaults.values) else {
            return;
        };
        if name.text.parse::<ImageRef>().is_err() {
            scope.checks.report(
                rule::DEFAULT_ARG_IN_FROM,
                stage.span,
                &stage.comments,
                format!(
                    "Default value for ARG {} results in empty or invalid base image name",
                    stage.base.text
                ),
            );
        }
    }
}

fn one(scope: &Scope<'_>, instruction: &Instruction) {
    let report = |rule, message| {
        scope
            .checks
            .report(rule, instruction.span, &instruction.comments, message);
    };
    let keyword = &instruction.keyword;
    match &instruction.command {
        Command::Maintainer(_) => report(
            rule::MAINTAINER,
            "Maintainer instruction is deprecated in favor of using label".to_owned(),
        ),
        Command::Env(pairs) | Command::Label(pairs) if pairs.legacy => report(
            rule::LEGACY_KEY_VALUE,
            format!(
                "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
            ),
        ),
        Command::Arg(args) => {
            let names: Vec<String> = args.iter().map(|arg| arg.name.text.clone()).collect();
            let comments = &instruction.comments;
            description(scope, "ARG", &names, comments, instruction.span);
        }
        _ => {}
    }
}

/// A comment above FROM or ARG that does not begin with the name it should describe.
fn description(scope: &Scope<'_>, keyword: &str, names: &[String], comments: &[Word], span: Span) {
    let Some(last) = comments.last() else { return };
    let text = last.text.trim_start_matches('#').trim();
    let first = text.split(' ').next().unwrap_or_default();
    if first.starts_with("check=") || names.iter().any(|name| name == first) {
        return;
    }
    let name = match names {
        [name] => name,
        _ => "<arg_key>",
    };
    let message =
        format!("Comment for {keyword} should follow the format: `# {name} <description>`");
    scope
        .checks
        .report(rule::DESCRIPTION, span, comments, message);
}

/// Variables of FROM that nobody declared.
pub(in super::super) fn undefined_in_from(scope: &Scope<'_>, stage: &Stage, undefined: &[String]) {
    let known = || {
        let declared = scope.global.declared.iter().map(String::as_str);
        scope.global.values.names().chain(declared)
    };
    for name in undefined {
        if known().any(|declared| declared == name) {
            continue;
        }
        let mut message = format!("FROM argument '{name}' is not declared");
        if let Some(meant) = nearest(name, known()) {
            message.push_str(&format!(" (did you mean {meant}?)"));
        }
        scope.checks.report(
            rule::UNDEFINED_ARG_IN_FROM,
            stage.span,
            &stage.comments,
            message,
        );
    }
}

/// A `--platform` that is always the same, or what it would be anyway.
pub(in super::super) fn platform_of_from(
    scope: &Scope<'_>,
    stage: &Stage,
    written: &str,
    expanded: &Expansion,
) {
    let report = |rule, message| {
        scope
            .checks
            .report(rule, stage.span, &stage.comments, message);
    };
    if expanded.undefined.is_empty()
        && expanded.used == ["TARGETPLATFORM"]
        && scope.global.values.get("TARGETPLATFORM") == Some(&expanded.text)
    {
        report(
            rule::REDUNDANT_PLATFORM,
            format!(
                "Setting platform to predefined {written} in FROM is redundant as this is the default behavior"
            ),
        );
    }
    if !expanded.used.is_empty() || !expanded.undefined.is_empty() {
        return;
    }
    let Ok(platform) = expanded.text.parse::<Platform>() else {
        return;
    };
    let name = stage
        .name
        .as_ref()
        .map(|name| name.lower())
        .unwrap_or_default();
    if !name.contains(&platform.os) && !name.contains(&platform.architecture) {
        report(
            rule::CONST_PLATFORM,
            format!(
                "FROM --platform flag should not use constant value {}",
                quoted(&expanded.text)
            ),
        );
    }
}
