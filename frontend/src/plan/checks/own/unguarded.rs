//! A context without an ignore file, of which a COPY takes something that hardly belongs into an
//! image: a huge file, or one that looks like a secret.
//!
//! A file that its own COPY names is meant; only what comes along with a directory is looked at.

use std::cell::OnceCell;
use std::collections::HashMap;

use solver::op::{CopySource, Op};
use solver::pattern::{Pattern, PatternList};
use solver::selector::Selector;
use solver::{Graph, Span, Vertex};

use super::rule;
use crate::instruction::Instruction;
use crate::plan::MAIN_CONTEXT;
use crate::plan::request::ContextFiles;
use crate::plan::scope::Scope;

/// Bytes of a file that is no source: what GitHub refuses to take.
const LARGE: u64 = 100_000_000;
/// Files that a message names.
const MOST_NAMED: usize = 3;

pub(super) fn check(scope: &Scope<'_>, graph: &Graph) {
    let Some(files) = &scope.request.unguarded else {
        return;
    };
    let suspects = OnceCell::new();
    let written: OnceCell<HashMap<Span, &Instruction>> = OnceCell::new();
    for (_, vertex) in graph.iter() {
        let Some(span) = vertex.meta.span else {
            continue;
        };
        let sources: Vec<Source> = of_context(graph, vertex).filter_map(Source::new).collect();
        if sources.is_empty() {
            continue;
        }
        let written = written.get_or_init(|| {
            let stages = scope.dockerfile.stages.iter();
            let all = stages.flat_map(|stage| &stage.instructions);
            all.map(|instruction| (instruction.span, instruction))
                .collect()
        });
        // A trigger of the base image is not this file's to change.
        let Some(instruction) = written.get(&span) else {
            continue;
        };
        let comments = &instruction.comments;
        if !scope.checks.wants(rule::NO_IGNORE_FILE, comments) {
            continue;
        }
        let suspects: &Vec<Suspect> = suspects.get_or_init(|| look(&**files));
        let taken = |suspect: &&Suspect| sources.iter().any(|source| source.brings(&suspect.path));
        let taken: Vec<&Suspect> = suspects.iter().filter(taken).collect();
        if let Some(message) = message(&instruction.keyword.to_uppercase(), &taken) {
            scope
                .checks
                .report(rule::NO_IGNORE_FILE, span, comments, message);
        }
    }
}

/// What a COPY or ADD selects of the main context.
fn of_context<'g>(graph: &'g Graph, vertex: &'g Vertex) -> impl Iterator<Item = &'g Selector> {
    let sources = match &vertex.op {
        Op::Copy(copy) => copy.sources.as_slice(),
        _ => &[],
    };
    sources.iter().filter_map(|source| {
        let CopySource::Files {
            input, selector, ..
        } = source
        else {
            return None;
        };
        let op = &graph.get(vertex.inputs.get(*input)?)?.op;
        let is_main = matches!(op, Op::Context(context) if context.name == MAIN_CONTEXT);
        is_main.then_some(selector)
    })
}

/// One source of a COPY.
struct Source<'g> {
    path: &'g str,
    pattern: Option<Pattern>,
    excludes: PatternList,
}

impl<'g> Source<'g> {
    fn new(selector: &'g Selector) -> Option<Self> {
        // The pivot of --parents is in the way of the names alone.
        let path = selector.path.as_str();
        if path.contains("/./") {
            return None;
        }
        let pattern = match (selector.pattern, selector.parents) {
            (false, _) => None,
            (true, false) => Some(Pattern::new(path).ok()?),
            (true, true) => Some(Pattern::with_deep_stars(path).ok()?),
        };
        Some(Self {
            path,
            pattern,
            excludes: PatternList::new(&selector.excludes).ok()?,
        })
    }

    /// Whether `path` comes along without being named.
    fn brings(&self, path: &str) -> bool {
        let mut directories = path.match_indices('/').map(|(at, _)| at);
        let root = match &self.pattern {
            None if self.path == "." => Some(0),
            None => directories
                .find(|at| path[..*at] == *self.path)
                .map(|at| at + 1),
            Some(pattern) => {
                let is_everything = matches!(self.path, "*" | "**" | "**/*");
                let inside = directories.find(|at| pattern.matches(&path[..*at]));
                inside
                    .map(|at| at + 1)
                    .or((is_everything && pattern.matches(path)).then_some(0))
            }
        };
        root.is_some_and(|root| !self.excludes.matches_or_parent(&path[root..]))
    }
}

/// A file that hardly belongs into an image.
struct Suspect {
    path: String,
    /// Its bytes, if they are too many.
    large: Option<u64>,
}

