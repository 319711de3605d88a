//! Rules of rbuild's own, about what the reference is silent on: lost time and leaked files.
//!
//! A false alarm costs more than a missed one. What a rule cannot tell for sure, such as what an
//! unknown program does, is taken for good.

mod apt;
mod args;
mod exceptions;
mod install;
mod programs;
mod shell;
mod unguarded;

use solver::Graph;

use super::rule;
use crate::instruction::{Command, Instruction, Stage};
use crate::plan::scope::Scope;

/// Asks the rules that need the stages alone; of those the `needed` ones.
pub(in crate::plan) fn stages(scope: &Scope<'_>, needed: &[bool]) {
    if !scope.checks.asks_own() {
        return;
    }
    let stages = scope.dockerfile.stages.iter().zip(needed);
    for (stage, _) in stages.filter(|(_, needed)| **needed) {
        let steps = steps(stage);
        args::check(scope, &steps);
        apt::check(scope, &steps);
        install::check(scope, &steps);
    }
    exceptions::check(scope);
}

/// Asks the rules about the files that the steps of a graph take.
pub(in crate::plan) fn files(scope: &Scope<'_>, graph: &Graph) {
    if scope.checks.asks_own() {
        unguarded::check(scope, graph);
    }
}

/// An instruction, and what it runs if it is a RUN.
struct Step<'s> {
    instruction: &'s Instruction,
    script: shell::Script,
}

/// The steps of a stage. After a SHELL that is none of those whose scripts can be read, all are
/// opaque.
fn steps(stage: &Stage) -> Vec<Step<'_>> {
    let mut is_read = true;
    let mut steps = Vec::with_capacity(stage.instructions.len());
    for instruction in &stage.instructions {
        if let Command::Shell(words) = &instruction.command {
            is_read = words.first().is_some_and(|word| shell::is_shell(word));
        }
        let script = match &instruction.command {
            _ if !is_read => shell::Script::unread(),
            Command::Run(run) => shell::of_run(run),
            _ => shell::Script::default(),
        };
        steps.push(Step {
            instruction,
            script,
        });
    }
    steps
}

/// The beginning of an instruction without its flags, as messages quote it.
fn quoted(instruction: &Instruction) -> String {
    const LONGEST: usize = 40;
    let mut words = instruction.original.split_whitespace();
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words.skip_while(|word| word.starts_with("--")) {
        line.push(' ');
        line.push_str(word);
    }
    if line.len() <= LONGEST {
        return format!("\"{line}\"");
    }
    let cut = &line[..line.floor_char_boundary(LONGEST)];
    format!("\"{}…\"", cut.trim_end())
}

/// Whether a RUN mounts a cache, so that what it does again is soon done.
fn mounts_cache(instruction: &Instruction) -> bool {
    let Command::Run(run) = &instruction.command else {
        return false;
    };
    let mut mounts = run.mounts.iter();
    mounts.any(|mount| {
        mount
            .text
            .to_lowercase()
            .split(',')
            .any(|key| key == "type=cache")
    })
}

#[cfg(test)]
mod tests;
