//! Instructions whose arguments are words, pairs or a command line.

use nom::bytes::complete::{tag_no_case, take_while};
use nom::sequence::preceded;
use nom::{IResult, Parser};
use solver::Span;

use super::flag::Kind;
use super::statement::{Keyword, Parts};
use super::{SyntaxError, quote, word};
use crate::instruction::{
    ArgDeclaration, Command, CommandLine, Heredoc, Pairs, Run, Stage, StageName, Warning, Word,
};

const RUN_FLAGS: &[(&str, Kind)] = &[
    ("mount", Kind::List),
    ("network", Kind::Text),
    ("security", Kind::Text),
    ("device", Kind::List),
];

/// FROM; its span and comments are the caller's to fill in.
pub(super) fn from(parts: &Parts) -> Result<Stage, SyntaxError> {
    let words = word::plain(parts.rest);
    let (base, name) = match words[..] {
        [base] => (base, None),
        [base, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            (base, Some(stage_name(parts, keyword, name)?))
        }
        _ => {
            let error = parts.error("FROM requires either one or three arguments");
            return Err(error.with_help("FROM image [AS name]"));
        }
    };
    let mut flags = parts.flags(&[("platform", Kind::Text)])?;
    Ok(Stage {
        span: parts.line.place(parts.keyword),
        keyword: parts.keyword.to_owned(),
        platform: flags.text("platform"),
        base: parts.line.word(base),
        name,
        comments: Vec::new(),
        instructions: Vec::new(),
    })
}

fn stage_name(parts: &Parts, keyword: &str, name: &str) -> Result<StageName, SyntaxError> {
    let stage = StageName {
        word: parts.line.word(name),
        keyword: parts.line.word(keyword),
    };
    let lower = stage.lower();
    let valid = lower.starts_with(|c: char| c.is_ascii_lowercase())
        && lower
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !valid {
        let message = format!(
            "invalid name for build stage: {}, name can't start with a number or contain symbols",
            quote(name)
        );
        return Err(SyntaxError::new(message, stage.word.span));
    }
    Ok(stage)
}

pub(super) fn run(parts: &Parts, heredocs: Vec<Heredoc>) -> Result<Command, SyntaxError> {
    let command = command_line(parts)?;
    let mut flags = parts.flags(RUN_FLAGS)?;
    let network = flags.raw("network");
    if let Some(mode) = &network
        && !matches!(mode.text.as_str(), "default" | "none" | "host")
    {
        let message = format!("invalid network mode {}", quote(&mode.text));
        return Err(SyntaxError::new(message, mode.span).with_help("default, none or host"));
    }
    let security = flags.raw("security");
    if let Some(mode) = &security
        && !matches!(mode.text.as_str(), "sandbox" | "insecure")
    {
        let message = format!("security {} is not valid", quote(&mode.text));
        return Err(SyntaxError::new(message, mode.span).with_help("sandbox or insecure"));
    }
    Ok(Command::Run(Box::new(Run {
        command,
        heredocs,
        mounts: flags.list("mount"),
        network,
        security,
        devices: flags.list("device"),
    })))
}

pub(super) fn cmd(parts: &Parts) -> Result<Command, SyntaxError> {
    let command = command_line(parts)?;
    parts.no_flags()?;
    Ok(Command::Cmd(command))
}

pub(super) fn entrypoint(parts: &Parts) -> Result<Command, SyntaxError> {
    let command = command_line(parts)?;
    parts.no_flags()?;
    Ok(Command::Entrypoint(command))
}

pub(super) fn shell(parts: &Parts) -> Result<Command, SyntaxError> {
    let words = parts.json()?;
    parts.no_flags()?;
    match words {
        Some(words) if !words.is_empty() => {
            Ok(Command::Shell(words.into_iter().map(|w| w.text).collect()))
        }
        None if !parts.rest.is_empty() => {
            let error = parts.error("SHELL requires the arguments to be in JSON form");
            Err(error.with_help("SHELL [\"executable\", \"parameters\"]"))
        }
        _ => parts.fail("SHELL requires at least one argument"),
    }
}

/// The rest of the line as a command. Nothing at all is an empty command for the shell.
fn command_line(parts: &Parts) -> Result<CommandLine, SyntaxError> {
    Ok(match parts.json()? {
        Some(words) => CommandLine::Exec(words.into_iter().map(|w| w.text).collect()),
        None => CommandLine::Shell(parts.rest.to_owned()),
    })
}

pub(super) fn env(parts: &Parts) -> Result<Command, SyntaxError> {
    pairs(parts, "ENV").map(Command::Env)
}

pub(super) fn label(parts: &Parts) -> Result<Command, SyntaxError> {
    pairs(parts, "LABEL").map(Command::Label)
}

fn pairs(parts: &Parts, name: &str) -> Result<Pairs, SyntaxError> {
    let pairs = word::pairs(parts.line, parts.rest, name, parts.escape)?;
    parts.no_flags()?;
    if pairs.pairs.is_empty() {
        return parts.fail(format!("{name} requires at least one argument"));
    }
    match pairs.pairs.iter().find(|(name, _)| name.text.is_empty()) {
        Some((_, value)) => Err(SyntaxError::new(
            format!("{name} names can not be blank"),
            value.span,
        )),
        None => Ok(pairs),
    }
}

