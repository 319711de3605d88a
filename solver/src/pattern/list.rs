//! Lists of patterns in which the last match wins and `!` lets in again.
//!
//! A rule that matches a directory goes on matching what is in it. As the reference walks a tree,
//! a rule is only asked where it could change the outcome, and what a directory was told is handed
//! to its children; both show in a few odd lists (`!a` after a rule that matches below `a` only),
//! so here too a path is judged from its first directory down.

use super::glob::Run;
use super::{Glob, PatternError, clean};

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
}

/// What a directory was told: hand it to [`PatternList`] with each of its children.
#[derive(Debug, Clone)]
pub struct Matched {
    rules: Box<[bool]>,
    excluded: bool,
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
        for (position, pattern) in patterns.into_iter().enumerate() {
            let pattern = match pattern.as_ref().trim() {
                "" => continue,
                pattern => clean(pattern),
            };
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some("") => return Err(PatternError::LoneNegation),
                Some(rest) => (true, rest),
                None => (false, &*pattern),
            };
            if !pattern.is_empty() {
                rules.push(Rule {
                    glob: Glob::path(pattern)?,
                    negated,
                    position,
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
        let path = path.as_ref();
        self.judge(
            None,
            path,
            |rule| self.rules[rule].glob.matches(path),
            |_| {},
        )
    }

    /// Whether `path`, or a directory that it is in, is matched.
    pub fn matches_or_parent(&self, path: impl AsRef<[u8]>) -> bool {
        self.judge_from_top(path.as_ref(), |_| {})
    }

    /// The positions of the rules that decided about `path` one after the other; the last one won.
    /// None: no rule matched.
    pub fn deciding(&self, path: impl AsRef<[u8]>) -> std::vec::IntoIter<usize> {
        let mut positions = Vec::new();
        self.judge_from_top(path.as_ref(), |rule| {
            positions.push(self.rules[rule].position);
        });
        positions.into_iter()
    }

    /// What the root of a tree is told: it is never matched.
    pub fn root(&self) -> Matched {
        Matched {
            rules: vec![false; self.rules.len()].into(),
            excluded: false,
        }
    }

    /// What the directory at `path` is told, whose parent was told `parent`.
    pub fn enter(&self, parent: &Matched, path: impl AsRef<[u8]>) -> Matched {
        let path = path.as_ref();
        let mut told = self.root();
        let matches = |rule: usize| self.rules[rule].glob.matches(path);
        told.excluded = self.judge(Some(&parent.rules), path, matches, |rule| {
            told.rules[rule] = true;
        });
        told
    }

    /// Whether `path` is matched, whose parent directory was told `parent`. Allocates nothing.
    pub fn matches_in(&self, parent: &Matched, path: impl AsRef<[u8]>) -> bool {
        let path = path.as_ref();
        let matches = |rule: usize| self.rules[rule].glob.matches(path);
        self.judge(Some(&parent.rules), path, matches, |_| {})
    }

    /// Whether a path below the matched directory `dir` may be let in again: others need no walk.
    pub fn may_include_below(&self, dir: impl AsRef<[u8]>) -> bool {
        let dir = dir.as_ref();
        let mut negated = self.rules.iter().filter(|rule| rule.negated);
        negated.any(|rule| rule.glob.may_match_below(dir))
    }

    /// Judges the directories around `path`, the first one first, and then `path`. Each rule goes
    /// over the path once, however deep it is.
    fn judge_from_top(&self, path: &[u8], note: impl FnMut(usize)) -> bool {
        let mut runs: Vec<Option<Run>> = Vec::new();
        runs.resize_with(self.rules.len(), || None);
        let mut above = vec![false; self.rules.len()];
        let mut here = above.clone();
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let dir = &path[..at];
            here.fill(false);
            let matches = |rule: usize| self.rules[rule].glob.matches_on(dir, &mut runs[rule]);
            self.judge(Some(&above), dir, matches, |rule| here[rule] = true);
            std::mem::swap(&mut above, &mut here);
        }
        let matches = |rule: usize| match &mut runs[rule] {
            // Of a rule that was not run over a directory nothing is to be saved.
            None => self.rules[rule].glob.matches(path),
            run => self.rules[rule].glob.matches_on(path, run),
        };
        self.judge(Some(&above), path, matches, note)
    }

    /// Judges `path`, about which a rule is asked by `matches`, whose directory the rules of
    /// `parent` matched.
    fn judge(
        &self,
        parent: Option<&[bool]>,
        path: &[u8],
        mut matches: impl FnMut(usize) -> bool,
        mut note: impl FnMut(usize),
    ) -> bool {
        let mut excluded = false;
        if path.is_empty() || path == b"." {
            return excluded;
        }
        for (position, rule) in self.rules.iter().enumerate() {
            let matched = parent.is_some_and(|told| told[position])
                || (rule.negated == excluded && matches(position));
            if matched {
                excluded = !rule.negated;
                note(position);
            }
        }
        excluded
    }
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
                told = rules.enter(&told, &path[..at]);
                if told.excluded() && !expected {
                    prop_assert!(rules.may_include_below(&path[..at]));
                }
            }
            prop_assert_eq!(rules.matches_in(&told, &path), expected);
            let last = rules.deciding(&path).last();
            prop_assert_eq!(last.is_some_and(|rule| !patterns[rule].starts_with('!')), expected);
        }
    }
}
