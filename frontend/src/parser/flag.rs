//! Flags of an instruction: `--name`, `--name=value`, and `--` which ends them.
//!
//! Splits them off and holds them against a list; what a value means is the instruction's.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{anychar, char};
use nom::combinator::{opt, recognize};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::SyntaxError;
use super::line::Line;
use super::word::is_blank;
use crate::instruction::Word;

/// A flag as it stands before the arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flag<'l> {
    /// Without quotes and escape characters.
    text: String,
    /// As it stands.
    pub raw: &'l str,
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, `true` or `false`.
    Switch,
    /// A value, once.
    Text,
    /// A value, any number of times.
    List,
}

/// Splits the flags off the front of an instruction's arguments.
pub(super) fn split(arguments: &str, escape: char) -> (Vec<Flag<'_>>, &str) {
    let mut flags = Vec::new();
    let mut rest = arguments.trim_start_matches(is_blank);
    while rest.starts_with("--") {
        // A word has an end in any text, so this cannot fail; if it could, no flag would be here.
        let Ok((after, text)) = word(rest, escape) else {
            break;
        };
        let raw = &rest[..rest.len() - after.len()];
        rest = after.trim_start_matches(is_blank);
        if text == "--" {
            break;
        }
        flags.push(Flag { text, raw });
    }
    (flags, rest.trim())
}

/// Text up to a blank, without quotes and escape characters. A quote need not be closed.
fn word(input: &str, escape: char) -> IResult<&str, String> {
    let special = move |c: char| c == '"' || c == '\'' || c == escape;
    let plain = take_while1(move |c: char| !is_blank(c) && !special(c)).map(Cow::Borrowed);
    fold_many0(
        alt((
            plain,
            escaped(escape).map(Cow::Borrowed),
            quoted('"', escape).map(Cow::Owned),
            quoted('\'', escape).map(Cow::Owned),
        )),
        String::new,
        |word, part| word + &part,
    )
    .parse(input)
}

/// The character behind the escape character, which at the end of a line is nothing.
fn escaped<'t>(
    escape: char,
) -> impl Parser<&'t str, Output = &'t str, Error = nom::error::Error<&'t str>> {
    preceded(char(escape), recognize(opt(anychar)))
}

fn quoted<'t>(
    quote: char,
    escape: char,
) -> impl Parser<&'t str, Output = String, Error = nom::error::Error<&'t str>> {
    let plain = take_while1(move |c| c != quote && c != escape);
    let inside = fold_many0(
        alt((plain, escaped(escape))),
        String::new,
        |text, part: &str| text + part,
    );
    delimited(char(quote), inside, opt(char(quote)))
}

/// The flags that were given, by the list they were held against.
#[derive(Debug)]
pub(super) struct Flags<'k> {
    known: &'k [(&'static str, Kind)],
    values: Vec<Vec<Word>>,
}

impl<'k> Flags<'k> {
    /// Holds `flags` against the `known` ones.
    pub fn read(
        line: &Line,
        flags: &[Flag],
        known: &'k [(&'static str, Kind)],
    ) -> Result<Self, SyntaxError> {
        // Most instructions have none, and then there is nothing to keep.
        let lists = if flags.is_empty() { 0 } else { known.len() };
        let mut values: Vec<Vec<Word>> = vec![Vec::new(); lists];
        for flag in flags {
            let fail = |message: String| Err(SyntaxError::new(message, line.place(flag.raw)));
            let (spelled, value) = match flag.text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag.text.as_str(), None),
            };
            let name = &spelled[2..];
            let Some(at) = known.iter().position(|(known, _)| *known == name) else {
                let names = known.iter().map(|(name, _)| *name);
                let error =
                    SyntaxError::new(format!("unknown flag: {spelled}"), line.place(flag.raw));
                return Err(match crate::suggest::nearest(name, names) {
                    Some(near) => error.with_help(format!("did you mean --{near}?")),
                    None => error,
                });
            };
            let kind = known[at].1;
            if kind != Kind::List && !values[at].is_empty() {
                return fail(format!("duplicate flag specified: {spelled}"));
            }
            let text = match (kind, value) {
                (Kind::Switch, None) => "true".to_owned(),
                (Kind::Switch, Some(value)) if !value.is_empty() => {
                    let lower = value.to_lowercase();
                    if lower != "true" && lower != "false" {
                        return fail(format!(
                            "expecting boolean value for flag {spelled}, not: {value}"
                        ));
                    }
                    lower
                }
                (Kind::Text | Kind::List, Some(value)) => value.to_owned(),
                _ => return fail(format!("missing a value on flag: {spelled}")),
            };
            let raw = flag.raw.split_once('=').map_or(flag.raw, |(_, raw)| raw);
            values[at].push(Word {
                text,
                span: line.place(raw),
            });
        }
        Ok(Self { known, values })
    }

    /// All values of a flag.
    pub fn list(&mut self, name: &str) -> Vec<Word> {
        let at = self.known.iter().position(|(known, _)| *known == name);
        debug_assert!(at.is_some(), "{name} is not in the list");
        at.and_then(|at| self.values.get_mut(at))
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The value of a flag, an empty one too.
    pub fn raw(&mut self, name: &str) -> Option<Word> {
        self.list(name).pop()
    }

    /// The value of a flag. An empty one is as good as none.
    pub fn text(&mut self, name: &str) -> Option<Word> {
        self.raw(name).filter(|word| !word.text.is_empty())
    }

    /// The value of a switch, if it was given.
    pub fn switch(&mut self, name: &str) -> Option<bool> {
        self.raw(name).map(|word| word.text == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(arguments: &str) -> (Vec<String>, &str) {
        let (flags, rest) = split(arguments, '\\');
        (flags.into_iter().map(|flag| flag.text).collect(), rest)
    }

    #[test]
    fn splitting() {
        let table: &[(&str, &[&str], &str)] = &[
            ("a --b", &[], "a --b"),
            ("--a b", &["--a"], "b"),
            ("  --a=1   --b  c d ", &["--a=1", "--b"], "c d"),
            ("--a -- --b c", &["--a"], "--b c"),
            ("-- --b", &[], "--b"),
            ("--", &[], ""),
            ("--a", &["--a"], ""),
            ("-a b", &[], "-a b"),
            ("--a=\"b c\" d", &["--a=b c"], "d"),
            ("--a='b \\' c'd e", &["--a=b ' cd"], "e"),
            ("--a=b\\ c d", &["--a=b c"], "d"),
            ("--a=\"b", &["--a=b"], ""),
            ("--a=\"b\\", &["--a=b"], ""),
            ("--a=b\\", &["--a=b"], ""),
            ("--a=é\"ü\" x", &["--a=éü"], "x"),
        ];
        for (arguments, flags, rest) in table {
            let got = texts(arguments);
            assert_eq!(got.0, *flags, "{arguments:?}");
            assert_eq!(got.1, *rest, "{arguments:?}");
        }
    }
}