pub(super) fn arg(parts: &Parts, warnings: &mut Vec<Warning>) -> Result<Command, SyntaxError> {
    let words = word::quoted(parts.rest, parts.escape);
    if words.is_empty() {
        return parts.fail("ARG requires at least one argument");
    }
    let mut declarations = Vec::with_capacity(words.len());
    for written in words {
        let (name, default) = match written.split_once('=') {
            Some((name, default)) => (name, Some(parts.line.word(default))),
            None => (written, None),
        };
        if name.is_empty() {
            let place = parts.line.place(written);
            return Err(SyntaxError::new("ARG names can not be blank", place));
        }
        declarations.push(ArgDeclaration {
            name: parts.line.word(name),
            default,
        });
    }
    parts.ignored_flags(warnings);
    Ok(Command::Arg(declarations))
}

/// The one argument of USER, WORKDIR and MAINTAINER: the rest of the line.
pub(super) fn whole(parts: &Parts, name: &str) -> Result<Word, SyntaxError> {
    if parts.rest.is_empty() {
        return parts.fail(format!("{name} requires exactly one argument"));
    }
    parts.no_flags()?;
    Ok(parts.line.word(parts.rest))
}

pub(super) fn stop_signal(
    parts: &Parts,
    warnings: &mut Vec<Warning>,
) -> Result<Command, SyntaxError> {
    if parts.rest.is_empty() {
        return parts.fail("STOPSIGNAL requires exactly one argument");
    }
    parts.ignored_flags(warnings);
    Ok(Command::StopSignal(parts.line.word(parts.rest)))
}

pub(super) fn expose(parts: &Parts) -> Result<Command, SyntaxError> {
    if parts.rest.is_empty() {
        return parts.fail("EXPOSE requires at least one argument");
    }
    parts.no_flags()?;
    let words = word::plain(parts.rest).into_iter();
    Ok(Command::Expose(
        words.map(|word| parts.line.word(word)).collect(),
    ))
}

pub(super) fn volume(parts: &Parts) -> Result<Command, SyntaxError> {
    let mut words = list(parts)?;
    if words.is_empty() {
        return parts.fail("VOLUME requires at least one argument");
    }
    parts.no_flags()?;
    for word in &mut words {
        let trimmed = word.text.trim();
        if trimmed.is_empty() {
            let message = "VOLUME specified can not be an empty string";
            return Err(SyntaxError::new(message, word.span));
        }
        if trimmed.len() < word.text.len() {
            word.text = trimmed.to_owned();
        }
    }
    Ok(Command::Volume(words))
}

/// The arguments of COPY, ADD and VOLUME: an array of strings, or words between blanks.
pub(super) fn list(parts: &Parts) -> Result<Vec<Word>, SyntaxError> {
    if let Some(words) = parts.json()? {
        return Ok(words);
    }
    let words = word::plain(parts.rest).into_iter();
    Ok(words.map(|word| parts.line.word(word)).collect())
}

/// ONBUILD keeps its text. Of the instruction in it only that is looked at which can be wrong
/// before it is known what it is for.
pub(super) fn onbuild(
    parts: &Parts,
    heredocs: &[Heredoc],
    span: Span,
) -> Result<Command, SyntaxError> {
    if parts.rest.is_empty() {
        return parts.fail("ONBUILD requires at least one argument");
    }
    let inner = Parts::split(parts.line, parts.rest, parts.escape);
    let refused = |message: String| {
        let place = parts.line.place(inner.keyword);
        Err(SyntaxError::new(message, place))
    };
    match Keyword::of(inner.keyword) {
        Some(Keyword::OnBuild) => {
            return refused("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned());
        }
        Some(Keyword::From | Keyword::Maintainer) => {
            let name = inner.keyword.to_uppercase();
            return refused(format!("{name} isn't allowed as an ONBUILD trigger"));
        }
        Some(Keyword::Env) => {
            word::pairs(parts.line, inner.rest, "ENV", parts.escape)?;
        }
        Some(Keyword::Label) => {
            word::pairs(parts.line, inner.rest, "LABEL", parts.escape)?;
        }
        Some(
            Keyword::Add
            | Keyword::Cmd
            | Keyword::Copy
            | Keyword::Entrypoint
            | Keyword::Run
            | Keyword::Shell
            | Keyword::Volume,
        ) => {
            inner.json()?;
        }
        _ => {}
    }
    parts.no_flags()?;
    // The stored text is all that follows the keyword, blanks at its end included.
    let (trigger, _) = onbuild_keyword(&parts.line.text).unwrap_or((parts.rest, ""));
    let mut text = trigger.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.body);
        text.push_str(&heredoc.name);
    }
    let start = parts.line.place(trigger).start;
    let span = if heredocs.is_empty() {
        parts.line.place(trigger)
    } else {
        Span { start, ..span }
    };
    Ok(Command::OnBuild(Word { text, span }))
}

fn onbuild_keyword(line: &str) -> IResult<&str, &str> {
    let blanks = || take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}'));
    preceded((blanks(), tag_no_case("ONBUILD")), blanks()).parse(line)
}
