//! The machine that reads a word: a stack of frames instead of functions that call each other.

use std::collections::HashSet;

use super::pattern::Pattern;
use super::{Cause, ExpandError, Expansion, Lexer, Variables};

/// What is being read.
enum Frame<'a> {
    /// Text up to `stop`, or up to the end.
    Text {
        stop: Option<char>,
        /// Escape characters stay in the result.
        raw: bool,
        out: String,
    },
    /// The inside of double quotes.
    Double { raw: bool, out: String },
    /// A `${name` whose next part is the text frame above.
    Pending { name: &'a str, part: Part },
}

/// Which part of a `${…}` is being read.
enum Part {
    /// The word after `-`, `:-`, `+`, `#` …
    Word { operator: char, colon: bool },
    /// The pattern after `/`.
    Pattern { all: bool },
    /// The replacement after the pattern.
    Replacement { all: bool, pattern: String },
}

/// Words that are being split.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    open: String,
}

impl Words {
    fn split(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() {
                self.open.push(c);
            } else if !self.open.is_empty() {
                self.done.push(std::mem::take(&mut self.open));
            }
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.done.push(self.open);
        }
        self.done
    }
}

struct Machine<'a> {
    lexer: &'a Lexer<'a>,
    variables: &'a dyn Variables,
    text: &'a str,
    position: usize,
    frames: Vec<Frame<'a>>,
    words: Option<Words>,
    result: Expansion,
    /// Names that are in `result` already.
    seen: HashSet<&'a str>,
}

/// Expands `word`; the words are there when `split`.
pub(super) fn run(
    lexer: &Lexer<'_>,
    word: &str,
    variables: &dyn Variables,
    split: bool,
) -> Result<(Expansion, Vec<String>), ExpandError> {
    let mut machine = Machine {
        lexer,
        variables,
        text: word,
        position: 0,
        frames: vec![Frame::Text {
            stop: None,
            raw: false,
            out: String::with_capacity(word.len()),
        }],
        words: split.then(Words::default),
        result: Expansion::default(),
        seen: HashSet::new(),
    };
    match machine.read() {
        Ok(()) => Ok((
            machine.result,
            machine.words.map(Words::finish).unwrap_or_default(),
        )),
        Err(cause) => Err(ExpandError {
            word: word.to_owned(),
            cause: machine.blame(cause),
            undefined: machine.result.undefined,
        }),
    }
}

