//! Heredocs: which a line opens, and their bodies.

use nom::bytes::complete::{tag, take_while};
use nom::character::complete::{char, digit0};
use nom::combinator::{map, opt};
use nom::{IResult, Parser};

use super::SyntaxError;
use super::lex::{self, Keep, Unbalanced};
use super::line::{Line, Reader};
use crate::instruction::{CommandLine, Heredoc, Run};

/// What opens a heredoc: `[descriptor]<<[-]WORD`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub name: String,
    pub descriptor: u32,
    pub expand: bool,
    pub chomp: bool,
}

impl Head {
    /// The heredoc without a body.
    pub fn with_body(self, body: String, span: solver::Span) -> Heredoc {
        Heredoc {
            name: self.name,
            descriptor: self.descriptor,
            expand: self.expand,
            chomp: self.chomp,
            body,
            span,
        }
    }
}

/// Reads a whole word as what opens a heredoc.
pub(super) fn head(word: &str) -> Result<Option<Head>, Unbalanced> {
    let Ok((name, (descriptor, chomp))) = opening(word) else {
        return Ok(None);
    };
    if name.is_empty() || name.contains('<') {
        return Ok(None);
    }
    let lexed = |quotes| {
        let keep = Keep {
            quotes,
            escapes: false,
        };
        lex::words(name, keep)
    };
    let [cooked] = &lexed(false)?[..] else {
        return Ok(None);
    };
    // A quote that was taken off says that the body is not to be expanded.
    let count = |text: &str| text.matches(['\'', '"']).count();
    let raw: usize = lexed(true)?.iter().map(|word| count(word)).sum();
    Ok(Some(Head {
        expand: count(cooked) == raw,
        name: cooked.clone(),
        descriptor,
        chomp,
    }))
}

/// `[descriptor]<<[-]` and blanks.
fn opening(word: &str) -> IResult<&str, (u32, bool)> {
    let descriptor = map(digit0, |digits: &str| match digits {
        "" => 0,
        digits => digits.parse().unwrap_or(u32::MAX),
    });
    let chomp = map(opt(char('-')), |dash| dash.is_some());
    let blanks = take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}'));
    let (rest, (descriptor, _, chomp, _)) = (descriptor, tag("<<"), chomp, blanks).parse(word)?;
    Ok((rest, (descriptor, chomp)))
}

/// Reads the bodies of the heredocs that a line opens.
pub(super) fn read(reader: &mut Reader, line: &Line) -> Result<Vec<Heredoc>, SyntaxError> {
    if !line.text.contains("<<") {
        return Ok(Vec::new());
    }
    let keep = Keep {
        quotes: true,
        escapes: true,
    };
    // A line whose quotes do not balance opens none: the shell will say what it thinks of it.
    let words = lex::words(&line.text, keep).unwrap_or_default();
    let mut heredocs = Vec::new();
    for word in words {
        let head = head(&word).map_err(|Unbalanced| {
            let message = format!("failed to process {word:?}: the name of a heredoc is not valid");
            SyntaxError::new(message, line.place(&line.text))
        })?;
        let Some(head) = head else { continue };
        match reader.body(&head.name, head.chomp) {
            Ok(body) => heredocs.push(head.with_body(body.text.to_owned(), body.span)),
            Err(unterminated) => {
                let place = unterminated.near.unwrap_or_else(|| line.place(&line.text));
                let help = match unterminated.near {
                    Some(_) => format!("`{}` ends it only without blanks around it", head.name),
                    None => format!("no line after it is just `{}`", head.name),
                };
                return Err(SyntaxError::new("unterminated heredoc", place).with_help(help));
            }
        }
    }
    Ok(heredocs)
}

impl Run {
    /// The heredoc that is all of the command, and so a script: `RUN <<EOF` and nothing else.
    pub fn script(&self) -> Option<&Heredoc> {
        let CommandLine::Shell(text) = &self.command else {
            return None;
        };
        let first = self.heredocs.first()?;
        head(text).ok().flatten().map(|_| first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let table = [
            ("<<EOF", Some(("EOF", 0, true, false))),
            ("<<-EOF", Some(("EOF", 0, true, true))),
            ("3<< EOF", Some(("EOF", 3, true, false))),
            ("<<'EOF'", Some(("EOF", 0, false, false))),
            ("<<\"E F\"", Some(("E F", 0, false, false))),
            ("<<E'O'F", Some(("EOF", 0, false, false))),
            ("<<E\\'F", Some(("E'F", 0, true, false))),
            ("99999999999<<EOF", Some(("EOF", u32::MAX, true, false))),
            ("<<3))", Some(("3))", 0, true, false))),
            ("<<", None),
            ("<<-", None),
            ("<<''", None),
            ("<<<EOF", None),
            ("<<EOF bash", None),
            ("<<A <<B", None),
            ("x<<EOF", None),
        ];
        for (word, expected) in table {
            let head = head(word).unwrap();
            let got = head
                .as_ref()
                .map(|h| (h.name.as_str(), h.descriptor, h.expand, h.chomp));
            assert_eq!(got, expected, "{word}");
        }
        assert_eq!(head("<<'EOF"), Err(Unbalanced));
    }
}
