//! One logical line to one instruction: its keyword, its flags, and who reads the rest.

use solver::Span;

use super::flag::{self, Flag, Flags, Kind};
use super::json::{self, Array};
use super::line::{Line, Reader};
use super::{SyntaxError, command, copy, healthcheck, heredoc, suggest, word};
use crate::instruction::{Command, Heredoc, Instruction, Stage, Text, Warning, Word};

/// What a line says.
pub(super) enum Statement {
    From(Stage),
    Instruction(Instruction),
}

/// The instructions. What each is called is in [`KEYWORDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
}

const KEYWORDS: [(Keyword, &str); 18] = [
    (Keyword::Add, "ADD"),
    (Keyword::Arg, "ARG"),
    (Keyword::Cmd, "CMD"),
    (Keyword::Copy, "COPY"),
    (Keyword::Entrypoint, "ENTRYPOINT"),
    (Keyword::Env, "ENV"),
    (Keyword::Expose, "EXPOSE"),
    (Keyword::From, "FROM"),
    (Keyword::Healthcheck, "HEALTHCHECK"),
    (Keyword::Label, "LABEL"),
    (Keyword::Maintainer, "MAINTAINER"),
    (Keyword::OnBuild, "ONBUILD"),
    (Keyword::Run, "RUN"),
    (Keyword::Shell, "SHELL"),
    (Keyword::StopSignal, "STOPSIGNAL"),
    (Keyword::User, "USER"),
    (Keyword::Volume, "VOLUME"),
    (Keyword::Workdir, "WORKDIR"),
];

impl Keyword {
    pub fn of(text: &str) -> Option<Self> {
        KEYWORDS
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(keyword, _)| *keyword)
    }
}

/// The parts of one logical line.
pub(super) struct Parts<'l, 's> {
    pub line: &'l Line<'s>,
    pub escape: char,
    /// As its letters were written.
    pub keyword: &'l str,
    pub flags: Vec<Flag<'l>>,
    /// The arguments, without blanks around them.
    pub rest: &'l str,
}

impl<'l, 's> Parts<'l, 's> {
    /// Splits `text`, a part of `line`.
    pub fn split(line: &'l Line<'s>, text: &'l str, escape: char) -> Self {
        let (keyword, rest) = word::first(text.trim());
        let (flags, rest) = match rest {
            Some(rest) => flag::split(rest, escape),
            None => (Vec::new(), &keyword[keyword.len()..]),
        };
        Self {
            line,
            escape,
            keyword,
            flags,
            rest,
        }
    }

