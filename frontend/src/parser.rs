//! Text to tree; all errors of a file at once.
//!
//! Two layers. The line layer ([`mod@line`], [`heredoc`], [`directive`]) makes logical lines out of
//! physical ones and knows the way back to the file; inside one logical line nom reads what the
//! instruction says ([`statement`], [`command`] and those below them). What the text means, for a
//! stage, an image or a variable, is not known here.
//!
//! Every byte is read a bounded number of times and nothing that nests costs stack, so that any
//! text is answered in time linear in its length.

mod command;
mod copy;
mod directive;
mod duration;
mod flag;
mod healthcheck;
mod heredoc;
mod json;
mod lex;
mod line;
mod source;
mod statement;
mod suggest;
mod word;

use solver::Span;

use crate::instruction::{Command, Dockerfile, Instruction, Text, Warning};
pub use directive::syntax_directive;
use line::Reader;
pub use source::{SOURCE_LIMIT, decode};
use statement::Statement;

/// Errors after which the rest of a file is not read: it is no Dockerfile.
const ERROR_LIMIT: usize = 100;

/// One thing that is wrong with a Dockerfile's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong, in the reference's words where it has some.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What was probably meant.
    pub help: Option<String>,
}

impl SyntaxError {
    fn new(message: impl Into<String>, span: Span) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
        }
    }

    fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// Reads a Dockerfile. Linear in its length; never panics.
///
/// # Errors
/// Every syntax error of the file, in order; of a file with more than a hundred, the first hundred.
pub fn parse(source: &str) -> Result<Dockerfile, Vec<SyntaxError>> {
    if source.is_empty() {
        return Err(vec![source::empty()]);
    }
    let top = directive::read(source);
    let escape = top.directives.escape;
    let mut reader = Reader::new(source, top.at, escape, None);
    let mut errors = top.errors;
    let mut dockerfile = Dockerfile {
        directives: top.directives,
        global_args: Vec::new(),
        stages: Vec::new(),
        gaps: Vec::new(),
        warnings: Vec::new(),
    };
    let mut blank = true;
    let mut early = None;
    while let Some(line) = reader.line() {
        blank = false;
        if !line.gaps.is_empty() {
            dockerfile.gaps.extend_from_slice(&line.gaps);
            dockerfile.warnings.push(Warning {
                rule: "NoEmptyContinuation",
                message: "Empty continuation line".to_owned(),
                span: line.last,
                text: Text::Dockerfile,
            });
        }
        match statement::read(&mut reader, line, escape, &mut dockerfile.warnings) {
            Ok(Some(Statement::From(stage))) => dockerfile.stages.push(stage),
            Ok(Some(Statement::Instruction(instruction))) => {
                let is_arg = matches!(instruction.command, Command::Arg(_));
                match dockerfile.stages.last_mut() {
                    Some(stage) => stage.instructions.push(instruction),
                    None if is_arg => dockerfile.global_args.push(instruction),
                    None => early = early.or(Some(instruction.span)),
                }
            }
            // A line that was too long; its error is the reader's.
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
        if errors.len() >= ERROR_LIMIT {
            break;
        }
    }
    errors.append(&mut reader.errors);
    if let Some(span) = early {
        let error = SyntaxError::new("no build stage in current context", span);
        errors.push(error.with_help("only ARG may stand before the first FROM"));
    }
    if errors.is_empty() && dockerfile.stages.is_empty() {
        let end = reader.span(reader.read_to, reader.read_to);
        errors.push(if blank {
            SyntaxError::new("file with no instructions", end)
        } else {
            SyntaxError::new("dockerfile contains no stages to build", end)
                .with_help("a stage begins with FROM")
        });
    }
    if errors.is_empty() {
        return Ok(dockerfile);
    }
    errors.sort_by_key(|error| error.span);
    if errors.len() >= ERROR_LIMIT {
        errors.truncate(ERROR_LIMIT);
        let last = errors.last().map_or(reader.span(0, 0), |error| error.span);
        errors.push(SyntaxError::new("too many errors", last));
    }
    Err(errors)
}

/// Reads an ONBUILD trigger as it is stored: the text of one instruction, heredoc bodies included.
/// Its escape character is a backslash, whatever that of the file was.
///
/// # Errors
/// The first thing that is wrong with it. All places, in the instruction too, are `span`: the
/// trigger may come from an image, and then it has no place of its own.
pub fn parse_trigger(text: &str, span: Span) -> Result<Instruction, SyntaxError> {
    let mut reader = Reader::new(text, 0, '\\', Some(span));
    let mut found = None;
    let mut warnings = Vec::new();
    while let Some(line) = reader.line() {
        if found.is_some() {
            let message = "onbuild trigger should be a single expression";
            return Err(SyntaxError::new(message, span));
        }
        found = statement::read(&mut reader, line, '\\', &mut warnings)?;
        if let Some(error) = reader.errors.pop() {
            return Err(error);
        }
    }
    match found {
        Some(Statement::Instruction(instruction)) => Ok(instruction),
        Some(Statement::From(stage)) => {
            let keyword = stage.keyword.to_uppercase();
            let message = format!("{keyword} isn't allowed as an ONBUILD trigger");
            Err(SyntaxError::new(message, span))
        }
        None => Err(SyntaxError::new("file with no instructions", span)),
    }
}

/// A text in quotes, as Go's `%q` shows it.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers() {
        let span = Span { start: 3, end: 9 };
        let read = |text: &str| parse_trigger(text, span);
        let run = read("RUN <<-EOF\n\tbody\nEOF").unwrap();
        assert_eq!(run.span, span);
        let Command::Run(run) = run.command else {
            panic!("not RUN: {run:?}");
        };
        let script = run.script().unwrap();
        assert_eq!((script.content().as_ref(), script.span), ("body\n", span));
        for (text, message) in [
            (
                "RUN a\nRUN b",
                "onbuild trigger should be a single expression",
            ),
            ("from a", "FROM isn't allowed as an ONBUILD trigger"),
            ("RUNN a", "unknown instruction: RUNN"),
            (
                "COPY a",
                "COPY requires at least two arguments, but only one was provided. \
                 Destination could not be determined",
            ),
            ("RUN <<EOF", "unterminated heredoc"),
            ("# a", "file with no instructions"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.message.as_str(), error.span), (message, span));
        }
    }

    #[test]
    fn what_is_no_dockerfile_is_given_up() {
        let errors = parse(&"what\n".repeat(1000)).unwrap_err();
        assert_eq!(errors.len(), ERROR_LIMIT + 1);
        assert_eq!(errors[ERROR_LIMIT].message, "too many errors");
        assert_eq!(parse(&"what\n".repeat(99)).unwrap_err().len(), 99);
    }
}
