//! Lists of patterns in which the last match wins and `!` lets in again.
//!
//! A rule that matches a directory goes on matching what is in it. As the reference walks a tree,
//! a rule is only asked where it could change the outcome, and what a directory was told is handed
//! to its children; both show in a few odd lists (`!a` after a rule that matches below `a` only),
//! so here too a path is judged from its first directory down.

use std::borrow::Cow;

use super::glob::States;
use super::{Glob, PatternError};

/// The rules of an ignore file, or the `--exclude` patterns of a COPY.
#[derive(Debug, Clone, Default)]
pub struct PatternList {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    glob: Glob,
    negated: bool,
    /// Position in the list as given, in which empty patterns count too.
    position: usize,
    /// Position among those whose states go from a directory to what is in it: what has to be run
    /// over a whole path, and what may let something in again.
    run: Option<usize>,
}

/// What a directory was told: hand it to [`PatternList`] with each of its children. It knows how far
/// each rule has come in the directory's path, so that a child costs no more than its own name.
#[derive(Debug, Clone)]
pub struct Matched {
    rules: Box<[bool]>,
    excluded: bool,
    /// Of rules that have to be run over a path, in their order: after the directory's.
    states: Box<[States]>,
    /// Bytes of the directory's path.
    length: usize,
}

impl Matched {
    /// Whether the directory itself is matched.
    pub fn excluded(&self) -> bool {
        self.excluded
    }
}

impl PatternList {
    /// Reads relative patterns; blanks around one, a `/` behind it and `.` in it mean nothing, and
    /// neither does an empty one.
    ///
    /// # Errors
    /// The first pattern that is malformed.
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, PatternError> {
        let mut rules = Vec::new();
        let mut runs = 0..;
        for (position, pattern) in patterns.into_iter().enumerate() {
            let pattern = clean(pattern.as_ref().trim());
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some("") => return Err(PatternError::LoneNegation),
                Some(rest) => (true, rest),
                None => (false, &*pattern),
            };
            if !pattern.is_empty() {
                let glob = Glob::path(pattern)?;
                let run = (negated || glob.is_run()).then(|| runs.next()).flatten();
                rules.push(Rule {
                    glob,
                    negated,
                    position,
                    run,
                });
            }
        }
        Ok(Self { rules })
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule lets something in again.
    pub fn has_negations(&self) -> bool {
        self.rules.iter().any(|rule| rule.negated)
    }

    /// Whether `path` itself is matched, its directories left aside.
    pub fn matches(&self, path: impl AsRef<[u8]>) -> bool {
        self.judge(None, path.as_ref(), |_| {})
    }

    /// Whether `path`, or a directory that it is in, is matched.
    pub fn matches_or_parent(&self, path: impl AsRef<[u8]>) -> bool {
        let path = path.as_ref();
        let parent = self.parent(path);
        self.judge(parent.as_ref(), path, |_| {})
    }

    /// The positions of the rules that decided about `path` one after the other; the last one won.
    /// None: no rule matched.
    pub fn deciding(&self, path: impl AsRef<[u8]>) -> std::vec::IntoIter<usize> {
        let path = path.as_ref();
        let parent = self.parent(path);
        let mut positions = Vec::new();
        self.judge(parent.as_ref(), path, |rule| {
            positions.push(self.rules[rule].position);
        });
        positions.into_iter()
    }

    /// What the root of a tree is told: it is never matched.
    pub fn root(&self) -> Matched {
        let run = self.rules.iter().filter(|rule| rule.run.is_some());
        Matched {
            rules: vec![false; self.rules.len()].into(),
            excluded: false,
            states: run.map(|rule| rule.glob.start()).collect(),
            length: 0,
        }
    }

