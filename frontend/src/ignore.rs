//! The ignore file: which files of a context COPY can see.
//!
//! Reads the lines and cleans the patterns; how a pattern matches is `solver::pattern`'s. Knows no
//! file system: which file holds the rules, and the walk itself, are the caller's.

use std::borrow::Cow;

use solver::Span;
use solver::pattern::{PatternError, PatternList, clean};

/// The rules of one ignore file, in order; the last that matches wins.
///
/// Paths are relative to the context, `/`-separated and clean.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
    list: PatternList,
}

/// One rule of an ignore file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The first line is 1.
    pub(crate) line: usize,
    /// As written, without blanks around it.
    pub(crate) written: String,
    /// As it is matched: clean, with `!` in front if it lets in again.
    pub(crate) pattern: String,
    /// Where it stands.
    pub(crate) span: Span,
}

/// What is wrong with an ignore file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A pattern that means nothing.
    #[error("line {line}: {reason}")]
    Pattern {
        /// The first line is 1.
        line: usize,
        /// What is wrong with it.
        reason: PatternError,
    },
    /// Bytes that are no text.
    #[error("line {line}: not UTF-8 text")]
    Encoding {
        /// The first line is 1.
        line: usize,
    },
}

impl IgnoreRules {
    /// Reads an ignore file. A `#` begins a comment in the first column only; blanks around a
    /// pattern, a `/` before it and one behind it mean nothing.
    ///
    /// # Errors
    /// The first line that is no pattern.
    pub fn parse(bytes: &[u8]) -> Result<Self, IgnoreError> {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut rules = Vec::new();
        let mut next = bytes.len() - text.len();
        for (index, bytes) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            let start = next;
            next += bytes.len() + 1;
            if bytes.starts_with(b"#") {
                continue;
            }
            let text = std::str::from_utf8(bytes).map_err(|_| IgnoreError::Encoding { line })?;
            let written = text.trim();
            if written.is_empty() {
                continue;
            }
            let Some(pattern) = pattern(written) else {
                continue;
            };
            // One at a time, so that the line is known; each is short, so that twice is cheap.
            PatternList::new([&pattern]).map_err(|reason| IgnoreError::Pattern { line, reason })?;
            let start = start + (text.len() - text.trim_start().len());
            rules.push(Rule {
                line,
                span: Span::from(start..start + written.len()),
                written: written.to_owned(),
                pattern,
            });
        }
        let list = PatternList::new(rules.iter().map(|rule| &rule.pattern))
            .map_err(|reason| IgnoreError::Pattern { line: 0, reason })?;
        Ok(Self { rules, list })
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the file or directory at `path` is left out, itself or with a directory it is in.
    pub fn excludes(&self, path: impl AsRef<[u8]>) -> bool {
        self.list.matches_or_parent(path)
    }

    /// The rule that leaves `path` out: its line, of which the first is 1, and its text as written.
    /// None if `path` is not left out.
    pub fn deciding_rule(&self, path: impl AsRef<[u8]>) -> Option<(usize, &str)> {
        let rule = &self.rules[self.list.deciding(path).last()?];
        (!rule.pattern.starts_with('!')).then_some((rule.line, rule.written.as_str()))
    }

    /// Whether something below the directory `dir`, which is left out, may be let in again.
    pub fn may_include_below(&self, dir: impl AsRef<[u8]>) -> bool {
        self.list.may_include_below(dir)
    }

    /// Whether a rule lets something in again.
    pub fn has_negations(&self) -> bool {
        self.list.has_negations()
    }

    /// The patterns, for a walk that hands down what it learned about a directory.
    pub fn patterns(&self) -> &PatternList {
        &self.list
    }

    /// The rule at a position of [`patterns`](Self::patterns): its line, of which the first is 1,
    /// and its text as written.
    pub fn rule(&self, position: usize) -> Option<(usize, &str)> {
        let rule = self.rules.get(position)?;
        Some((rule.line, rule.written.as_str()))
    }

    /// The rules, in order.
    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules as they are applied: equal texts mean equal rules.
    pub fn identity(&self) -> String {
        let patterns: Vec<&str> = self.rules.iter().map(|r| r.pattern.as_str()).collect();
        patterns.join("\n")
    }
}

impl PartialEq for IgnoreRules {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for IgnoreRules {}

/// A pattern as it is matched: clean, relative, `!` in front if it lets in again. None if nothing
/// is left of it.
fn pattern(written: &str) -> Option<String> {
    let (mark, rest) = match written.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", written),
    };
    let rest = match rest {
        "" => Cow::Borrowed(""),
        rest => clean(rest),
    };
    let relative = match rest.strip_prefix('/') {
        Some("") | None => &*rest,
        Some(relative) => relative,
    };
    // The reference trims and cleans again what it has put together, so that `a /` is `a`, and of
    // `!/` only the mark is left.
    let pattern = format!("{mark}{relative}");
    let pattern = pattern.trim();
    (!pattern.is_empty()).then(|| clean(pattern).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_patterns() {
        for (line, expected) in [
            ("a", "a"),
            (" a \t\r", "a"),
            ("a/", "a"),
            ("/a", "a"),
            ("//a//b/./c/../", "a/b"),
            ("./a", "a"),
            ("../a", "../a"),
            ("a/..", "."),
            ("/", "/"),
            ("/..", "/"),
            ("!a", "!a"),
            ("! /a/ ", "!a"),
            ("!!a", "!!a"),
            ("a /", "a"),
            ("/ a", "a"),
            ("!/ a", "! a"),
            (" #a", "#a"),
            ("\\#a", "\\#a"),
        ] {
            let rules = IgnoreRules::parse(line.as_bytes()).unwrap();
            assert_eq!(rules.identity(), expected, "{line:?}");
        }
    }

    #[test]
    fn lines_that_say_nothing() {
        for text in ["", "\n\n", "# a", "#", "   \r\n\t", "\u{feff}# a\n", "/ /"] {
            let rules = IgnoreRules::parse(text.as_bytes()).unwrap();
            assert!(rules.is_empty(), "{text:?}");
            assert!(!rules.excludes("a"));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            (&b"a\n[a-\n"[..], "line 2: syntax error in pattern \"[a-\""),
            (b"\n\n!\n", "line 3: illegal exclusion pattern: \"!\""),
            (b"!/", "line 1: illegal exclusion pattern: \"!\""),
            (b"# \xff is fine here\ncaf\xe9", "line 2: not UTF-8 text"),
        ] {
            let error = IgnoreRules::parse(text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn the_rule_that_decides() {
        let text = "\u{feff}# first\n*\n\n!src/\n /src/*.o \n!lib/keep";
        let rules = IgnoreRules::parse(text.as_bytes()).unwrap();
        for rule in rules.rules() {
            assert_eq!(&text[rule.span.start..rule.span.end], rule.written);
        }
        assert_eq!(rules.deciding_rule("doc"), Some((2, "*")));
        assert_eq!(rules.deciding_rule("src/a.c"), None);
        assert_eq!(rules.deciding_rule("src/a.o"), Some((5, "/src/*.o")));
        assert!(rules.has_negations());
        assert!(rules.may_include_below("lib"));
        assert!(!rules.may_include_below("doc"));
    }
}