fn look(files: &dyn ContextFiles) -> Vec<Suspect> {
    let is_suspect = |path: &[u8], size| {
        let path = String::from_utf8_lossy(path);
        size >= LARGE || is_secret(&path, &|| files.head(&path))
    };
    let found = files.find(&is_suspect).into_iter();
    let mut suspects: Vec<Suspect> = found
        .map(|(path, size)| Suspect {
            path: String::from_utf8_lossy(&path).into_owned(),
            large: (size >= LARGE).then_some(size),
        })
        .collect();
    // Small ones first: they are the secrets.
    suspects.sort_by(|a, b| (a.large, &a.path).cmp(&(b.large, &b.path)));
    suspects
}

/// Whether a file is what it is called, and that is a secret. `head` reads its beginning.
fn is_secret(path: &str, head: &dyn Fn() -> Vec<u8>) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let directory = directory.rsplit('/').next().unwrap_or_default();
    match name {
        ".env" | ".netrc" | "_netrc" | ".pypirc" | ".git-credentials" | ".pgpass" | "id_rsa"
        | "id_dsa" | "id_ecdsa" | "id_ed25519" => return true,
        "credentials" => return directory == ".aws",
        "config.json" => return directory == ".docker",
        "config" => return directory == ".kube",
        _ => {}
    }
    if let Some(kind) = name.strip_prefix(".env.") {
        return matches!(
            kind,
            "local" | "production" | "prod" | "staging" | "development" | "dev"
        ) || kind.ends_with(".local");
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "p12" | "pfx" | "kdbx" => true,
        // As often a certificate, which everybody may see.
        "pem" | "key" => {
            let head = head();
            let marker = b"PRIVATE KEY-----";
            head.windows(marker.len()).any(|window| window == marker)
        }
        _ => false,
    }
}

fn message(keyword: &str, taken: &[&Suspect]) -> Option<String> {
    if taken.is_empty() {
        return None;
    }
    let named = taken
        .iter()
        .take(MOST_NAMED)
        .map(|suspect| match suspect.large {
            Some(size) => format!("{} ({})", suspect.path, size_of(size)),
            None => format!("{} (looks like a secret)", suspect.path),
        });
    let mut named = named.collect::<Vec<_>>().join(", ");
    if taken.len() > MOST_NAMED {
        named.push_str(&format!(" and {} more", taken.len() - MOST_NAMED));
    }
    Some(format!(
        "There is no .dockerignore, and this {keyword} takes {named}; leave out what the image does not need"
    ))
}

/// Megabytes and gigabytes with three digits, as docker has them.
fn size_of(bytes: u64) -> String {
    let megabytes = bytes.div_ceil(10_000) as f64 / 100.0;
    let (number, unit) = if megabytes < 1000.0 {
        (megabytes, "MB")
    } else {
        (megabytes / 1000.0, "GB")
    };
    let digits = match number {
        n if n < 10.0 => 2,
        n if n < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.digits$}");
    let text = match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.'),
        None => &text,
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_docker_has_them() {
        for (bytes, expected) in [
            (100_000_000, "100MB"),
            (123_456_789, "123MB"),
            (1_200_000_000, "1.2GB"),
            (12_340_000_000, "12.3GB"),
        ] {
            assert_eq!(size_of(bytes), expected);
        }
    }

    #[test]
    fn secrets_are_told_by_name_and_beginning() {
        let secret = |path: &str, head: &str| is_secret(path, &|| head.as_bytes().to_vec());
        for path in [
            ".env",
            "a/.env.local",
            "x/.aws/credentials",
            "id_rsa",
            "c.p12",
        ] {
            assert!(secret(path, ""), "{path}");
        }
        for path in [
            ".env.example",
            "env",
            "src/credentials",
            "config.json",
            "id_rsa.pub",
        ] {
            assert!(!secret(path, ""), "{path}");
        }
        assert!(secret("a.pem", "-----BEGIN RSA PRIVATE KEY-----\n"));
        assert!(!secret("a.pem", "-----BEGIN CERTIFICATE-----\n"));
    }

    #[test]
    fn what_comes_along_is_told_from_what_is_named() {
        let brings = |source: &str, excludes: &[&str], path: &str| {
            let selector = Selector {
                path: source.to_owned(),
                pattern: Pattern::has_meta(source),
                parents: false,
                excludes: excludes.iter().map(|e| (*e).to_owned()).collect(),
                purpose: solver::selector::Purpose::Copy,
            };
            Source::new(&selector).unwrap().brings(path)
        };
        assert!(brings(".", &[], ".env"));
        assert!(!brings(".", &[".env"], ".env"));
        assert!(brings("a", &[], "a/b/.env"));
        assert!(!brings("a", &["b"], "a/b/.env"));
        assert!(!brings("a/.env", &[], "a/.env"));
        assert!(!brings("a", &[], "ab/.env"));
        assert!(brings("*", &[], ".env"));
        assert!(brings("a*", &[], "ab/.env"));
        assert!(!brings("*.pem", &[], "a.pem"));
    }
}