    /// What the directory at `path` is told, which is in the one that was told `parent`.
    pub fn enter(&self, parent: &Matched, path: impl AsRef<[u8]>) -> Matched {
        let path = path.as_ref();
        let mut rules: Box<[bool]> = vec![false; self.rules.len()].into();
        let excluded = self.judge(Some(parent), path, |rule| rules[rule] = true);
        let rest = path.get(parent.length..).unwrap_or_default();
        let run = self.rules.iter().filter(|rule| rule.run.is_some());
        let states = run.zip(&parent.states);
        Matched {
            rules,
            excluded,
            states: states
                .map(|(rule, states)| rule.glob.step(states.clone(), rest))
                .collect(),
            length: path.len(),
        }
    }

    /// Whether `path` is matched, whose parent directory was told `parent`. Allocates nothing.
    pub fn matches_in(&self, parent: &Matched, path: impl AsRef<[u8]>) -> bool {
        self.judge(Some(parent), path.as_ref(), |_| {})
    }

    /// Whether a path below the matched directory `dir` may be let in again: others need no walk.
    pub fn may_include_below(&self, dir: impl AsRef<[u8]>) -> bool {
        let dir = dir.as_ref();
        let mut negated = self.rules.iter().filter(|rule| rule.negated);
        negated.any(|rule| rule.glob.may_match_below(dir))
    }

    /// The same of a directory in one that was told `parent`.
    pub fn may_include_below_in(&self, parent: &Matched, dir: impl AsRef<[u8]>) -> bool {
        let rest = dir.as_ref().get(parent.length..).unwrap_or_default();
        let mut negated = self.rules.iter().filter(|rule| rule.negated);
        negated.any(|rule| match rule.run {
            Some(run) => {
                let states = rule.glob.step(parent.states[run].clone(), rest);
                rule.glob.accepts_below(&states)
            }
            None => true,
        })
    }

    /// What the directory that holds `path` was told; none at the top.
    fn parent(&self, path: &[u8]) -> Option<Matched> {
        let mut told = None;
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let root;
            let above = match &told {
                Some(told) => told,
                None => {
                    root = self.root();
                    &root
                }
            };
            told = Some(self.enter(above, &path[..at]));
        }
        told
    }

    fn judge(&self, parent: Option<&Matched>, path: &[u8], mut note: impl FnMut(usize)) -> bool {
        let mut excluded = false;
        if path.is_empty() || path == b"." {
            return excluded;
        }
        let matches = |rule: &Rule| match (rule.run, parent) {
            (Some(run), Some(told)) if rule.glob.is_run() => {
                let rest = path.get(told.length..).unwrap_or_default();
                let states = rule.glob.step(told.states[run].clone(), rest);
                rule.glob.accepts(&states)
            }
            _ => rule.glob.matches(path),
        };
        for (position, rule) in self.rules.iter().enumerate() {
            let matched = parent.is_some_and(|told| told.rules[position])
                || (rule.negated == excluded && matches(rule));
            if matched {
                excluded = !rule.negated;
                note(position);
            }
        }
        excluded
    }
}

