//! `cp`: files between a container and the host, or a tar.

use std::io::{BufWriter, Write};
use std::path::Path;

use cache::Store;
use image::compress::Decoder;
use rustix::fs::FileType;

use crate::cli::container::CopyArgs;
use crate::containers::{find, root};
use crate::copy::{
    CopyError, Owners, Side, Source, There, copy, pack, place, rule, rule::says_directory,
};
use crate::export::{Destination, unwritable};
use crate::home::Home;
use crate::report::{Class, Failure};

/// Copies from a container or into one.
pub fn run(args: &CopyArgs, home: &Home) -> anyhow::Result<u8> {
    match (End::of(&args.source), End::of(&args.destination)) {
        (End::Container(_, path), _) | (_, End::Container(_, path)) if path.is_empty() => {
            return Err(refused("bad parameter: path cannot be empty").into());
        }
        (End::Container(name, path), End::Host(to)) => out(args, home, name, &path, to)?,
        (End::Host(from), End::Container(name, path)) => into(args, home, from, name, &path)?,
        (End::Container(..), End::Container(..)) => {
            return Err(refused("copying between containers is not supported").into());
        }
        (End::Host(_), End::Host(_)) => {
            return Err(refused("must specify at least one container source").into());
        }
    }
    Ok(0)
}

/// One end of the copy.
enum End<'a> {
    /// The name of a container, and an absolute path in it.
    Container(&'a str, String),
    /// A path of the host, or `-`.
    Host(&'a str),
}

impl<'a> End<'a> {
    fn of(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((name, path)) if !text.starts_with(['/', '.']) && !name.is_empty() => {
                let path = match path {
                    "" => String::new(),
                    path => format!("/{}", path.trim_start_matches('/')),
                };
                Self::Container(name, path)
            }
            _ => Self::Host(text),
        }
    }
}

fn out(args: &CopyArgs, home: &Home, name: &str, path: &str, to: &str) -> Result<(), Failure> {
    let destination = absolute(to)?;
    let store = home.enter_and_open()?;
    let container = open(&store, name)?;
    let side = &container.side;
    let follow = args.follow_link || says_directory(path);
    let stat = side.stat(path, follow).map_err(|error| failure(&error))?;
    let Some(stat) = stat else {
        return Err(missing(path, name));
    };
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if !is_dir && says_directory(path) {
        return Err(refused(&format!(
            "{path} in container {name} is not a directory"
        )));
    }
    let source = Source::of(path, is_dir);
    if to == "-" {
        let mut destination = Destination::open(None)?;
        let written = {
            let mut tar = BufWriter::with_capacity(1 << 18, &mut destination);
            // `dir/.` is `./` and what is in it, as docker has it.
            let name = match source.name.as_str() {
                "" => ".",
                name => name,
            };
            pack(side, path, follow, name.as_bytes(), &mut tar)
                .map_err(|error| failure(&error))
                .and_then(|()| {
                    let flushed = tar.flush();
                    flushed.map_err(|error| unwritable(Path::new("-"), &error))
                })
        };
        return match written {
            Ok(()) => destination.finish(),
            Err(failure) => Err(destination.fail(failure)),
        };
    }
    let host = Side::host().map_err(|error| failure(&error))?;
    let there = there(&host, &destination)?;
    let (dir, name) =
        rule(&source, &destination, there).map_err(|wrong| refused(&wrong.to_string()))?;
    let around = self::there(&host, &dir)?;
    if around != There::Directory {
        return Err(refused(&format!(
            "invalid output path: directory \"{dir}\" does not exist"
        )));
    }
    let owners = if args.archive {
        Owners::Same
    } else {
        Owners::Caller
    };
    let target = (dir.as_str(), name.as_bytes());
    copy(side, path, follow, &host, target, owners).map_err(|error| failure(&error))
}

fn into(args: &CopyArgs, home: &Home, from: &str, name: &str, path: &str) -> Result<(), Failure> {
    let origin = absolute(from)?;
    let store = home.enter_and_open()?;
    let container = open(&store, name)?;
    let side = &container.side;
    let path = &side.followed(path).map_err(|error| failure(&error))?;
    let there = self::there(side, path)?;
    if from == "-" {
        if there != There::Directory {
            return Err(refused(&format!(
                "destination \"{name}:{path}\" must be a directory"
            )));
        }
        let plain = Decoder::new(std::io::stdin())
            .map_err(|error| Failure::from_error(Class::Refused, &error))?;
        let dir = side.dir(path).map_err(|error| failure(&error))?;
        return place(plain, &dir, Owners::Same).map_err(|error| failure(&error));
    }
    let host = Side::host().map_err(|error| failure(&error))?;
    let follow = args.follow_link || says_directory(from);
    let stat = host
        .stat(&origin, follow)
        .map_err(|error| failure(&error))?;
    let Some(stat) = stat else {
        return Err(refused(&format!(
            "lstat {origin}: no such file or directory"
        )));
    };
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let source = Source::of(&origin, is_dir);
    let (dir, goal) = rule(&source, path, there).map_err(|wrong| refused(&wrong.to_string()))?;
    if self::there(side, &dir)? != There::Directory {
        return Err(missing(&dir, name));
    }
    let target = (dir.as_str(), goal.as_bytes());
    copy(&host, &origin, follow, side, target, Owners::Same).map_err(|error| failure(&error))
}

fn open(store: &Store, name: &str) -> Result<root::Root, Failure> {
    root::open(store, &find::row(store, name)?)
}

fn there(side: &Side, path: &str) -> Result<There, Failure> {
    let stat = side.stat(path, true).map_err(|error| failure(&error))?;
    Ok(match stat {
        None => There::Nothing,
        Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            There::Directory
        }
        Some(_) => There::File,
    })
}

/// A path from the root; what it says at its end of directories stays.
fn absolute(path: &str) -> Result<String, Failure> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let here =
        std::env::current_dir().map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(format!("{}/{path}", here.display()))
}

fn refused(message: &str) -> Failure {
    Failure::new(Class::Refused, message)
}

fn missing(path: &str, name: &str) -> Failure {
    refused(&format!(
        "Could not find the file {path} in container {name}"
    ))
}

fn failure(error: &CopyError) -> Failure {
    Failure::from_error(Class::Refused, error)
}