    /// An error about all of the line.
    pub fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(self.error(message))
    }

    /// An error about all of the line.
    pub fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(message, self.line.place(self.line.text.trim()))
    }

    /// The flags, held against the `known` ones.
    pub fn flags<'k>(&self, known: &'k [(&'static str, Kind)]) -> Result<Flags<'k>, SyntaxError> {
        Flags::read(self.line, &self.flags, known)
    }

    /// Refuses any flag.
    pub fn no_flags(&self) -> Result<(), SyntaxError> {
        self.flags(&[]).map(|_| ())
    }

    /// What the reference silently passes over, for a warning.
    pub fn ignored_flags(&self, warnings: &mut Vec<Warning>) {
        if let Some(flag) = self.flags.first() {
            warnings.push(Warning {
                rule: "IgnoredFlag",
                message: format!("{} has no effect on this {}", flag.raw, self.keyword),
                span: self.line.place(flag.raw),
                text: Text::Dockerfile,
            });
        }
    }

    /// The arguments as an array of strings; None if they are no valid JSON array.
    pub fn json(&self) -> Result<Option<Vec<Word>>, SyntaxError> {
        match json::array(self.rest) {
            Array::Not => Ok(None),
            Array::Strings(strings) => {
                let word = |(text, raw)| Word {
                    text,
                    span: self.line.place(raw),
                };
                Ok(Some(strings.into_iter().map(word).collect()))
            }
            Array::Mixed(value) => {
                let message =
                    "when using JSON array syntax, arrays must be comprised of strings only";
                Err(SyntaxError::new(message, self.line.place(value))
                    .with_help("put it in double quotes"))
            }
        }
    }

    /// Whether it may open heredocs.
    fn takes_heredocs(&self, keyword: Option<Keyword>) -> bool {
        matches!(keyword, Some(Keyword::Add | Keyword::Copy | Keyword::Run))
            && self.line.text.contains("<<")
            && json::array(self.rest) == Array::Not
    }
}

/// Reads a line, and the heredocs that it opens. None if the line is broken.
pub(super) fn read(
    reader: &mut Reader,
    mut line: Line,
    escape: char,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Statement>, SyntaxError> {
    if line.broken {
        return Ok(None);
    }
    let comments = std::mem::take(&mut line.comments);
    let line = &line;
    let parts = Parts::split(line, &line.text, escape);
    let keyword = Keyword::of(parts.keyword);
    let opens = match keyword {
        Some(Keyword::OnBuild) => {
            let inner = Parts::split(line, parts.rest, escape);
            inner.takes_heredocs(Keyword::of(inner.keyword))
        }
        _ => parts.takes_heredocs(keyword),
    };
    let heredocs = if opens {
        heredoc::read(reader, line)?
    } else {
        Vec::new()
    };
    let start = line.place(parts.keyword).start;
    let span = reader.span(start, reader.read_to);
    let Some(keyword) = keyword else {
        return Err(unknown(&parts));
    };
    if keyword == Keyword::From {
        let mut stage = command::from(&parts)?;
        stage.span = span;
        stage.comments = comments;
        return Ok(Some(Statement::From(stage)));
    }
    let command = command(keyword, &parts, heredocs, span, warnings)?;
    Ok(Some(Statement::Instruction(Instruction {
        span,
        keyword: parts.keyword.to_owned(),
        original: line.text.trim().to_owned(),
        comments,
        command,
    })))
}

fn command(
    keyword: Keyword,
    parts: &Parts,
    heredocs: Vec<Heredoc>,
    span: Span,
    warnings: &mut Vec<Warning>,
) -> Result<Command, SyntaxError> {
    match keyword {
        Keyword::Add => copy::add(parts, heredocs),
        Keyword::Arg => command::arg(parts, warnings),
        Keyword::Cmd => command::cmd(parts),
        Keyword::Copy => copy::copy(parts, heredocs),
        Keyword::Entrypoint => command::entrypoint(parts),
        Keyword::Env => command::env(parts),
        Keyword::Expose => command::expose(parts),
        Keyword::Healthcheck => healthcheck::read(parts, warnings),
        Keyword::Label => command::label(parts),
        Keyword::Maintainer => command::whole(parts, "MAINTAINER").map(Command::Maintainer),
        Keyword::OnBuild => command::onbuild(parts, &heredocs, span),
        Keyword::Run => command::run(parts, heredocs),
        Keyword::Shell => command::shell(parts),
        Keyword::StopSignal => command::stop_signal(parts, warnings),
        Keyword::User => command::whole(parts, "USER").map(Command::User),
        Keyword::Volume => command::volume(parts),
        Keyword::Workdir => command::whole(parts, "WORKDIR").map(Command::Workdir),
        Keyword::From => parts.fail("FROM begins a stage"),
    }
}

fn unknown(parts: &Parts) -> SyntaxError {
    let written = parts.keyword;
    // A line of a binary or of a whole script on one line: its beginning is enough.
    let shown = &written[..written.floor_char_boundary(60)];
    let message = format!("unknown instruction: {shown}");
    let error = SyntaxError::new(message, parts.line.place(shown));
    let names = KEYWORDS.iter().map(|(_, name)| *name);
    if shown.len() == written.len()
        && let Some(name) = crate::suggest::nearest(&written.to_uppercase(), names)
    {
        let name = suggest::in_case_of(written, name);
        return error.with_help(format!("did you mean {name}?"));
    }
    if matches!(written.as_bytes(), [b'/', b'/', ..] | [b'{', ..]) {
        return error.with_help("a comment begins with #");
    }
    error
}
