//! `apt-get update` in a RUN of its own: the lists that it leaves are used for as long as the cache
//! keeps them, whatever a later RUN installs.

use super::programs::{apt_verb, is_simple};
use super::{Step, mounts_cache, rule};
use crate::plan::scope::Scope;

pub(super) fn check(scope: &Scope<'_>, steps: &[Step<'_>]) {
    for step in steps {
        let commands = &step.script.commands;
        let updates = |words: &Vec<String>| apt_verb(words) == Some("update");
        let leaves_lists = |words: &Vec<String>| {
            is_simple(words) || matches!(apt_verb(words), Some("update" | "clean" | "autoclean"))
        };
        let removes_lists =
            |words: &Vec<String>| words.iter().any(|word| word.contains("/var/lib/apt/lists"));
        // A cache mount may hold the lists, and then no layer does.
        let is_alone = !step.script.opaque
            && commands.iter().any(updates)
            && commands.iter().all(leaves_lists)
            && !commands.iter().any(removes_lists)
            && !mounts_cache(step.instruction);
        if is_alone {
            let instruction = step.instruction;
            scope.checks.report(
                rule::LONE_APT_UPDATE,
                instruction.span,
                &instruction.comments,
                "This RUN updates the package lists and installs nothing: a later RUN installs from lists that \
                 may be months old, or fails; put update and install into one RUN"
                    .to_owned(),
            );
        }
    }
}
