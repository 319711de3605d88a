//! The comments at the top that change how the rest is read: `syntax`, `escape`, `check`.
//!
//! Reads no instruction, and does not judge what a `syntax` or a `check` says.

use nom::bytes::complete::{tag, take_while};
use nom::character::complete::{alpha1, alphanumeric0};
use nom::combinator::recognize;
use nom::sequence::{pair, terminated};
use nom::{IResult, Parser};
use solver::Span;

use super::SyntaxError;
use super::json;
use crate::instruction::{Directives, Word};

const BOM: char = '\u{feff}';

/// What stands at the top of a file.
pub(super) struct Top {
    pub directives: Directives,
    /// Where the instructions and ordinary comments begin.
    pub at: usize,
    pub errors: Vec<SyntaxError>,
}

/// Reads the directives. The first line that is none ends them.
pub(super) fn read(source: &str) -> Top {
    let mut top = Top {
        directives: Directives {
            syntax: None,
            escape: '\\',
            check: None,
        },
        at: bom(source),
        errors: Vec::new(),
    };
    if source[top.at..].starts_with("#!") {
        // Behind a shebang these two still count, though the lines are ordinary comments to all else.
        for found in Lines::new(source, after_line(source, top.at), "#") {
            match found.key.as_str() {
                "syntax" => top.directives.syntax.get_or_insert(found.value),
                "check" => top.directives.check.get_or_insert(found.value),
                _ => continue,
            };
        }
        return top;
    }
    let mut seen: Vec<String> = Vec::new();
    let mut lines = Lines::new(source, top.at, "#");
    while let Some(found) = lines.next() {
        top.at = lines.at;
        let Found { key, value, span } = found;
        if seen.contains(&key) {
            let message = format!("only one {key} parser directive can be used");
            top.errors.push(SyntaxError::new(message, span));
            continue;
        }
        match key.as_str() {
            "syntax" => top.directives.syntax = Some(value),
            "check" => top.directives.check = Some(value),
            _ => match value.text.as_str() {
                "\\" => top.directives.escape = '\\',
                "`" => top.directives.escape = '`',
                other => {
                    let message = format!("invalid escape token '{other}' does not match ` or \\");
                    top.errors.push(SyntaxError::new(message, value.span));
                }
            },
        }
        seen.push(key);
    }
    top
}

/// The frontend that a file asks for, in any of the forms in which it may: `# syntax=`, behind a
/// shebang too, `// syntax=`, or a JSON object with the key `syntax`.
///
/// A file in one of the last two forms is no Dockerfile and [`super::parse`] refuses it; whoever
/// wants to say which frontend it needs asks here first.
pub fn syntax_directive(source: &str) -> Option<Word> {
    let mut at = bom(source);
    if source[at..].starts_with("#!") {
        at = after_line(source, at);
    }
    ["#", "//"]
        .iter()
        .find_map(|mark| Lines::new(source, at, mark).find(|found| found.key == "syntax"))
        .map(|found| found.value)
        .or_else(|| {
            let value = json::text_of_key(&source[at..], "syntax")?;
            Some(Word {
                text: value,
                span: Span::from(at..source.len()),
            })
        })
}

/// Length of a byte order mark.
fn bom(source: &str) -> usize {
    if source.starts_with(BOM) {
        BOM.len_utf8()
    } else {
        0
    }
}

fn after_line(source: &str, at: usize) -> usize {
    source[at..].find('\n').map_or(source.len(), |n| at + n + 1)
}

struct Found {
    /// Lower case, one of the three.
    key: String,
    value: Word,
    /// From the key to the end of the value.
    span: Span,
}

/// The directive lines from a place on.
struct Lines<'s> {
    source: &'s str,
    at: usize,
    mark: &'static str,
}

impl<'s> Lines<'s> {
    fn new(source: &'s str, at: usize, mark: &'static str) -> Self {
        Self { source, at, mark }
    }
}

