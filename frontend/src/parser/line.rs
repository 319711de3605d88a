//! The line layer: physical lines to logical ones, with the way back to the file.
//!
//! Knows comments, continuations, the limit of a line and where a heredoc's body ends; does not
//! know what an instruction is.

use std::borrow::Cow;

use solver::Span;

use super::SyntaxError;
use crate::instruction::Word;

/// Bytes of a physical line with its line end.
const LINE_LIMIT: usize = 64 * 1024;

/// One instruction's line, continuations joined.
#[derive(Debug)]
pub(super) struct Line<'s> {
    /// From the first letter to the end of the last line; comments and blank lines between are gone.
    pub text: Cow<'s, str>,
    /// Comment lines directly above.
    pub comments: Vec<Word>,
    /// The last physical line.
    pub last: Span,
    /// Blank lines inside a continuation, each with its line end.
    pub gaps: Vec<Span>,
    /// Whether one of its lines was too long: the error is written down, the rest would be noise.
    pub broken: bool,
    first: Piece,
    /// The later ones, in order.
    pieces: Vec<Piece>,
    fixed: Option<Span>,
}

/// Text that stands in the file as it stands in the line, up to the next piece.
#[derive(Debug, Clone, Copy)]
struct Piece {
    logical: usize,
    file: usize,
}

impl Line<'_> {
    /// Where a part of [`Line::text`] stands in the file.
    pub fn place(&self, part: &str) -> Span {
        if let Some(span) = self.fixed {
            return span;
        }
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        debug_assert!(
            start <= self.text.len(),
            "{part:?} is not a part of the line"
        );
        let start = start.min(self.text.len());
        let end = (start + part.len()).min(self.text.len());
        let first = self.file_offset(start);
        let after_last = if end > start {
            self.file_offset(end - 1) + 1
        } else {
            first
        };
        Span::from(first..after_last)
    }

    /// A part of [`Line::text`] with its place.
    pub fn word(&self, part: &str) -> Word {
        Word {
            text: part.to_owned(),
            span: self.place(part),
        }
    }

    fn file_offset(&self, logical: usize) -> usize {
        let after = self.pieces.partition_point(|p| p.logical <= logical);
        let piece = match after {
            0 => self.first,
            n => self.pieces[n - 1],
        };
        piece.file + (logical - piece.logical)
    }
}

/// Where a heredoc's body stands.
pub(super) struct Body<'s> {
    pub text: &'s str,
    pub span: Span,
}

/// No line ends the heredoc.
pub(super) struct Unterminated {
    /// The first line that would have, but for blanks around it.
    pub near: Option<Span>,
}

/// Reads logical lines and heredoc bodies, front to back, each byte once.
pub(super) struct Reader<'s> {
    source: &'s str,
    at: usize,
    /// End of what was read, without its line end.
    pub read_to: usize,
    escape: u8,
    fixed: Option<Span>,
    comments: Vec<Word>,
    /// Lines that are too long.
    pub errors: Vec<SyntaxError>,
}

#[derive(Clone, Copy)]
struct Physical {
    start: usize,
    /// Without the line end.
    end: usize,
    too_long: bool,
}

impl<'s> Reader<'s> {
    /// Reads `source` from byte `at`. All places are `fixed`, if that is given.
    pub fn new(source: &'s str, at: usize, escape: char, fixed: Option<Span>) -> Self {
        Self {
            source,
            at,
            read_to: at,
            escape: if escape == '`' { b'`' } else { b'\\' },
            fixed,
            comments: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The next logical line; blank lines and comments before it are skipped.
    pub fn line(&mut self) -> Option<Line<'s>> {
        loop {
            let physical = self.physical()?;
            let whole = &self.source[physical.start..physical.end];
            let text = whole.trim_start();
            if text.starts_with('#') {
                self.comment(whole, physical);
                continue;
            }
            let (kept, open) = self.take_continuation(text);
            if kept.is_empty() && !open {
                continue;
            }
            let start = physical.end - text.len();
            let mut line = Line {
                text: Cow::Borrowed(kept),
                comments: std::mem::take(&mut self.comments),
                last: self.span(physical.start, physical.end),
                gaps: Vec::new(),
                broken: physical.too_long,
                first: Piece {
                    logical: 0,
                    file: start,
                },
                pieces: Vec::new(),
                fixed: self.fixed,
            };
            if open {
                self.join(&mut line);
            }
            return Some(line);
        }
    }

    /// Whether nothing is left.
    pub fn at_end(&self) -> bool {
        self.at >= self.source.len()
    }

    /// The place of some bytes of the file.
    pub fn span(&self, start: usize, end: usize) -> Span {
        self.fixed.unwrap_or_else(|| Span::from(start..end))
    }

    /// The lines up to one that is `name`, behind tabs if `chomp`.
    pub fn body(&mut self, name: &str, chomp: bool) -> Result<Body<'s>, Unterminated> {
        let start = self.at;
        let mut near = None;
        loop {
            let before = self.at;
            let Some(physical) = self.physical() else {
                return Err(Unterminated { near });
            };
            let text = &self.source[physical.start..physical.end];
            let candidate = if chomp {
                text.trim_start_matches('\t')
            } else {
                text
            };
            if candidate == name {
                return Ok(Body {
                    text: &self.source[start..before],
                    span: self.span(start, before),
                });
            }
            if near.is_none() && text.trim() == name {
                near = Some(self.span(physical.start, physical.end));
            }
        }
    }

