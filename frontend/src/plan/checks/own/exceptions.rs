//! Exceptions of the ignore file that let nothing in.
//!
//! A rule is asked about a path only where it could change the outcome, so an exception for a
//! directory counts only if the directory itself is left out, not only what is in it.

use solver::pattern::Pattern;

use super::rule;
use crate::ignore::IgnoreRules;
use crate::instruction::Text;
use crate::plan::scope::Scope;

pub(super) fn check(scope: &Scope<'_>) {
    let Some(rules) = &scope.request.ignored else {
        return;
    };
    for (position, rule) in rules.rules().iter().enumerate() {
        if let Some(path) = rule.pattern.strip_prefix('!')
            && let Some(reason) = reason(rules, position, path)
        {
            let message = format!(
                "The exception \"{}\" lets nothing in: {reason}",
                rule.written
            );
            scope.checks.report_in(
                Text::IgnoreFile,
                rule::USELESS_EXCEPTION,
                rule.span,
                &[],
                message,
            );
        }
    }
}

/// Why the exception for `path` at `position` cannot let anything in, whatever files there are;
/// none if it can, or if that cannot be told.
fn reason(rules: &IgnoreRules, position: usize, path: &str) -> Option<String> {
    if path == ".." || path.starts_with("../") {
        return Some("it leads out of the context".to_owned());
    }
    if path == "." {
        return Some("it names the context itself, which is never left out".to_owned());
    }
    let all = rules.rules();
    let is_exception = |at: usize| all[at].pattern.starts_with('!');
    let again = |at: usize| {
        format!(
            "line {}, \"{}\", leaves it out again",
            all[at].line, all[at].written
        )
    };
    if (0..position).all(is_exception) {
        let undone = (position..all.len()).any(|at| !is_exception(at));
        return Some(if undone {
            "nothing is left out above it, and the last rule that matches counts; move it down"
                .to_owned()
        } else {
            "nothing is left out above it".to_owned()
        });
    }
    if Pattern::has_meta(path) {
        // What it matches cannot be listed; a rule for everything undoes it all the same.
        let after = position + 1..all.len();
        // What is in a directory that was left out already, `*` is not asked about.
        let is_at_top = !path.contains(['/', '[']) && !path.contains("**");
        let undoing = |at: &usize| {
            let pattern = all[*at].pattern.as_str();
            matches!(pattern, "**" | "**/*") || pattern == path || pattern == "*" && is_at_top
        };
        let last = after.clone().rfind(undoing)?;
        return (!(last..all.len()).any(is_exception)).then(|| again(last));
    }
    let deciding: Vec<usize> = rules.patterns().deciding(path).collect();
    if deciding.contains(&position) {
        let last = *deciding.last()?;
        return (last > position && !is_exception(last)).then(|| again(last));
    }
    if deciding.iter().any(|at| *at < position) {
        // Another exception has let it in already.
        return None;
    }
    let matches_below = |at: &usize| {
        Pattern::with_deep_stars(&all[*at].pattern).is_ok_and(|rule| rule.may_match_below(path))
    };
    let inside = (0..position).find(|at| !is_exception(*at) && matches_below(at));
    Some(match inside {
        Some(at) => format!(
            "line {}, \"{}\", leaves out what is in \"{path}\" and not the directory; write \"!{path}/**\"",
            all[at].line, all[at].written
        ),
        None => format!("no rule above it leaves out \"{path}\""),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reasons(text: &str) -> Vec<(usize, String)> {
        let rules = IgnoreRules::parse(text.as_bytes()).unwrap();
        let each = rules.rules().iter().enumerate();
        let found = each.filter_map(|(position, rule)| {
            let path = rule.pattern.strip_prefix('!')?;
            Some((rule.line, reason(&rules, position, path)?))
        });
        found.collect()
    }

    #[test]
    fn exceptions_that_let_nothing_in() {
        for (text, line, expected) in [
            ("*\n!../x", 2, "it leads out of the context"),
            (
                "*\n!.",
                2,
                "it names the context itself, which is never left out",
            ),
            ("!a", 1, "nothing is left out above it"),
            (
                "!a\n*",
                1,
                "nothing is left out above it, and the last rule that matches counts; move it down",
            ),
            ("*\n!a\n\na", 2, "line 4, \"a\", leaves it out again"),
            ("a/b\n!a/b\n/a/", 2, "line 3, \"/a/\", leaves it out again"),
            ("*\n!a\na\n!a/b", 2, "line 3, \"a\", leaves it out again"),
            ("x\n!*.md\n**", 2, "line 3, \"**\", leaves it out again"),
            ("x\n!*.md\n*.md", 2, "line 3, \"*.md\", leaves it out again"),
            (
                "docs/*\n!docs",
                2,
                "line 1, \"docs/*\", leaves out what is in \"docs\" and not the directory; write \"!docs/**\"",
            ),
            (
                "**/*.log\n!logs",
                2,
                "line 1, \"**/*.log\", leaves out what is in \"logs\" and not the directory; write \"!logs/**\"",
            ),
            ("a\n!b", 2, "no rule above it leaves out \"b\""),
        ] {
            assert_eq!(reasons(text), [(line, expected.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn exceptions_that_may() {
        for text in [
            "*\n!a",
            "a\n!a/b",
            "docs/*\n!docs/**",
            "*.md\n!README.md\nother.md",
            "*\n!a\na/b",
            "*\n!a\n!a",
            "*\n!*/a\n*",
            // Of what was left out already the last rule is not asked.
            "*\n!a/b\na",
            "x\n!*.md\n**\n!*.md",
            "**/x\n!x",
            "a\n!*",
        ] {
            assert_eq!(reasons(text), [], "{text:?}");
        }
    }

    proptest! {
        /// Without an exception that is found to let nothing in, nothing more is left out. Less may be:
        /// it can give a later rule a reason to be asked.
        #[test]
        fn what_is_reported_lets_nothing_in(
            patterns in proptest::collection::vec("!?(\\*\\*/)?[ab*](/[ab*]){0,2}(/\\*\\*)?", 1..6),
            paths in proptest::collection::vec("[ab](/[ab]){0,3}", 8),
        ) {
            let rules = IgnoreRules::parse(patterns.join("\n").as_bytes()).unwrap();
            for (line, reason) in reasons(&patterns.join("\n")) {
                let mut rest = patterns.clone();
                rest[line - 1] = String::new();
                let without = IgnoreRules::parse(rest.join("\n").as_bytes()).unwrap();
                for path in &paths {
                    let lets_in = !rules.excludes(path) && without.excludes(path);
                    prop_assert!(!lets_in, "{} {}", path, reason);
                }
            }
        }
    }
}
