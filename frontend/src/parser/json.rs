//! JSON arrays of strings, as the reference's decoder reads them.
//!
//! Whether the rest of an instruction is the exec form hangs on its being valid JSON to the last
//! byte, so values that are refused anyway are read in full. Nesting costs no stack: what is open
//! is kept in a list, and is limited as in the reference.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while};
use nom::character::complete::{char, digit0, digit1, one_of};
use nom::combinator::{opt, recognize, verify};
use nom::{IResult, Parser};

/// Arrays and objects inside one another.
const DEPTH_LIMIT: usize = 10_000;

/// What a text is that may be an array of strings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Array<'t> {
    /// No array, or no valid JSON.
    Not,
    /// An array with something else in it, and where.
    Mixed(&'t str),
    /// Each string, decoded, and as it stands with its quotes.
    Strings(Vec<(String, &'t str)>),
}

/// Reads `text` as an array of strings.
pub(super) fn array(text: &str) -> Array<'_> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Array::Not;
    }
    let mut strings = Vec::new();
    let mut other = None;
    let read = walk(text, |depth, _, value| match value.strip_prefix('"') {
        _ if depth != 1 => {}
        Some(_) => strings.push(value),
        None => other = other.or(Some(value)),
    });
    match (read, other) {
        (None, _) => Array::Not,
        (Some(()), Some(value)) => Array::Mixed(value),
        (Some(()), None) => Array::Strings(strings.into_iter().map(|s| (decode(s), s)).collect()),
    }
}

/// The string that a JSON object has under `key`; the last of several.
pub(super) fn text_of_key(text: &str, key: &str) -> Option<String> {
    let text = blank(text);
    if !text.starts_with('{') {
        return None;
    }
    let mut found = None;
    walk(text, |depth, name, value| {
        if depth == 1 && name.is_some_and(|name| decode(name) == key) {
            found = value.starts_with('"').then(|| decode(value));
        }
    })?;
    found
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
}

/// Reads one JSON value that fills `text`, telling `visit` of each value: how deep it stands, its
/// key, and its text, which for an array or an object is its first bracket. None if it is not valid.
fn walk<'t>(text: &'t str, mut visit: impl FnMut(usize, Option<&'t str>, &'t str)) -> Option<()> {
    let mut rest = blank(text);
    let mut open: Vec<u8> = Vec::new();
    let mut key = None;
    let mut next = Next::Value;
    loop {
        let first = *rest.as_bytes().first()?;
        match (next, first) {
            (Next::Value | Next::ValueOrEnd, b'[' | b'{') => {
                visit(open.len(), key.take(), &rest[..1]);
                if open.len() == DEPTH_LIMIT {
                    return None;
                }
                open.push(first);
                rest = blank(&rest[1..]);
                next = if first == b'[' {
                    Next::ValueOrEnd
                } else {
                    Next::KeyOrEnd
                };
                continue;
            }
            (Next::ValueOrEnd, b']') | (Next::KeyOrEnd, b'}') => {
                open.pop();
                rest = &rest[1..];
            }
            (Next::CommaOrEnd, b']' | b'}') => {
                let opening = if first == b']' { b'[' } else { b'{' };
                if open.pop() != Some(opening) {
                    return None;
                }
                rest = &rest[1..];
            }
            (Next::CommaOrEnd, b',') => {
                rest = blank(&rest[1..]);
                next = if open.last() == Some(&b'[') {
                    Next::Value
                } else {
                    Next::Key
                };
                continue;
            }
            (Next::Key | Next::KeyOrEnd, _) => {
                let (after, name) = string(rest).ok()?;
                key = Some(name);
                rest = blank(blank(after).strip_prefix(':')?);
                next = Next::Value;
                continue;
            }
            (Next::Value | Next::ValueOrEnd, _) => {
                let (after, value) = scalar(rest).ok()?;
                visit(open.len(), key.take(), value);
                rest = after;
            }
            (Next::CommaOrEnd, _) => return None,
        }
        rest = blank(rest);
        next = Next::CommaOrEnd;
        if open.is_empty() {
            return rest.is_empty().then_some(());
        }
    }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '\n'])
}

fn scalar(input: &str) -> IResult<&str, &str> {
    alt((string, tag("true"), tag("false"), tag("null"), number)).parse(input)
}

/// A number that a double holds: a larger one is an error to the reference.
fn number(input: &str) -> IResult<&str, &str> {
    let digits = alt((tag("0"), recognize((one_of("123456789"), digit0))));
    let fraction = opt((char('.'), digit1));
    let exponent = opt((one_of("eE"), opt(one_of("+-")), digit1));
    verify(
        recognize((opt(char('-')), digits, fraction, exponent)),
        |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite),
    )
    .parse(input)
}