    fn join(&mut self, line: &mut Line<'s>) {
        let mut text = String::from(line.text.as_ref());
        while let Some(physical) = self.physical() {
            line.last = self.span(physical.start, physical.end);
            line.broken |= physical.too_long;
            let part = &self.source[physical.start..physical.end];
            let trimmed = part.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                line.gaps.push(self.span(physical.start, self.at));
                continue;
            }
            let (kept, open) = self.take_continuation(part);
            if !kept.is_empty() {
                let piece = Piece {
                    logical: text.len(),
                    file: physical.start,
                };
                if text.is_empty() {
                    line.first = piece;
                } else {
                    line.pieces.push(piece);
                }
                text.push_str(kept);
            }
            if !open {
                break;
            }
        }
        line.text = Cow::Owned(text);
    }

    /// The next physical line.
    fn physical(&mut self) -> Option<Physical> {
        if self.at_end() {
            return None;
        }
        let start = self.at;
        let rest = &self.source[start..];
        let (with_end, too_long) = match rest.find('\n') {
            Some(at) => (&rest[..=at], at + 1 > LINE_LIMIT),
            None => (rest, rest.len() >= LINE_LIMIT),
        };
        self.at += with_end.len();
        let end = start + with_end.trim_end_matches(['\r', '\n']).len();
        self.read_to = end;
        if too_long {
            let message = format!(
                "dockerfile line greater than max allowed size of {}",
                LINE_LIMIT - 1
            );
            // The place is the line's beginning: all of it would bury the message.
            let shown = rest.floor_char_boundary(40.min(end - start));
            self.errors
                .push(SyntaxError::new(message, self.span(start, start + shown)));
        }
        Some(Physical {
            start,
            end,
            too_long,
        })
    }

    /// Notes a comment line; an empty one parts those above it from the instruction.
    fn comment(&mut self, whole: &str, physical: Physical) {
        // What follows the line's first character, which in an indented comment is a blank: the
        // reference sees no directive in such a comment either.
        let mut characters = whole.chars();
        characters.next();
        let text = characters.as_str().trim();
        if text.is_empty() {
            self.comments.clear();
            return;
        }
        let start = physical.end - characters.as_str().trim_start().len();
        self.comments.push(Word {
            text: text.to_owned(),
            span: self.span(start, start + text.len()),
        });
    }

    /// Takes the escape character off the end of a line, with the blanks behind it, and says
    /// whether the line goes on. One that is escaped itself does not count.
    fn take_continuation<'l>(&self, text: &'l str) -> (&'l str, bool) {
        let bytes = text.trim_end_matches([' ', '\t']).as_bytes();
        match bytes {
            [.., before, last] if *last == self.escape && *before != self.escape => {
                (&text[..bytes.len() - 1], true)
            }
            [only] if *only == self.escape => ("", true),
            _ => (text, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<String> {
        let mut reader = Reader::new(source, 0, '\\', None);
        std::iter::from_fn(|| reader.line())
            .map(|line| line.text.into_owned())
            .collect()
    }

    #[test]
    fn continuations_comments_and_blank_lines() {
        let table: &[(&str, &[&str])] = &[
            ("  A b  \n", &["A b  "]),
            ("A \\\n  b", &["A   b"]),
            ("A \\ \t\n  b", &["A   b"]),
            ("A \\\\\nb", &["A \\\\", "b"]),
            ("A \\\\\\\nb", &["A \\\\\\", "b"]),
            ("A \\\n# gone\n   # gone too\nb", &["A b"]),
            ("A \\\n\n \t\nCOPY", &["A COPY"]),
            ("\\\nA", &["A"]),
            ("\\\n\\\nA", &["A"]),
            ("\\", &[""]),
            ("A \\", &["A "]),
            ("A # b\r\n\r\nC\r\r\n", &["A # b", "C"]),
            ("A \\\r\nb\r\n", &["A b"]),
            ("A b\u{a0}\\\nc", &["A b\u{a0}c"]),
        ];
        for (source, expected) in table {
            assert_eq!(lines(source), *expected, "{source:?}");
        }
    }

    #[test]
    fn a_place_after_a_continuation_is_right() {
        let source = "RUN one \\\n# no\n\n  two\\\nthree";
        let mut reader = Reader::new(source, 0, '\\', None);
        let line = reader.line().unwrap();
        assert_eq!(line.text, "RUN one   twothree");
        let gap = line.gaps[0];
        assert_eq!((line.gaps.len(), &source[gap.start..gap.end]), (1, "\n"));
        for word in ["RUN", "one", "two", "three"] {
            let at = line.text.find(word).unwrap();
            let span = line.place(&line.text[at..at + word.len()]);
            assert_eq!(&source[span.start..span.end], word);
        }
        let span = line.place(&line.text[4..]);
        assert_eq!(&source[span.start..span.end], &source[4..]);
    }

    #[test]
    fn comments_above() {
        let source = "# lost\n#\n# one\n\n# two \nA\n  # b\nC";
        let mut reader = Reader::new(source, 0, '\\', None);
        let texts =
            |line: &Line| -> Vec<String> { line.comments.iter().map(|c| c.text.clone()).collect() };
        assert_eq!(texts(&reader.line().unwrap()), ["one", "two"]);
        let second = reader.line().unwrap();
        assert_eq!(texts(&second), ["# b"]);
        let span = second.comments[0].span;
        assert_eq!(&source[span.start..span.end], "# b");
    }

    #[test]
    fn the_limit_counts_a_line_with_its_end() {
        let line = |n: usize, end: &str| format!("A{}{end}", "x".repeat(n - 1 - end.len()));
        for (source, ok) in [
            (line(65536, "\n"), true),
            (line(65537, "\n"), false),
            (line(65536, "\r\n"), true),
            (line(65535, ""), true),
            (line(65536, ""), false),
        ] {
            let mut reader = Reader::new(&source, 0, '\\', None);
            let broken = reader.line().unwrap().broken;
            assert_eq!(!broken, ok, "{}", source.len());
            assert_eq!(reader.errors.is_empty(), ok);
        }
    }
}
