//! What the words of a context mean. Reads nothing but whether there is a directory.

use std::path::{Path, PathBuf};

use frontend::plan::{Checkout, PlanRequest, remote_context};
use solver::Op;

use crate::report::{Class, Failure};

/// Build argument by which docker keeps `.git` of a context.
const KEEP_GIT_DIR: &str = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";
/// With it files get times that do not depend on when they were fetched.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Where the files of a context are.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In a directory, whether it is there or not.
    Directory(PathBuf),
    /// In an archive of this machine, or a pipe that brings one.
    Archive(PathBuf),
    /// Standard input brings an archive, or a Dockerfile without files.
    Stdin,
    /// Behind a URL: what fetches them, and the URL.
    Remote(Box<Op>, String),
}

impl Place {
    /// Reads the words for the main context of a request, which then knows what fetches it.
    pub fn main(text: &str, request: &mut PlanRequest) -> Result<Self, Failure> {
        let place = Self::of(text, &request.build_args)?;
        if let Self::Remote(op, _) = &place {
            request.main_source = Some(Op::clone(op));
        }
        Ok(place)
    }

    /// Reads the words. A directory is meant before anything else, as docker has it. Of the
    /// arguments, `build_args` say how a repository is checked out.
    pub fn of(text: &str, build_args: &[(String, String)]) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        match std::fs::metadata(text) {
            Ok(found) if found.is_dir() => return Ok(Self::Directory(text.into())),
            Ok(_) => return Ok(Self::Archive(text.into())),
            Err(_) => {}
        }
        let url = if text.starts_with("github.com/") {
            format!("https://{}", with_git_ending(text))
        } else {
            text.to_owned()
        };
        let value = |name: &str| {
            let mut named = build_args.iter().rev().filter(|(key, _)| key == name);
            named.next().map_or("", |(_, value)| value.as_str())
        };
        let checkout = Checkout {
            keep_git_dir: matches!(
                value(KEEP_GIT_DIR),
                "1" | "t" | "T" | "true" | "TRUE" | "True"
            ),
            commit_mtime: !value(EPOCH).is_empty(),
        };
        let shown = || image::http::masked(text).into_owned();
        match remote_context(&url, checkout) {
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
            Self::Archive(_) | Self::Stdin | Self::Remote(..) => None,
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
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(of(file).unwrap(), Place::Archive(file.into()));
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
        let given = |url: &str, name: &str, value: &str| {
            let args = [(name.to_owned(), value.to_owned())];
            match Place::of(url, &args).unwrap() {
                Place::Remote(op, _) => match *op {
                    Op::Git(op) => (op.keep_git_dir, op.commit_mtime),
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(given("git://h/r", KEEP_GIT_DIR, "1"), (true, false));
        let url = "git://h/r?keep-git-dir=false";
        assert_eq!(given(url, KEEP_GIT_DIR, "1"), (true, false));
        assert_eq!(given("git://h/r", EPOCH, "0"), (false, true));
        assert_eq!(given("git://h/r", EPOCH, ""), (false, false));
        assert_eq!(
            given("git://h/r?mtime=checkout", EPOCH, "context"),
            (false, false)
        );
    }
}
