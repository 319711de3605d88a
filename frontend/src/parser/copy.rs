//! COPY and ADD.

use std::collections::HashMap;

use super::flag::{Flags, Kind};
use super::heredoc;
use super::statement::Parts;
use super::{SyntaxError, command};
use crate::instruction::{Command, Copy, CopySource, Heredoc};

const COPY_FLAGS: &[(&str, Kind)] = &[
    ("chown", Kind::Text),
    ("from", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Switch),
    ("exclude", Kind::List),
    ("parents", Kind::Switch),
];

const ADD_FLAGS: &[(&str, Kind)] = &[
    ("chown", Kind::Text),
    ("chmod", Kind::Text),
    ("link", Kind::Switch),
    ("keep-git-dir", Kind::Switch),
    ("checksum", Kind::Text),
    ("unpack", Kind::Switch),
    ("exclude", Kind::List),
];

pub(super) fn copy(parts: &Parts, heredocs: Vec<Heredoc>) -> Result<Command, SyntaxError> {
    let (copy, mut flags) = read(parts, heredocs, "COPY", COPY_FLAGS)?;
    Ok(Command::Copy(Box::new(Copy {
        from: flags.text("from"),
        parents: flags.switch("parents") == Some(true),
        ..copy
    })))
}

pub(super) fn add(parts: &Parts, heredocs: Vec<Heredoc>) -> Result<Command, SyntaxError> {
    let (copy, mut flags) = read(parts, heredocs, "ADD", ADD_FLAGS)?;
    Ok(Command::Add(Box::new(Copy {
        checksum: flags.text("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
        ..copy
    })))
}

/// What both have; the flags that only one has are left.
fn read<'k>(
    parts: &Parts,
    heredocs: Vec<Heredoc>,
    name: &str,
    known: &'k [(&'static str, Kind)],
) -> Result<(Copy, Flags<'k>), SyntaxError> {
    let mut words = command::list(parts)?;
    let Some(dest) = words.pop().filter(|_| !words.is_empty()) else {
        return parts.fail(format!(
            "{name} requires at least two arguments, but only one was provided. \
             Destination could not be determined"
        ));
    };
    let mut flags = parts.flags(known)?;
    if opens_heredoc(&dest.text) {
        let message = format!("{name} cannot accept a heredoc as a destination");
        return Err(SyntaxError::new(message, dest.span));
    }
    let mut sources: Vec<CopySource> = Vec::with_capacity(words.len());
    // Of several with one name the last body is meant by all of them, and the last of the files
    // replaces the others: it alone stays. So the last comes first here.
    let mut bodies: HashMap<String, Option<Heredoc>> = heredocs
        .into_iter()
        .map(|heredoc| (heredoc.name.clone(), Some(heredoc)))
        .collect();
    for word in words.into_iter().rev() {
        let Ok(Some(head)) = heredoc::head(&word.text) else {
            sources.push(CopySource::Path(word));
            continue;
        };
        let (body, span) = match bodies.get_mut(&head.name).map(Option::take) {
            Some(Some(heredoc)) => (heredoc.body, heredoc.span),
            Some(None) => continue,
            // In an array of strings it opens nothing, and so the file is empty.
            None => (String::new(), word.span),
        };
        sources.push(CopySource::Heredoc(head.with_body(body, span)));
    }
    sources.reverse();
    let copy = Copy {
        sources,
        dest,
        from: None,
        chown: flags.text("chown"),
        chmod: flags.text("chmod"),
        link: flags.switch("link") == Some(true),
        parents: false,
        excludes: flags.list("exclude"),
        checksum: None,
        keep_git_dir: None,
        unpack: None,
    };
    Ok((copy, flags))
}

fn opens_heredoc(word: &str) -> bool {
    matches!(heredoc::head(word), Ok(Some(_)))
}