impl<'a> Machine<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    /// What went wrong at the end of the word is the fault of the outermost open `${`.
    fn blame(&self, cause: Cause) -> Cause {
        if self.position < self.text.len() {
            return cause;
        }
        self.frames
            .iter()
            .find_map(|frame| match frame {
                Frame::Pending {
                    part: Part::Pattern { .. },
                    ..
                } => Some(Cause::MissingSlash),
                Frame::Pending { .. } => Some(Cause::MissingBrace),
                _ => None,
            })
            .unwrap_or(cause)
    }

    fn read(&mut self) -> Result<(), Cause> {
        loop {
            match self.frames.last() {
                Some(Frame::Text { stop, raw, .. }) => {
                    let (stop, raw) = (*stop, *raw);
                    match self.peek() {
                        None => match stop {
                            None => break,
                            Some('/') => return Err(Cause::Unmatched("/")),
                            Some(_) => return Err(Cause::Unmatched("}")),
                        },
                        Some(c) if Some(c) == stop => self.close_text()?,
                        Some(c) => self.read_text(c, raw)?,
                    }
                }
                Some(Frame::Double { raw, .. }) => {
                    let raw = *raw;
                    self.read_double(raw)?;
                }
                // A pending part always has its text above it.
                Some(Frame::Pending { .. }) | None => break,
            }
        }
        if let Some(Frame::Text { out, .. }) = self.frames.pop() {
            self.result.text = out;
        }
        Ok(())
    }

    /// One element of text that begins with `c`.
    fn read_text(&mut self, c: char, raw: bool) -> Result<(), Cause> {
        match c {
            '$' => return self.read_dollar(),
            '\'' if !self.lexer.plain_quotes => return self.read_single(),
            '"' if !self.lexer.plain_quotes => {
                self.next();
                let mut out = String::new();
                if self.lexer.keep_quotes {
                    out.push('"');
                }
                self.frames.push(Frame::Double { raw, out });
                return Ok(());
            }
            '<' => {
                // Blanks between `<<` and a heredoc's name do not separate words.
                let start = self.position;
                self.next();
                if self.peek() == Some('<') {
                    self.next();
                    while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
                        self.next();
                    }
                }
                let text = self.text;
                self.push(&text[start..self.position], false);
                return Ok(());
            }
            _ => {}
        }
        if c != self.lexer.escape {
            self.read_plain();
            return Ok(());
        }
        self.next();
        if raw {
            self.push(c.encode_utf8(&mut [0; 4]), false);
        }
        if let Some(escaped) = self.next() {
            self.push(escaped.encode_utf8(&mut [0; 4]), false);
        }
        Ok(())
    }

    /// Everything up to the next character that may mean something; that it begins with one that
    /// does not is known.
    fn read_plain(&mut self) {
        let text = self.text;
        let rest = &text[self.position..];
        let mut chars = rest.char_indices().skip(1);
        let end = chars.find(|(_, c)| {
            matches!(c, '$' | '\'' | '"' | '<' | '/' | '}') || *c == self.lexer.escape
        });
        let end = end.map_or(rest.len(), |(at, _)| at);
        self.position += end;
        self.push(&rest[..end], true);
    }

    /// Everything up to the next single quote, as it is.
    fn read_single(&mut self) -> Result<(), Cause> {
        let open = self.position;
        self.next();
        let text = self.text;
        let Some(length) = text[self.position..].find('\'') else {
            self.position = text.len();
            return Err(Cause::Unmatched("single-quote"));
        };
        let inside = self.position..self.position + length;
        self.position = inside.end + 1;
        let kept = if self.lexer.keep_quotes {
            open..self.position
        } else {
            inside
        };
        self.push(&text[kept], false);
        Ok(())
    }

    /// One element inside double quotes.
    fn read_double(&mut self, raw: bool) -> Result<(), Cause> {
        let Some(c) = self.peek() else {
            return Err(Cause::Unmatched("double-quote"));
        };
        match c {
            '"' => {
                self.next();
                if let Some(Frame::Double { mut out, .. }) = self.frames.pop() {
                    if self.lexer.keep_quotes {
                        out.push('"');
                    }
                    self.push(&out, false);
                }
            }
            '$' => self.read_dollar()?,
            _ => {
                self.next();
                let mut shown = c;
                if c == self.lexer.escape {
                    if raw {
                        self.push(c.encode_utf8(&mut [0; 4]), false);
                    }
                    match self.peek() {
                        None => return Ok(()),
                        Some(next) if matches!(next, '"' | '$') || next == self.lexer.escape => {
                            self.next();
                            shown = next;
                        }
                        Some(_) => {}
                    }
                }
                self.push(shown.encode_utf8(&mut [0; 4]), false);
            }
        }
        Ok(())
    }

    /// A `$` and what belongs to it: a value at once, or a part to be read first.
    fn read_dollar(&mut self) -> Result<(), Cause> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.read_name();
            if name.is_empty() {
                self.push("$", true);
                return Ok(());
            }
            return match self.look_up(name) {
                None if self.lexer.keep_unset => self.substitute(&format!("${name}")),
                value => self.substitute(value.unwrap_or_default()),
            };
        }
        self.next();
        match self.peek() {
            None => return Err(Cause::MissingBrace),
            Some('{' | '}' | ':') => return Err(Cause::BadSubstitution),
            Some(_) => {}
        }
        let name = self.read_name();
        let Some(first) = self.next() else {
            return Err(Cause::MissingBrace);
        };
        match first {
            '}' => {
                return match self.look_up(name) {
                    None if self.lexer.keep_unset => self.substitute(&format!("${{{name}}}")),
                    value => self.substitute(value.unwrap_or_default()),
                };
            }
            '/' => {
                let all = self.peek() == Some('/');
                if all {
                    self.next();
                }
                self.open_part(name, Part::Pattern { all }, '/', true);
                return Ok(());
            }
            _ => {}
        }
        let colon = first == ':';
        let operator = if colon {
            self.next().ok_or(Cause::MissingBrace)?
        } else {
            first
        };
        let raw = matches!(operator, '#' | '%');
        if !matches!(operator, '-' | '+' | '?' | '#' | '%') || (colon && raw) {
            let colon = if colon { ":" } else { "" };
            return Err(Cause::UnsupportedModifier(format!("{colon}{operator}")));
        }
        self.open_part(name, Part::Word { operator, colon }, '}', raw);
        Ok(())
    }

    fn open_part(&mut self, name: &'a str, part: Part, stop: char, raw: bool) {
        self.frames.push(Frame::Pending { name, part });
        self.frames.push(Frame::Text {
            stop: Some(stop),
            raw,
            out: String::new(),
        });
    }

    /// The end of a part of a `${…}` has been reached.
    fn close_text(&mut self) -> Result<(), Cause> {
        self.next();
        let (Some(Frame::Text { out: word, .. }), Some(Frame::Pending { name, part })) =
            (self.frames.pop(), self.frames.pop())
        else {
            return Ok(());
        };
        match part {
            Part::Pattern { all } => {
                self.open_part(name, Part::Replacement { all, pattern: word }, '}', true);
                Ok(())
            }
            Part::Replacement { all, pattern } => {
                let value = self.look_up(name);
                let Some(value) = value.or((!self.lexer.keep_unset).then_some("")) else {
                    return self.substitute(&format!("${{{name}/{pattern}/{word}}}"));
                };
                let replaced = Pattern::new(&pattern)?.replace(value, &word, all)?;
                self.substitute(&replaced)
            }
            Part::Word { operator, colon } => {
                let value = self.look_up(name);
                if value.is_none() && self.lexer.keep_unset {
                    let colon = if colon { ":" } else { "" };
                    return self.substitute(&format!("${{{name}{colon}{operator}{word}}}"));
                }
                let result = modify(operator, colon, name, value, word)?;
                self.substitute(&result)
            }
        }
    }

    /// A name: digits, one special parameter, or letters, digits and `_`; may be empty.
    fn read_name(&mut self) -> &'a str {
        let rest = &self.text[self.position..];
        let name = match rest.chars().next() {
            Some(c) if c.is_ascii_digit() => {
                let end = rest.find(|c: char| !c.is_ascii_digit());
                &rest[..end.unwrap_or(rest.len())]
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => &rest[..1],
            _ => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                &rest[..end.unwrap_or(rest.len())]
            }
        };
        self.position += name.len();
        name
    }

    fn look_up(&mut self, name: &'a str) -> Option<&'a str> {
        let variables: &'a dyn Variables = self.variables;
        let value = variables.get(name);
        if self.seen.insert(name) {
            match value {
                Some(_) => self.result.used.push(name.to_owned()),
                None => self.result.undefined.push(name.to_owned()),
            }
        }
        value
    }

    /// Adds what a `$` stood for; its blanks separate words unless it is quoted.
    fn substitute(&mut self, value: &str) -> Result<(), Cause> {
        self.lexer.budget.spend(value.len())?;
        self.push(value, true);
        Ok(())
    }

    /// Adds text to what is being read.
    fn push(&mut self, text: &str, may_split: bool) {
        if let ([_], Some(words)) = (self.frames.as_slice(), &mut self.words) {
            if may_split {
                words.split(text);
            } else {
                words.open.push_str(text);
            }
        }
        if let Some(Frame::Text { out, .. } | Frame::Double { out, .. }) = self.frames.last_mut() {
            out.push_str(text);
        }
    }
}

/// The value of `${name<operator>word}`.
fn modify(
    operator: char,
    colon: bool,
    name: &str,
    value: Option<&str>,
    word: String,
) -> Result<String, Cause> {
    let usable = value.filter(|value| !colon || !value.is_empty());
    match operator {
        '-' => Ok(usable.map_or(word, str::to_owned)),
        '+' => Ok(usable.map(|_| word).unwrap_or_default()),
        '?' => usable.map(str::to_owned).ok_or_else(|| {
            let what = if value.is_some() { "empty" } else { "unset" };
            Cause::Required {
                name: name.to_owned(),
                message: if word.is_empty() {
                    format!("is not allowed to be {what}")
                } else {
                    word
                },
            }
        }),
        _ => {
            let value = value.unwrap_or_default();
            let (longest, pattern) = match word.strip_prefix(operator) {
                Some(pattern) => (true, pattern),
                None => (false, word.as_str()),
            };
            let pattern = Pattern::new(pattern)?;
            if operator == '#' {
                pattern.strip_prefix(value, longest).map(str::to_owned)
            } else {
                pattern.strip_suffix(value, longest)
            }
        }
    }
}
