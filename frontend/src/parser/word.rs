//! Words of an instruction's arguments, and pairs of them; quotes stay for the expansion.

use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{anychar, char};
use nom::combinator::{eof, opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::SyntaxError;
use super::line::Line;
use super::quote;
use crate::instruction::Pairs;

/// What parts a keyword from its arguments, and words without quotes from each other.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\u{b}' | '\u{c}')
}

/// The first word and what follows the blanks behind it.
pub(super) fn first(text: &str) -> (&str, Option<&str>) {
    let end = text.find(is_blank).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let rest = (!rest.is_empty()).then(|| rest.trim_start_matches(is_blank));
    (word, rest)
}

/// Words between blanks; quotes mean nothing.
pub(super) fn plain(text: &str) -> Vec<&str> {
    text.split(is_blank).filter(|w| !w.is_empty()).collect()
}

/// Words between blanks that stand neither in quotes nor behind the escape character.
pub(super) fn quoted(text: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Ok((after, word)) = quoted_word(rest, escape)
        && after.len() < rest.len()
    {
        if !word.is_empty() {
            words.push(word);
        }
        rest = after;
    }
    words
}

/// Blanks and a word. An escape character that ends the text is dropped; a quote need not be closed.
fn quoted_word(input: &str, escape: char) -> IResult<&str, &str> {
    let escaped = || (char(escape), anychar);
    let plain =
        take_while1(move |c: char| !c.is_whitespace() && c != '"' && c != '\'' && c != escape);
    let double = (
        char('"'),
        many0_count(alt((
            recognize(take_while1(move |c| c != '"' && c != escape)),
            recognize(escaped()),
        ))),
        opt(char('"')),
    );
    let single = (char('\''), take_while(|c| c != '\''), opt(char('\'')));
    let word = recognize(many0_count(alt((
        plain,
        recognize(escaped()),
        recognize(double),
        recognize(single),
    ))));
    preceded(
        take_while(char::is_whitespace),
        terminated(word, opt((char(escape), eof))),
    )
    .parse(input)
}

/// Names and values of ENV or LABEL: `name=value …`, or `name value` up to the end of the line.
pub(super) fn pairs(
    line: &Line,
    text: &str,
    instruction: &str,
    escape: char,
) -> Result<Pairs, SyntaxError> {
    let words = quoted(text, escape);
    let legacy = words.first().is_some_and(|word| !word.contains('='));
    if legacy {
        let (name, Some(value)) = first(text) else {
            let message = format!("{instruction} must have two arguments");
            return Err(SyntaxError::new(message, line.place(text))
                .with_help(format!("write {instruction} {text}=value")));
        };
        let pairs = vec![(line.word(name), line.word(value))];
        return Ok(Pairs { pairs, legacy });
    }
    let pairs = words.into_iter().map(|word| match word.split_once('=') {
        Some((name, value)) => Ok((line.word(name), line.word(value))),
        None => {
            let message = format!(
                "Syntax error - can't find = in {}. Must be of the form: name=value",
                quote(word)
            );
            Err(SyntaxError::new(message, line.place(word))
                .with_help("a value with blanks in it needs quotes"))
        }
    });
    Ok(Pairs {
        pairs: pairs.collect::<Result<_, _>>()?,
        legacy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            (" a  b ", &["a", "b"]),
            ("a=\"b c\" d", &["a=\"b c\"", "d"]),
            ("a='b \\' c", &["a='b \\'", "c"]),
            ("a=\"b \\\" c\" d", &["a=\"b \\\" c\"", "d"]),
            ("a\\ b c", &["a\\ b", "c"]),
            ("a\\'b c", &["a\\'b", "c"]),
            ("a \\", &["a"]),
            ("a\\", &["a"]),
            ("\"a\\", &["\"a"]),
            ("\"a b", &["\"a b"]),
            ("'' \"\"", &["''", "\"\""]),
            ("a\u{a0}b", &["a", "b"]),
        ];
        for (text, expected) in table {
            assert_eq!(quoted(text, '\\'), *expected, "{text:?}");
        }
        assert_eq!(quoted("a` b\\ c", '`'), ["a` b\\", "c"]);
    }

    #[test]
    fn the_first_word() {
        assert_eq!(first("a"), ("a", None));
        assert_eq!(first("a \t b c"), ("a", Some("b c")));
    }
}
