//! The whole context before the dependencies: whatever file changes, they are installed again.

use super::programs::installer;
use super::{Step, mounts_cache, rule};
use crate::instruction::{Command, Copy, CopySource};
use crate::plan::paths;
use crate::plan::scope::Scope;

pub(super) fn check(scope: &Scope<'_>, steps: &[Step<'_>]) {
    let ignored = scope.request.ignored.as_ref();
    // An ignore file that names what may be seen: the whole context may be nothing but manifests.
    let is_picked = ignored.is_some_and(|rules| {
        let mut rules = rules.rules().iter();
        rules.any(|rule| matches!(rule.pattern.as_str(), "*" | "**" | "**/*"))
    });
    if is_picked {
        return;
    }
    let mut before: Vec<&str> = Vec::new();
    let mut whole = None;
    for step in steps {
        match &step.instruction.command {
            Command::Copy(copy) | Command::Add(copy) if takes_everything(copy) => {
                whole = whole.or(Some(step.instruction));
            }
            _ => {}
        }
        let installers = step.script.commands.iter();
        for found in installers.filter_map(|words| installer(words)) {
            let Some(copy) = whole else {
                before.push(found.command);
                continue;
            };
            if before.contains(&found.command) || mounts_cache(step.instruction) {
                continue;
            }
            scope.checks.report(
                rule::COPY_BEFORE_INSTALL,
                copy.span,
                &copy.comments,
                format!(
                    "{} brings every file before \"{}\", which then runs again when any of them changes; \
                     copy {} first, install, then copy the rest",
                    copy.keyword.to_uppercase(),
                    found.command,
                    found.manifests
                ),
            );
            return;
        }
    }
}

/// Whether a COPY or ADD takes all of the main context.
fn takes_everything(copy: &Copy) -> bool {
    copy.from.is_none()
        && copy.excludes.is_empty()
        && copy.sources.iter().any(|source| match source {
            CopySource::Path(word) => {
                matches!(paths::inside(&word.text).as_str(), "." | "*")
            }
            CopySource::Heredoc(_) => false,
        })
}
