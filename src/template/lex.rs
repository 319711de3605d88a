//! Cuts a template into texts and the tokens of its actions.

use std::ops::Range;

use super::TemplateError;

/// A token, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
    /// Whether a space is in front of it: `.A .B` are two things, `.A.B` is one.
    pub spaced: bool,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text between actions.
    Text(String),
    /// The end of an action.
    End,
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$` or `$name`
    Variable(String),
    /// A function or keyword.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    /// A number, or a character.
    Number(String),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `|`
    Pipe,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

const SPACE: &[char] = &[' ', '\t', '\r', '\n'];

/// All tokens of a template.
pub fn lex(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut trim = false;
    while at < text.len() {
        let open = text[at..].find("{{").map_or(text.len(), |found| at + found);
        let mut body = open + 2;
        let mut piece = &text[at..open];
        if trim {
            piece = piece.trim_start_matches(SPACE);
        }
        let trims = text
            .get(body..)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| rest.starts_with(SPACE));
        if trims && open < text.len() {
            piece = piece.trim_end_matches(SPACE);
            body += 1;
        }
        if !piece.is_empty() {
            tokens.push(Token {
                kind: Kind::Text(piece.to_owned()),
                span: at..open,
                spaced: false,
            });
        }
        if open == text.len() {
            break;
        }
        let rest = text[body..].trim_start_matches(SPACE);
        (at, trim) = if rest.starts_with("/*") {
            comment(text, text.len() - rest.len())?
        } else {
            action(text, body, &mut tokens)?
        };
    }
    Ok(tokens)
}

/// Skips a comment; where the text after it begins, and whether its spaces go.
fn comment(text: &str, at: usize) -> Result<(usize, bool), TemplateError> {
    let Some(length) = text[at + 2..].find("*/") else {
        return Err(TemplateError::parsing(text, at, "unclosed comment"));
    };
    let after = at + 2 + length + 2;
    let rest = &text[after..];
    if rest.starts_with("}}") {
        return Ok((after + 2, false));
    }
    let trimmed = rest.trim_start_matches(SPACE);
    if trimmed.len() < rest.len() && trimmed.starts_with("-}}") {
        return Ok((text.len() - trimmed.len() + 3, true));
    }
    Err(TemplateError::parsing(
        text,
        at,
        "comment ends before closing delimiter",
    ))
}

/// Cuts one action; where the text after it begins, and whether its spaces go.
fn action(
    text: &str,
    mut at: usize,
    tokens: &mut Vec<Token>,
) -> Result<(usize, bool), TemplateError> {
    let start = at;
    let mut spaced = false;
    loop {
        let rest = &text[at..];
        let fail = |message: String| Err(TemplateError::parsing(text, at, message));
        let Some(letter) = rest.chars().next() else {
            return Err(TemplateError::parsing(text, start, "unclosed action"));
        };
        let trims = spaced && rest.starts_with("-}}");
        if trims || rest.starts_with("}}") {
            let length = if trims { 3 } else { 2 };
            tokens.push(Token {
                kind: Kind::End,
                span: at..at + length,
                spaced,
            });
            return Ok((at + length, trims));
        }
        if SPACE.contains(&letter) {
            at += 1;
            spaced = true;
            continue;
        }
        let name = |from: &str| {
            from.find(|c: char| c != '_' && !c.is_alphanumeric())
                .unwrap_or(from.len())
        };
        let (kind, length) = match letter {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            '|' => (Kind::Pipe, 1),
            ',' => (Kind::Comma, 1),
            '=' => (Kind::Assign, 1),
            ':' if rest.starts_with(":=") => (Kind::Declare, 2),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            '.' => match name(&rest[1..]) {
                0 => (Kind::Dot, 1),
                length => (Kind::Field(rest[1..=length].to_owned()), length + 1),
            },
            '$' => {
                let length = name(&rest[1..]) + 1;
                (Kind::Variable(rest[..length].to_owned()), length)
            }
            '`' => match rest[1..].find('`') {
                Some(length) => (Kind::Quoted(rest[1..=length].to_owned()), length + 2),
                None => return fail("unterminated raw quoted string".to_owned()),
            },
            '"' => match unquote(rest, '"') {
                Some((value, length)) => (Kind::Quoted(value), length),
                None => return fail("unterminated quoted string".to_owned()),
            },
            '\'' => match unquote(rest, '\'') {
                Some((value, length)) if value.chars().count() == 1 => {
                    let code = value.chars().next().map_or(0, u32::from);
                    (Kind::Number(code.to_string()), length)
                }
                _ => return fail("malformed character constant".to_owned()),
            },
            '+' | '-' | '0'..='9' => number(rest),
            letter if letter == '_' || letter.is_alphabetic() => {
                let length = name(rest);
                (Kind::Word(rest[..length].to_owned()), length)
            }
            letter => {
                return fail(format!(
                    "unexpected bad character U+{:04X} '{letter}' in command",
                    letter as u32
                ));
            }
        };
        tokens.push(Token {
            kind,
            span: at..at + length,
            spaced,
        });
        at += length;
        spaced = false;
    }
}

fn number(rest: &str) -> (Kind, usize) {
    let mut length = 0;
    let mut before = ' ';
    for letter in rest.chars() {
        let sign = matches!(letter, '+' | '-') && (length == 0 || matches!(before, 'e' | 'E'));
        if !(sign || letter == '.' || letter == '_' || letter.is_ascii_alphanumeric()) {
            break;
        }
        length += letter.len_utf8();
        before = letter;
    }
    (Kind::Number(rest[..length].to_owned()), length)
}

/// The text in quotes at the start of `rest`, and how long it is with them.
fn unquote(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut letters = rest.char_indices().skip(1);
    loop {
        let (at, letter) = letters.next()?;
        match letter {
            _ if letter == quote => return Some((value, at + 1)),
            '\n' => return None,
            '\\' => {
                let (_, escape) = letters.next()?;
                let mut coded = |count: usize| {
                    let hex: String = letters.by_ref().take(count).map(|(_, c)| c).collect();
                    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
                };
                let letter = match escape {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'v' => '\u{b}',
                    'f' => '\u{c}',
                    '\\' | '"' | '\'' => escape,
                    'x' => coded(2)?,
                    'u' => coded(4)?,
                    'U' => coded(8)?,
                    _ => return None,
                };
                value.push(letter);
            }
            letter => value.push(letter),
        }
    }
}