impl Iterator for Lines<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let next = after_line(self.source, self.at);
        let line = self.source[self.at..next].trim_end_matches(['\r', '\n']);
        let line = line.trim_start().strip_prefix(self.mark)?.trim_start();
        let (value, key) = key(line).ok()?;
        let key = key.to_ascii_lowercase();
        if !matches!(key.as_str(), "syntax" | "escape" | "check") || value.is_empty() {
            return None;
        }
        let trimmed = value.trim_end_matches(is_space);
        // Nothing but blanks: the last of them is the value, and will be refused as such.
        let text = if trimmed.is_empty() {
            &value[value.len() - 1..]
        } else {
            trimmed.trim_start_matches(is_space)
        };
        let offset = |part: &str| part.as_ptr().addr() - self.source.as_ptr().addr();
        let span = Span::from(offset(text)..offset(text) + text.len());
        self.at = next;
        Some(Found {
            key,
            value: Word {
                text: text.to_owned(),
                span,
            },
            span: Span::from(offset(line)..span.end),
        })
    }
}

/// `name =`; leaves the value with the blanks before it.
fn key(line: &str) -> IResult<&str, &str> {
    let name = recognize(pair(alpha1, alphanumeric0));
    terminated(name, pair(take_while(is_space), tag("="))).parse(line)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: Option<&Word>) -> Option<&str> {
        word.map(|word| word.text.as_str())
    }

    #[test]
    fn only_at_the_very_top() {
        let table = [
            ("# escape=`\nFROM a", '`'),
            ("  #escape = ` \nFROM a", '`'),
            ("\u{feff}# EsCape=`\r\nFROM a", '`'),
            ("# syntax=x\n# check=y\n# escape=`\n", '`'),
            ("\n# escape=`\nFROM a", '\\'),
            ("# a comment\n# escape=`", '\\'),
            ("# unknown=1\n# escape=`", '\\'),
            ("#!/bin/x\n# escape=`", '\\'),
            ("# escape=\n", '\\'),
            ("FROM a\n# escape=`", '\\'),
        ];
        for (source, escape) in table {
            let top = read(source);
            assert_eq!(top.directives.escape, escape, "{source:?}");
            assert_eq!(top.errors, [], "{source:?}");
        }
    }

    #[test]
    fn values_and_places() {
        let source = "# syntax = docker/dockerfile:1 x \n# check=skip=all\nFROM a";
        let top = read(source);
        let syntax = top.directives.syntax.unwrap();
        assert_eq!(syntax.text, "docker/dockerfile:1 x");
        assert_eq!(&source[syntax.span.start..syntax.span.end], syntax.text);
        assert_eq!(text(top.directives.check.as_ref()), Some("skip=all"));
        assert_eq!(&source[top.at..], "FROM a");
    }

    #[test]
    fn what_is_wrong_with_them() {
        for (source, message) in [
            (
                "# escape=^\n",
                "invalid escape token '^' does not match ` or \\",
            ),
            (
                "# escape= \n",
                "invalid escape token ' ' does not match ` or \\",
            ),
            (
                "# escape=`\n# ESCAPE=`\n",
                "only one escape parser directive can be used",
            ),
            (
                "# syntax=a\n# syntax=a\n",
                "only one syntax parser directive can be used",
            ),
        ] {
            let errors = read(source).errors;
            assert_eq!(errors.len(), 1, "{source:?}");
            assert_eq!(errors[0].message, message);
        }
    }

    #[test]
    fn syntax_in_any_form() {
        for (source, expected) in [
            ("# syntax=a\n", Some("a")),
            ("#!/usr/bin/env x\n# syntax=a\n", Some("a")),
            ("// syntax=a\n{}", Some("a")),
            ("#!x\n// check=1\n// syntax=a\n{}", Some("a")),
            ("{\"x\": [{}], \"syntax\": \"a\\n\"}", Some("a\n")),
            ("{\"syntax\": 1}", None),
            ("{\"syntax\": \"a\"", None),
            ("FROM a\n# syntax=a\n", None),
            ("", None),
        ] {
            let word = syntax_directive(source);
            assert_eq!(text(word.as_ref()), expected, "{source:?}");
        }
        let top = read("#!x\n# check=a\n# syntax=b\n");
        assert_eq!(text(top.directives.syntax.as_ref()), Some("b"));
        assert_eq!(text(top.directives.check.as_ref()), Some("a"));
    }
}