/// A string with its quotes.
fn string(input: &str) -> IResult<&str, &str> {
    let mut rest = tag("\"").parse(input)?.0;
    loop {
        rest = take_while(|c| c != '"' && c != '\\' && c >= ' ')
            .parse(rest)?
            .0;
        let escape = tag::<_, &str, nom::error::Error<&str>>("\\").parse(rest);
        let Ok((after, _)) = escape else { break };
        let (after, letter) = one_of("\"\\/bfnrtu").parse(after)?;
        rest = after;
        if letter == 'u' {
            rest = hex4(rest)?.0;
        }
    }
    let (rest, _) = tag("\"").parse(rest)?;
    Ok((rest, &input[..input.len() - rest.len()]))
}

fn hex4(input: &str) -> IResult<&str, &str> {
    use nom::bytes::complete::take_while_m_n;
    take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit()).parse(input)
}

/// The text of a valid string with its quotes. Half of a surrogate pair becomes U+FFFD.
fn decode(quoted: &str) -> String {
    let mut rest = &quoted[1..quoted.len() - 1];
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let letter = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        text.push(match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (after, c) = unicode(rest);
                rest = after;
                c
            }
            other => other as char,
        });
    }
    text.push_str(rest);
    text
}

/// What stands behind `\u` in a valid string, with the second half of a pair.
fn unicode(text: &str) -> (&str, char) {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(text).unwrap_or(0xfffd);
    let rest = &text[4..];
    if let Some(c) = char::from_u32(first) {
        return (rest, c);
    }
    let second = rest.strip_prefix("\\u").and_then(unit);
    match second {
        Some(second) if first < 0xdc00 && (0xdc00..0xe000).contains(&second) => {
            let c = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (&rest[6..], char::from_u32(c).unwrap_or('\u{fffd}'))
        }
        _ => (rest, '\u{fffd}'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Option<Vec<String>> {
        match array(text) {
            Array::Strings(strings) => Some(strings.into_iter().map(|(s, _)| s).collect()),
            _ => None,
        }
    }

    #[test]
    fn arrays_of_strings() {
        let table: &[(&str, &[&str])] = &[
            ("[]", &[]),
            (" [ ] ", &[]),
            (r#"["a"]"#, &["a"]),
            (r#"["a" , "b c"]"#, &["a", "b c"]),
            (r#"["\"\\\/\b\f\n\r\t"]"#, &["\"\\/\u{8}\u{c}\n\r\t"]),
            (r#"["\u00e9\ud83d\ude00"]"#, &["é😀"]),
            (
                r#"["\ud83dx\ude00\ud83d\u0041"]"#,
                &["\u{fffd}x\u{fffd}\u{fffd}A"],
            ),
            (r#"["é"]"#, &["é"]),
        ];
        for (text, expected) in table {
            assert_eq!(
                strings(text).as_deref(),
                Some(&expected.map_to()[..]),
                "{text}"
            );
        }
    }

    trait MapTo {
        fn map_to(&self) -> Vec<String>;
    }

    impl MapTo for &[&str] {
        fn map_to(&self) -> Vec<String> {
            self.iter().map(|s| (*s).to_owned()).collect()
        }
    }

    #[test]
    fn shell_form() {
        for text in [
            "",
            "a",
            "[",
            "['a']",
            r#"["a"] # note"#,
            r#"["a",]"#,
            r#"["a" "b"]"#,
            r#"["\d"]"#,
            r#"["\u12g4"]"#,
            "[\"a\tb\"]",
            "[a]",
            "[1e999]",
            "[01]",
            "[[a]]",
            "[}",
            "[{\"a\" 1}]",
            "[ -d x ] && y",
        ] {
            assert_eq!(array(text), Array::Not, "{text}");
        }
    }

    #[test]
    fn valid_but_not_of_strings() {
        for (text, other) in [
            ("[1]", "1"),
            (r#"["a", -2.5e+3]"#, "-2.5e+3"),
            ("[null]", "null"),
            ("[true,false]", "true"),
            (r#"[["a"]]"#, "["),
            (r#"["a",{"b":[1,{}]}]"#, "{"),
        ] {
            assert_eq!(array(text), Array::Mixed(other), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(array(&nested(10_000)), Array::Mixed("["));
        assert_eq!(array(&nested(10_001)), Array::Not);
        assert_eq!(array(&"[".repeat(1_000_000)), Array::Not);
    }
}
