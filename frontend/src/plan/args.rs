//! Build arguments: those of the request, those that are always there, and those before the first
//! FROM.

use std::collections::HashMap;

use image::Platform;
use solver::op::EnvOrigin;

use super::environment::Environment;
use super::epoch::Epoch;
use super::error::PlanError;
use super::request::PlanRequest;
use crate::expansion::{Lexer, Variables};
use crate::instruction::{Command, Instruction};

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// `--build-arg` values by name.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildArgs(HashMap<String, String>);

impl BuildArgs {
    pub(super) fn new(request: &PlanRequest) -> Self {
        Self(request.build_args.iter().cloned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The arguments that FROM sees and a stage may import.
#[derive(Debug, Clone)]
pub(super) struct GlobalArgs {
    /// Their values.
    pub(super) values: Environment,
    /// Names declared without a value.
    pub(super) declared: Vec<String>,
}

/// The platform arguments; the request's values come first.
pub(super) fn predefined(
    build: &Platform,
    target: &Platform,
    target_stage: &str,
    build_args: &BuildArgs,
) -> Environment {
    let target_stage = if target_stage.is_empty() {
        "default"
    } else {
        target_stage
    };
    let mut values = Environment::default();
    for (name, value) in [
        ("BUILDPLATFORM", build.to_string().as_str()),
        ("BUILDOS", &build.os),
        ("BUILDOSVERSION", &build.os_version),
        ("BUILDARCH", &build.architecture),
        ("BUILDVARIANT", &build.variant),
        ("TARGETPLATFORM", &target.to_string()),
        ("TARGETOS", &target.os),
        ("TARGETOSVERSION", &target.os_version),
        ("TARGETARCH", &target.architecture),
        ("TARGETVARIANT", &target.variant),
        ("TARGETSTAGE", target_stage),
    ] {
        let value = build_args.get(name).unwrap_or(value);
        values.set(name, value, EnvOrigin::Arg);
    }
    values
}

/// Adds the ARGs before the first FROM to the predefined ones.
pub(super) fn global(
    mut values: Environment,
    instructions: &[Instruction],
    build_args: &BuildArgs,
    lexer: &Lexer<'_>,
) -> Result<GlobalArgs, PlanError> {
    let mut declared = Vec::new();
    for instruction in instructions {
        let Command::Arg(args) = &instruction.command else {
            continue;
        };
        for arg in args {
            let name = arg.name.text.as_str();
            let value = match (build_args.get(name), &arg.default) {
                (Some(value), _) => value.to_owned(),
                (None, Some(default)) => {
                    let expanded = lexer.word(&default.text, &values);
                    expanded
                        .map_err(|error| PlanError::from(error).at(instruction.span))?
                        .text
                }
                (None, None) => {
                    declared.push(name.to_owned());
                    continue;
                }
            };
            values.set(name, &value, EnvOrigin::Arg);
        }
    }
    Ok(GlobalArgs { values, declared })
}

/// SOURCE_DATE_EPOCH of the request or of a global ARG, which then hold it as a plain number;
/// `time_of` knows the time of what is no number.
pub(super) fn epoch(
    build_args: &mut BuildArgs,
    global: &mut GlobalArgs,
    time_of: impl FnOnce(&str, &BuildArgs, &Environment) -> Result<Option<i64>, PlanError>,
) -> Result<Option<Epoch>, PlanError> {
    let from_global = global.values.get(EPOCH).filter(|value| !value.is_empty());
    let Some(value) = build_args.get(EPOCH).or(from_global) else {
        return Ok(None);
    };
    let seconds = match value.parse::<i64>() {
        Ok(seconds) => Some(seconds),
        Err(_) if value.is_empty() => None,
        Err(_) => {
            let mut others = global.values.clone();
            others.remove(EPOCH);
            time_of(value, build_args, &others)?
        }
    };
    let Some(seconds) = seconds else {
        build_args.0.remove(EPOCH);
        global.values.remove(EPOCH);
        return Ok(None);
    };
    let text = seconds.to_string();
    if global.values.get(EPOCH).is_some() {
        global.values.set(EPOCH, &text, EnvOrigin::Arg);
    }
    if let Some(value) = build_args.0.get_mut(EPOCH) {
        *value = text;
    }
    Epoch::new(seconds).map(Some)
}

/// Proxy variables that every RUN gets without ARG, in both spellings.
pub(super) fn proxies(request: &PlanRequest) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in [
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "no_proxy",
        "all_proxy",
    ] {
        let mut given: Vec<_> = request
            .build_args
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .collect();
        // Of several spellings the last by name counts; of equal ones the one given last.
        given.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some((_, value)) = given.last().filter(|(_, value)| !value.is_empty()) {
            found.push((name.to_uppercase(), value.clone()));
            found.push((name.to_owned(), value.clone()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_come_in_both_spellings() {
        let request = PlanRequest {
            build_args: [
                ("HTTP_PROXY", "a"),
                ("http_proxy", "b"),
                ("No_Proxy", ""),
                ("X", "y"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
            ..PlanRequest::default()
        };
        let pair = |name: &str| (name.to_owned(), "b".to_owned());
        assert_eq!(proxies(&request), [pair("HTTP_PROXY"), pair("http_proxy")]);
    }
}
