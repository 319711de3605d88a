//! What the words of a context mean. Reads nothing but whether there is a directory.

use std::path::{Path, PathBuf};

use frontend::plan::remote_context;
use solver::Op;

use crate::report::{Class, Failure};

/// Build argument by which docker keeps `.git` of a context.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/// Where the files of a context are.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In a directory, whether it is there or not.
    Directory(PathBuf),
    /// Standard input brings an archive, or a Dockerfile without files.
    Stdin,
    /// Behind a URL: what fetches them, and the URL.
    Remote(Box<Op>, String),
}

impl Place {
    /// Reads the words. A directory is meant before anything else, as docker has it.
    pub fn of(text: &str, build_args: &[String]) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if Path::new(text).is_dir() {
            return Ok(Self::Directory(text.into()));
        }
        let url = if text.starts_with("github.com/") {
            format!("https://{}", with_git_ending(text))
        } else {
            text.to_owned()
        };
        let keep = keeps_git_dir(build_args);
        let shown = || image::http::masked(text).into_owned();
        match remote_context(&url, keep) {
            Ok(Some(op)) => Ok(Self::Remote(Box::new(op), url)),
            Ok(None) => match text.split_once("://") {
                Some((scheme, _)) => Err(Failure::new(
                    Class::Yours,
                    format!("the context `{}`: {scheme}:// is not done", shown()),
                )
                .help("give a directory, -, a git repository, or an http or https URL")),
                None => Ok(Self::Directory(text.into())),
            },
            Err(error) => Err(Failure::new(
                Class::Yours,
                format!("the context `{}`: {}", shown(), error.message),
            )),
        }
    }

    /// The directory, if it is one.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(dir) => Some(dir),
            Self::Stdin | Self::Remote(..) => None,
        }
    }
}

/// `github.com/user/repository` as its URL ends.
fn with_git_ending(text: &str) -> String {
    let end = text.find(['#', '?']).unwrap_or(text.len());
    let (repository, rest) = text.split_at(end);
    let repository = repository.trim_end_matches('/');
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    format!("{repository}.git{rest}")
}

fn keeps_git_dir(build_args: &[String]) -> bool {
    let value = build_args.iter().rev().find_map(|argument| {
        let (name, value) = argument.split_once('=')?;
        (name == KEEP_GIT_DIR).then_some(value)
    });
    matches!(value, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Place, Failure> {
        Place::of(text, &[])
    }

    #[test]
    fn contexts_are_told_apart() {
        assert_eq!(of("-").unwrap(), Place::Stdin);
        assert_eq!(of(".").unwrap(), Place::Directory(".".into()));
        assert_eq!(of("no/such").unwrap(), Place::Directory("no/such".into()));
        for text in [
            "https://example.org/a.git#v1:sub",
            "git@example.org:a",
            "ssh://git@example.org/a",
            "git://example.org/a",
            "github.com/user/repository#main",
        ] {
            let Place::Remote(op, _) = of(text).unwrap() else {
                panic!("{text} is not remote");
            };
            assert!(matches!(*op, Op::Git(_)), "{text}: {op:?}");
        }
        let Place::Remote(op, _) = of("http://example.org/a.tar.gz").unwrap() else {
            panic!("a URL is remote");
        };
        assert!(matches!(*op, Op::Http(_)));
        for text in ["ftp://example.org/a", "docker-image://a", "file:///a"] {
            let failure = of(text).unwrap_err();
            assert!(
                failure.title.ends_with(":// is not done"),
                "{}",
                failure.title
            );
        }
    }

    #[test]
    fn github_and_the_git_directory_are_as_docker_has_them() {
        let Place::Remote(op, url) = of("github.com/u/r.git#x").unwrap() else {
            panic!("it is remote");
        };
        assert_eq!(url, "https://github.com/u/r.git#x");
        let Op::Git(op) = *op else { panic!("{op:?}") };
        assert!(!op.keep_git_dir);
        let kept = Place::of("git://h/r", &[format!("{KEEP_GIT_DIR}=1")]).unwrap();
        let Place::Remote(op, _) = kept else {
            panic!("it is remote");
        };
        assert!(matches!(*op, Op::Git(op) if op.keep_git_dir));
    }
}
