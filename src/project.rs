//! What a build is made from: the Dockerfile, the context and its ignore file, as the user named them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache::ContextFilter;
use frontend::ignore::IgnoreRules;
use frontend::instruction::Text;
use frontend::parser::{SOURCE_LIMIT, decode};
use frontend::plan::{MAIN_CONTEXT, PlanRequest};
use rustix::fs::OFlags;
use solver::pattern::PatternList;

use crate::report::{Class, Failure, Source};
use place::Place;

pub mod fetch;
mod files;
pub mod place;

/// A Dockerfile with the files that it is built of.
pub struct Project {
    /// The Dockerfile's text and the name under which it is shown.
    pub source: Source,
    /// The Dockerfile, if it is a file of this machine.
    pub dockerfile: Option<PathBuf>,
    /// The context.
    pub files: Files,
    /// What of the context cannot be seen.
    pub ignore: IgnoreRules,
    /// The file that says so, if there is one.
    pub ignore_source: Option<Source>,
}

/// The files of a context.
pub enum Files {
    /// In a directory of the user's.
    Directory(PathBuf),
    /// In the store.
    Tree(Box<fetch::Tree>),
}

impl Project {
    /// The project, if nothing of it has to be brought: else a [`Fetcher`](fetch::Fetcher) does that.
    pub fn local(place: &Place, file: Option<&Path>) -> Result<Option<Self>, Failure> {
        match place {
            Place::Directory(dir) if file.and_then(url_of).is_none() => {
                Self::load(dir, file).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads the Dockerfile and the ignore file; the context's other files are not touched.
    pub fn load(context: &Path, file: Option<&Path>) -> Result<Self, Failure> {
        match std::fs::metadata(context) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(Failure::new(
                    Class::Yours,
                    format!("the context {} is not a directory", context.display()),
                ));
            }
            Err(error) => {
                let mut failure = Failure::new(
                    Class::Yours,
                    format!("cannot read the context {}", context.display()),
                );
                failure.causes = vec![error.to_string()];
                return Err(failure);
            }
        }
        let dockerfile = match file {
            Some(path) if path == Path::new("-") => None,
            Some(path) => Some(path.to_owned()),
            None => Some(find_dockerfile(context)),
        };
        let (bytes, shown) = match &dockerfile {
            Some(path) => (read(path, context)?, path.display().to_string()),
            None => (
                read_all(std::io::stdin().lock(), "standard input")?,
                "-".to_owned(),
            ),
        };
        let text = text_of(&bytes, &shown)?;
        let (ignore, ignore_source) = read_ignore(context, dockerfile.as_deref())?;
        Ok(Self {
            source: Source { path: shown, text },
            dockerfile,
            files: Files::Directory(context.to_owned()),
            ignore,
            ignore_source,
        })
    }

    /// Tells a plan what its rules ask of the context.
    pub fn describe(&self, request: &mut PlanRequest) {
        // The files are others if a context was given in the place of this one.
        if request.named_contexts.contains_key(MAIN_CONTEXT) {
            return;
        }
        request.ignored = Some(self.ignore.clone());
        if let (Files::Directory(dir), None) = (&self.files, &self.ignore_source) {
            request.unguarded = Some(Arc::new(files::Directory(dir.clone())));
        }
    }

    /// A project of a directory with a Dockerfile that came from elsewhere. Only the directory's own
    /// ignore file holds.
    fn with_dockerfile(context: &Path, bytes: &[u8], shown: String) -> Result<Self, Failure> {
        let (ignore, ignore_source) = read_ignore(context, None)?;
        Ok(Self {
            source: Source {
                text: text_of(bytes, &shown)?,
                path: shown,
            },
            dockerfile: None,
            files: Files::Directory(context.to_owned()),
            ignore,
            ignore_source,
        })
    }

    /// Whether a Dockerfile can be read only once: standard input, a pipe. Its reader must not be
    /// executed again afterwards.
    pub fn is_read_once(file: Option<&Path>) -> bool {
        file.is_some_and(|file| {
            file == Path::new("-") || std::fs::metadata(file).is_ok_and(|found| !found.is_file())
        })
    }

    /// A text that a rule speaks about.
    pub fn source_of(&self, text: Text) -> &Source {
        match (text, &self.ignore_source) {
            (Text::IgnoreFile, Some(source)) => source,
            _ => &self.source,
        }
    }

    /// What tells this project's builds from those of others: context and Dockerfile, as absolute paths.
    pub fn identity(&self) -> String {
        let absolute =
            |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let context = match &self.files {
            Files::Directory(dir) => absolute(dir).display().to_string(),
            Files::Tree(tree) => tree.shown.clone(),
        };
        match (&self.dockerfile, &self.files) {
            (Some(file), _) => format!("{context} {}", absolute(file).display()),
            (None, _) => format!("{context} {}", self.source.path),
        }
    }
}

/// The URL that `-f` may be.
fn url_of(file: &Path) -> Option<&str> {
    let text = file.to_str()?;
    (text.starts_with("http://") || text.starts_with("https://")).then_some(text)
}

/// The text of a Dockerfile.
fn text_of(bytes: &[u8], shown: &str) -> Result<Arc<str>, Failure> {
    let text = decode(bytes).map_err(|error| {
        // The text is not to be had, so neither is a frame.
        let failure = Failure::new(Class::Yours, format!("{shown}: {error}"));
        match error.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    Ok(text.into())
}

/// `Dockerfile`, or `dockerfile` if only that is there.
fn find_dockerfile(context: &Path) -> PathBuf {
    let usual = context.join("Dockerfile");
    let lower = context.join("dockerfile");
    if !usual.exists() && lower.exists() {
        lower
    } else {
        usual
    }
}

/// Opens a file, or a pipe (`-f <(generate)`). One that nobody writes to is empty, and not waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    // A directory opens well and then cannot be read.
    if file.metadata()?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

fn read(path: &Path, context: &Path) -> Result<Vec<u8>, Failure> {
    match open(path) {
        Ok(file) => read_all(file, &path.display().to_string()),
        Err(error) => {
            let mut failure = Failure::new(
                Class::Yours,
                format!("cannot read the Dockerfile {}", path.display()),
            )
            .help(crate::hint::no_dockerfile(path, context));
            failure.causes = vec![error.to_string()];
            Err(failure)
        }
    }
}

/// Reads one byte more than a Dockerfile may have, so that a larger one is seen to be too large
/// without being read.
fn read_all(from: impl Read, shown: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    from.take(SOURCE_LIMIT as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            let mut failure =
                Failure::new(Class::Yours, format!("cannot read the Dockerfile {shown}"));
            failure.causes = vec![error.to_string()];
            failure
        })?;
    Ok(bytes)
}

/// The rules of `<Dockerfile>.dockerignore`, or of the context's `.dockerignore`; and that file.
fn read_ignore(
    context: &Path,
    dockerfile: Option<&Path>,
) -> Result<(IgnoreRules, Option<Source>), Failure> {
    let own = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in own.into_iter().chain([context.join(".dockerignore")]) {
        let bytes = open(&path).and_then(|mut file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map(|_| bytes)
        });
        match bytes {
            Ok(bytes) => {
                let rules = IgnoreRules::parse(&bytes).map_err(|error| {
                    Failure::new(Class::Yours, format!("{}: {error}", path.display()))
                })?;
                let source = Source {
                    path: path.display().to_string(),
                    text: as_text(bytes).into(),
                };
                return Ok((rules, Some(source)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let mut failure =
                    Failure::new(Class::Yours, format!("cannot read {}", path.display()));
                failure.causes = vec![error.to_string()];
                return Err(failure);
            }
        }
    }
    Ok((IgnoreRules::default(), None))
}

/// An ignore file for people. Its comments may be anything; each byte that is no text becomes a `?`,
/// so that places stay where they are.
fn as_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::new();
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        text
    })
}

/// Lets the cache ask the frontend's rules.
pub struct Filter(pub IgnoreRules);

impl ContextFilter for Filter {
    fn patterns(&self) -> &PatternList {
        self.0.patterns()
    }

    fn rule(&self, position: usize) -> String {
        self.0
            .rule(position)
            .map_or_else(String::new, |(line, text)| format!("{text} (line {line})"))
    }
}

/// The rules that hold for a directory with a Dockerfile, by default the usual one.
pub fn ignore_for(dir: &Path, file: Option<&Path>) -> Result<IgnoreRules, Failure> {
    let (rules, _) = match file {
        Some(file) => read_ignore(dir, Some(file)),
        None => read_ignore(dir, Some(&find_dockerfile(dir))),
    }?;
    Ok(rules)
}

/// The rules of a further context's own ignore file.
pub fn ignore_of(dir: &Path) -> Result<IgnoreRules, Failure> {
    Ok(read_ignore(dir, None)?.0)
}