/// The shortest name of the same path, as Go's `filepath.Clean` has it; nothing of nothing.
fn clean(path: &str) -> Cow<'_, str> {
    let odd = |name: &str| matches!(name, "" | "." | "..");
    if path.is_empty() || !path.split('/').any(odd) {
        return Cow::Borrowed(path);
    }
    let root = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if root => {}
            name => names.push(name),
        }
    }
    Cow::Owned(match (root, names.is_empty()) {
        (true, _) => format!("/{}", names.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => names.join("/"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(patterns: &[&str]) -> PatternList {
        PatternList::new(patterns).unwrap()
    }

    #[test]
    fn the_last_match_wins_below_matched_directories_too() {
        let cases: &[(&[&str], &str, bool)] = &[
            (&["a"], "a", true),
            (&["a"], "a/b/c", true),
            (&["a"], "b/a", false),
            (&["**/a"], "b/a/c", true),
            (&["*", "!src"], "src/main.c", false),
            (&["*", "!src", "src/*.o"], "src/main.o", true),
            (&["*", "!src/keep"], "src", true),
            (&["*", "!src/keep"], "src/keep", false),
            (&["*", "!src/keep"], "src/other", true),
            (&["!a", "a"], "a", true),
            (&["a", "!a"], "a/b", false),
            (&["a", "!a", "a/b"], "a/b", true),
            (
                &["*.md", "!README*.md", "README-secret.md"],
                "README.md",
                false,
            ),
            (
                &["*.md", "!README*.md", "README-secret.md"],
                "README-secret.md",
                true,
            ),
            (&["**", "!**/*.go"], "x/y.go", false),
            (&["", "a"], "a", true),
            (&["."], "a", false),
            (&["*"], ".", false),
            (&["a/"], "a", true),
            (&["./a/./b"], "a/b", true),
            (&["x/../a"], "a", true),
            (&[" a "], "a", true),
            (&["  ", "a"], "a", true),
            (&["/a"], "a", false),
            (&["a", "!a/"], "a", false),
        ];
        for (patterns, path, expected) in cases {
            let found = list(patterns).matches_or_parent(path);
            assert_eq!(found, *expected, "{patterns:?} on {path}");
        }
        assert!(!list(&["a"]).matches("a/b"));
        assert_eq!(
            PatternList::new(["!"]).unwrap_err(),
            PatternError::LoneNegation
        );
        assert!(PatternList::new(["a", "[a"]).is_err());
    }

    #[test]
    fn the_deciding_rules_are_named_by_their_position() {
        let rules = list(&["", "*", "!src", "src/*.o"]);
        let deciding = |path: &str| rules.deciding(path).collect::<Vec<_>>();
        assert_eq!(deciding("src/a.o"), [1, 2, 3]);
        assert_eq!(deciding("src/a.c"), [1, 2]);
        assert_eq!(deciding("doc"), [1]);
        assert_eq!(list(&["x"]).deciding("y").count(), 0);
    }

    #[test]
    fn only_directories_with_exceptions_are_worth_a_walk() {
        let rules = list(&["*", "!src/**/*.c", "!doc"]);
        assert!(rules.may_include_below("src"));
        assert!(rules.may_include_below("src/deep/er"));
        assert!(!rules.may_include_below("node_modules"));
        assert!(!rules.may_include_below("doc"));
        assert!(list(&["*", "!**/x"]).may_include_below("a/b"));
    }

    /// The rules of the reference's walk, spelled out with a fresh look at every directory.
    fn naive(list: &PatternList, path: &str) -> bool {
        let mut above = vec![false; list.rules.len()];
        let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        ends.push(path.len());
        let mut excluded = false;
        for end in ends {
            excluded = false;
            let mut here = vec![false; list.rules.len()];
            for (position, rule) in list.rules.iter().enumerate() {
                if !above[position] {
                    if rule.negated != excluded {
                        continue;
                    }
                    if !rule.glob.matches(&path.as_bytes()[..end]) {
                        continue;
                    }
                }
                here[position] = true;
                excluded = !rule.negated;
            }
            above = here;
        }
        excluded
    }

    proptest! {
        #[test]
        fn a_walk_and_a_single_question_agree(
            patterns in proptest::collection::vec("!?(\\*\\*/)?[ab*](/[ab*]){0,2}(/\\*\\*)?", 0..5),
            path in "[ab](/[ab]){0,3}",
        ) {
            let rules = PatternList::new(&patterns).unwrap();
            let expected = naive(&rules, &path);
            prop_assert_eq!(rules.matches_or_parent(&path), expected);

            let mut told = rules.root();
            for (at, _) in path.match_indices('/') {
                let below = rules.may_include_below(&path[..at]);
                for parent in [&told, &rules.root()] {
                    prop_assert_eq!(rules.may_include_below_in(parent, &path[..at]), below);
                }
                told = rules.enter(&told, &path[..at]);
                if told.excluded() && !expected {
                    prop_assert!(below);
                }
            }
            prop_assert_eq!(rules.matches_in(&told, &path), expected);
            let last = rules.deciding(&path).last();
            prop_assert_eq!(last.is_some_and(|rule| !patterns[rule].starts_with('!')), expected);
        }
    }
}
