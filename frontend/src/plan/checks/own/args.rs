//! An ARG above work that does not need it: a RUN sees every ARG above it, so a new value runs it
//! again.

use super::programs::{ignores_variables, is_costly, is_read_unasked};
use super::{Step, quoted, rule};
use crate::instruction::{Command, CopySource, Instruction};
use crate::plan::scope::Scope;

/// Arguments that are known to every build, and do not change from one build to the next.
const STEADY: &[&str] = &[
    "BUILDARCH",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDPLATFORM",
    "BUILDVARIANT",
    "TARGETARCH",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETPLATFORM",
    "TARGETSTAGE",
    "TARGETVARIANT",
];

pub(super) fn check(scope: &Scope<'_>, steps: &[Step<'_>]) {
    for (at, step) in steps.iter().enumerate() {
        let Command::Arg(args) = &step.instruction.command else {
            continue;
        };
        for arg in args {
            let name = arg.name.text.as_str();
            let is_special = STEADY.contains(&name) || name.starts_with("BUILDKIT_");
            if !is_special && !is_read_unasked(name) {
                one(scope, name, step.instruction, &steps[at + 1..]);
            }
        }
    }
}

/// Looks at what stands between an ARG and its first use.
fn one(scope: &Scope<'_>, name: &str, declaration: &Instruction, below: &[Step<'_>]) {
    let Some(used) = below
        .iter()
        .position(|step| mentions(step.instruction, name))
    else {
        return;
    };
    let user = below[used].instruction;
    if matches!(user.command, Command::Arg(_)) && declares(user, name) {
        return;
    }
    // From the first RUN on that may use it unseen, everything has to stay below it.
    let mut untouched = None;
    let mut count = 0;
    for step in &below[..used] {
        if !matches!(step.instruction.command, Command::Run(_)) {
            continue;
        }
        let commands = &step.script.commands;
        if step.script.opaque || !commands.iter().all(|words| ignores_variables(words)) {
            break;
        }
        if commands.iter().any(|words| is_costly(words)) {
            untouched = untouched.or(Some(step.instruction));
            count += 1;
        }
    }
    let Some(first) = untouched else { return };
    let others = match count {
        1 => String::new(),
        2 => " and another RUN".to_owned(),
        more => format!(" and {} more RUNs", more - 1),
    };
    let verb = if count == 1 { "does" } else { "do" };
    scope.checks.report(
        rule::ARG_TOO_EARLY,
        declaration.span,
        &declaration.comments,
        format!(
            "ARG {name} stands above {}{others}, which {verb} not use it and would run again for each new \
             value; declare it right before its first use, {}",
            quoted(first),
            quoted(user)
        ),
    );
}

fn declares(instruction: &Instruction, name: &str) -> bool {
    match &instruction.command {
        Command::Arg(args) => args.iter().any(|arg| arg.name.text == name),
        _ => false,
    }
}

/// Whether a name stands anywhere in an instruction, as a word of its own.
fn mentions(instruction: &Instruction, name: &str) -> bool {
    let bodies: Vec<&str> = match &instruction.command {
        Command::Run(run) => run
            .heredocs
            .iter()
            .map(|heredoc| heredoc.body.as_str())
            .collect(),
        Command::Copy(copy) | Command::Add(copy) => {
            let bodies = copy.sources.iter().filter_map(|source| match source {
                CopySource::Heredoc(heredoc) => Some(heredoc.body.as_str()),
                CopySource::Path(_) => None,
            });
            bodies.collect()
        }
        Command::OnBuild(trigger) => vec![trigger.text.as_str()],
        _ => Vec::new(),
    };
    let mut texts = std::iter::once(instruction.original.as_str()).chain(bodies);
    texts.any(|text| has_word(text, name))
}

fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c == '_' || c.is_ascii_alphanumeric();
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}
