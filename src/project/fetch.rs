//! Projects of which something has to be brought into the store: files from an archive, standard input, a
//! repository or a URL, for which no ignore file holds, as with docker; or a Dockerfile behind a URL.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cache::{Kind, Resolved, Snapshot, Store, View};
use executor::ops::{Executor, Fetched, OpError};
use frontend::ignore::IgnoreRules;
use image::compress::{Decoder, Format};
use image::tar::Reader;
use solver::op::HttpOp;
use solver::{Cancel, Op, Output};

use super::place::Place;
use super::{Files, Project, read, read_all, text_of, url_of};
use crate::report::{Class, Failure, Source};

/// Bytes by which an archive is told from a Dockerfile.
const HEAD: u64 = 1024;
/// What begins every header of a tar that is younger than 1988, and where.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");
/// What a downloaded file is called.
const CONTEXT_FILE: &str = "context";

/// What fetches.
pub struct Fetcher<'a> {
    /// Where the files go.
    pub store: &'a Store,
    /// Knows secrets and agents; what it fetched stays as long as it lives.
    pub executor: Executor,
    /// Asks to stop.
    pub cancel: &'a Cancel,
}

/// The files of a context, in the store.
pub struct Tree {
    /// Where they came from, for people.
    pub shown: String,
    /// The files.
    pub snapshot: Snapshot,
    /// Keeps them from being pruned.
    _keeper: Executor,
}

/// What came, before anybody knows which Dockerfile is meant.
enum Came {
    /// Files.
    Tree(Snapshot),
    /// A Dockerfile, in the files under this name if there is one.
    Dockerfile(Vec<u8>, Snapshot),
}

impl Fetcher<'_> {
    /// Brings the files and reads the Dockerfile: `-` is standard input, an absolute path a file of
    /// this machine, another path one of the context.
    pub fn load(self, place: &Place, file: Option<&Path>) -> Result<Project, Failure> {
        let from_stdin = file == Some(Path::new("-"));
        if *place == Place::Stdin && from_stdin {
            return Err(yours(
                "standard input cannot be both the context and the Dockerfile",
            ));
        }
        let downloaded = match file.and_then(url_of) {
            Some(url) => Some((self.download(url)?, image::http::masked(url).into_owned())),
            None => None,
        };
        let (came, mut shown) = match place {
            Place::Directory(dir) => match downloaded {
                Some((bytes, name)) => return Project::with_dockerfile(dir, &bytes, name),
                None => return Project::load(dir, file),
            },
            Place::Stdin => (self.standard_input()?, "standard input".to_owned()),
            Place::Archive(path) => {
                let shown = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                let snapshot = unpacked(&self.executor, path, self.cancel)?;
                (Came::Tree(snapshot), shown.display().to_string())
            }
            Place::Remote(op, url) => {
                let fetched = self.executor.fetch(op, self.cancel);
                let came = match fetched.map_err(|error| failure(&error))? {
                    Fetched::Tree(snapshot) => Came::Tree(snapshot),
                    Fetched::File(snapshot) => {
                        let view = self.view(&snapshot)?;
                        let bytes = in_tree(&view, Path::new(CONTEXT_FILE), url)?;
                        Came::Dockerfile(bytes, snapshot)
                    }
                };
                (came, image::http::masked(url).into_owned())
            }
        };
        let (snapshot, dockerfile, bytes, name) = match (came, file) {
            (Came::Tree(snapshot) | Came::Dockerfile(_, snapshot), _)
                if let Some((bytes, name)) = downloaded =>
            {
                (snapshot, None, bytes, name)
            }
            (Came::Dockerfile(bytes, snapshot), None) if *place == Place::Stdin => {
                shown.push_str(", which brought no files");
                (snapshot, None, bytes, "-".to_owned())
            }
            (Came::Dockerfile(bytes, snapshot), None) => (snapshot, None, bytes, shown.clone()),
            (Came::Tree(snapshot) | Came::Dockerfile(_, snapshot), Some(path)) if from_stdin => {
                let bytes = read_all(io::stdin().lock(), "standard input")?;
                (snapshot, None, bytes, path.display().to_string())
            }
            (Came::Tree(snapshot), Some(path)) if path.is_absolute() => {
                let bytes = read(path, path.parent().unwrap_or(path))?;
                let name = path.display().to_string();
                (snapshot, Some(path.to_owned()), bytes, name)
            }
            (Came::Dockerfile(..), Some(path)) => {
                return Err(yours(format!(
                    "-f {}: {shown} is a Dockerfile itself",
                    path.display()
                )));
            }
            (Came::Tree(snapshot), path) => {
                let view = self.view(&snapshot)?;
                let path = path.map_or_else(|| usual(&view), Path::to_owned);
                let bytes = in_tree(&view, &path, &shown)?;
                (snapshot, None, bytes, path.display().to_string())
            }
        };
        Ok(Project {
            source: Source {
                text: text_of(&bytes, &name)?,
                path: name,
            },
            dockerfile,
            files: Files::Tree(Box::new(Tree {
                shown,
                snapshot,
                _keeper: self.executor,
            })),
            ignore: IgnoreRules::default(),
            ignore_source: None,
        })
    }

    /// The bytes behind a URL, be they an archive or not.
    fn download(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let op = Op::Http(HttpOp {
            url: url.to_owned(),
            checksum: None,
            file_name: CONTEXT_FILE.to_owned(),
        });
        match self.executor.fetch(&op, self.cancel) {
            Ok(Fetched::File(snapshot)) => {
                in_tree(&self.view(&snapshot)?, Path::new(CONTEXT_FILE), url)
            }
            Ok(Fetched::Tree(_)) => Err(yours(format!(
                "-f {}: it is an archive, and no Dockerfile",
                image::http::masked(url)
            ))),
            Err(error) => Err(failure(&error)),
        }
    }

    fn view(&self, snapshot: &Snapshot) -> Result<View, Failure> {
        self.store
            .view(snapshot)
            .map_err(|error| crate::home::store_failure(&error))
    }

    /// An archive, or a Dockerfile without files.
    fn standard_input(&self) -> Result<Came, Failure> {
        let broken = |error: io::Error| Failure {
            causes: vec![error.to_string()],
            ..yours("cannot read standard input")
        };
        let mut stdin = io::stdin().lock();
        let mut head = Vec::new();
        let read = stdin.by_ref().take(HEAD).read_to_end(&mut head);
        read.map_err(broken)?;
        if !is_archive(&head) {
            let bytes = read_all(head.as_slice().chain(stdin), "standard input")?;
            return Ok(Came::Dockerfile(bytes, Snapshot::empty()));
        }
        let archive = head.as_slice().chain(stdin);
        let unpacked = self
            .executor
            .unpack_stream(archive, "standard input", self.cancel);
        match unpacked.map_err(|error| failure(&error))? {
            Some(snapshot) => Ok(Came::Tree(snapshot)),
            None => Err(yours("standard input is compressed, and no tar archive")
                .help("give a tar archive, plain or compressed by gzip, xz, zstd or bzip2, or a Dockerfile")),
        }
    }
}

