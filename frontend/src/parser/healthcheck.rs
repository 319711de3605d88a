//! HEALTHCHECK.

use super::duration;
use super::flag::{Flags, Kind};
use super::statement::Parts;
use super::{SyntaxError, quote};
use crate::instruction::{Command, CommandLine, Healthcheck, Warning};

const FLAGS: &[(&str, Kind)] = &[
    ("interval", Kind::Text),
    ("timeout", Kind::Text),
    ("start-period", Kind::Text),
    ("start-interval", Kind::Text),
    ("retries", Kind::Text),
];

/// Nanoseconds; a shorter time is an error.
const SHORTEST: i64 = 1_000_000;

pub(super) fn read(parts: &Parts, warnings: &mut Vec<Warning>) -> Result<Command, SyntaxError> {
    let end = parts.rest.find(char::is_whitespace);
    let (kind, rest) = parts.rest.split_at(end.unwrap_or(parts.rest.len()));
    let arguments = Parts {
        line: parts.line,
        escape: parts.escape,
        keyword: parts.keyword,
        flags: Vec::new(),
        rest: rest.trim_start(),
    };
    let words = arguments.json()?;
    match kind.to_uppercase().as_str() {
        "" => parts.fail("HEALTHCHECK requires at least one argument"),
        "NONE" => {
            let empty = arguments.rest.is_empty() || words.is_some_and(|words| words.is_empty());
            if !empty {
                return parts.fail("HEALTHCHECK NONE takes no arguments");
            }
            parts.ignored_flags(warnings);
            Ok(Command::Healthcheck(Box::new(Healthcheck {
                command: None,
                interval: 0,
                timeout: 0,
                start_period: 0,
                start_interval: 0,
                retries: 0,
            })))
        }
        "CMD" => {
            let mut flags = parts.flags(FLAGS)?;
            let command = match words {
                Some(words) => CommandLine::Exec(words.into_iter().map(|w| w.text).collect()),
                None => CommandLine::Shell(arguments.rest.to_owned()),
            };
            if matches!(&command, CommandLine::Exec(words) if words.is_empty())
                || matches!(&command, CommandLine::Shell(text) if text.is_empty())
            {
                return parts.fail("Missing command after HEALTHCHECK CMD");
            }
            Ok(Command::Healthcheck(Box::new(Healthcheck {
                command: Some(command),
                interval: time(&mut flags, "interval")?,
                timeout: time(&mut flags, "timeout")?,
                start_period: time(&mut flags, "start-period")?,
                start_interval: time(&mut flags, "start-interval")?,
                retries: retries(&mut flags)?,
            })))
        }
        other => {
            parts.flags(FLAGS)?;
            let message = format!("Unknown type {} in HEALTHCHECK (try CMD)", quote(other));
            Err(SyntaxError::new(message, parts.line.place(kind)))
        }
    }
}

fn time(flags: &mut Flags, name: &str) -> Result<i64, SyntaxError> {
    let Some(word) = flags.text(name) else {
        return Ok(0);
    };
    let time = duration::nanoseconds(&word.text).map_err(|m| SyntaxError::new(m, word.span))?;
    if time != 0 && time < SHORTEST {
        let message = format!("Interval {} cannot be less than 1ms", quote(name));
        return Err(SyntaxError::new(message, word.span));
    }
    Ok(time)
}

fn retries(flags: &mut Flags) -> Result<i64, SyntaxError> {
    let Some(word) = flags.text("retries") else {
        return Ok(0);
    };
    let message = match word.text.parse::<i32>() {
        Ok(number) if number >= 0 => return Ok(i64::from(number)),
        Ok(number) => format!("--retries cannot be negative ({number})"),
        Err(error) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let why = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.ParseInt: parsing {}: {why}", quote(&word.text))
        }
    };
    Err(SyntaxError::new(message, word.span))
}