/// The files of an archive of this machine.
pub fn unpacked(executor: &Executor, path: &Path, cancel: &Cancel) -> Result<Snapshot, Failure> {
    let shown = path.display();
    let broken = |error: io::Error| Failure {
        causes: vec![error.to_string()],
        ..yours(format!("cannot read the context {shown}"))
    };
    let neither =
        || {
            yours(format!("the context {shown} is neither a directory nor an archive")).help(
            "give a directory, or a tar archive, plain or compressed by gzip, xz, zstd or bzip2; a \
             Dockerfile is named by -f",
        )
        };
    let mut file = File::open(path).map_err(broken)?;
    let mut head = Vec::new();
    file.by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(broken)?;
    if !is_archive(&head) {
        return Err(neither());
    }
    let archive = head.as_slice().chain(file);
    let name = shown.to_string();
    let unpacked = executor.unpack_stream(archive, &name, cancel);
    unpacked
        .map_err(|error| failure(&error))?
        .ok_or_else(neither)
}

/// Whether bytes begin an archive.
fn is_archive(head: &[u8]) -> bool {
    let (at, magic) = TAR_MAGIC;
    let is_packed = Decoder::new(head).is_ok_and(|plain| plain.format() != Format::Plain);
    is_packed
        || head.get(at..at + magic.len()) == Some(magic)
        || matches!(Reader::new(head).next_entry(), Ok(Some(_)))
}

/// `Dockerfile`, or `dockerfile` if only that is there.
fn usual(view: &View) -> PathBuf {
    let has = |name: &str| view.get(name.as_bytes()).is_some();
    let name = if !has("Dockerfile") && has("dockerfile") {
        "dockerfile"
    } else {
        "Dockerfile"
    };
    name.into()
}

/// The bytes of a Dockerfile in a tree; links are followed, and stay in it.
fn in_tree(view: &View, path: &Path, shown: &str) -> Result<Vec<u8>, Failure> {
    let missing = |cause: String| {
        Failure {
            causes: vec![cause],
            ..yours(format!("cannot read the Dockerfile {}", path.display()))
        }
        .help(format!(
            "it was looked for in the context {}; -f names another one",
            image::http::masked(shown)
        ))
    };
    let bytes = path.as_os_str().as_encoded_bytes();
    match view.resolve(bytes, true) {
        Ok(Resolved::Entry(entry)) if matches!(entry.kind, Kind::File { .. }) => {
            match view.open(&entry.path) {
                Ok(Some(file)) => read_all(file, &path.display().to_string()),
                Ok(None) => Err(missing("it is no file".to_owned())),
                Err(error) => Err(Failure::from_error(Class::System, &error)),
            }
        }
        Ok(Resolved::Entry(_)) => Err(missing("it is no file".to_owned())),
        Ok(Resolved::Missing(_)) => Err(missing("there is no such file".to_owned())),
        Err(error) => Err(missing(error.to_string())),
    }
}

/// Whose fault it is that a context cannot be had.
fn failure(error: &OpError) -> Failure {
    match crate::pipeline::step_class(error) {
        Class::Interrupted => crate::stop::stopped(),
        // A server that refuses, a repository that is not there: what was asked for is wrong.
        Class::Step => Failure::from_error(Class::Yours, error),
        class => Failure::from_error(class, error),
    }
}

fn yours(title: impl Into<String>) -> Failure {
    Failure::new(Class::Yours, title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_told_from_dockerfiles() {
        assert!(!is_archive(b""));
        assert!(!is_archive(b"FROM scratch\n"));
        assert!(!is_archive(&b"# a long comment\n".repeat(64)));
        let mut tar = vec![0; 1024];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(is_archive(&tar));
        for magic in [
            &b"\x1f\x8b\x08\x00\x00\x00\x00\x00"[..],
            b"\x28\xb5\x2f\xfd\x00\x00\x00\x00",
            b"\xfd7zXZ\x00\x00\x00",
            b"BZh91AY&",
        ] {
            assert!(is_archive(magic), "{magic:?}");
        }
    }
}
