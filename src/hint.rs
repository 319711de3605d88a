//! What to try next when a step failed: what is known of the error whatever the step was, and where a
//! file might be that is not where it was looked for. Only reads names in directories.

use std::path::{Component, Path, PathBuf};

use cache::SelectError;
use executor::container::ContainerError;
use executor::ops::OpError;
use frontend::suggest::nearest;
use solver::op::CopySource;
use solver::{Graph, Op, Vertex};

use crate::contexts::Origin;

/// What an error does not say, though it is known whatever the step was.
pub fn known(error: &OpError) -> Option<&'static str> {
    match error {
        OpError::Exit {
            out_of_memory: true,
            ..
        } => Some("the kernel killed a process of it: there was not enough memory"),
        OpError::NotStarted {
            cause: ContainerError::Resources { .. },
            ..
        } => Some(
            "`rbuild doctor` says what can be limited here; without --resource and --cgroup-parent \
             nothing is",
        ),
        OpError::NoInlineDirectory { .. } => {
            Some("a heredoc's file is named by the word after <<, in no directory")
        }
        _ => None,
    }
}

/// What to try when a COPY or ADD found no file. `written` is the instruction, `context` gives a
/// context by its name.
pub fn not_found<'a>(
    error: &OpError,
    vertex: &Vertex,
    graph: &Graph,
    written: &str,
    context: impl Fn(&str) -> Origin<'a>,
) -> Option<String> {
    let OpError::Select(SelectError::NotFound { path }) = error else {
        return None;
    };
    let from = graph.get(vertex.inputs.get(input(&vertex.op, path)?)?)?;
    let Op::Context(named) = &from.op else {
        let stage = &from.meta.stage;
        return (!stage.is_empty()).then(|| format!("it was looked for in the stage `{stage}`"));
    };
    let origin = context(&named.name);
    let shown = origin.shown();
    if written
        .split_whitespace()
        .any(|word| word.starts_with("../"))
    {
        return Some(format!(
            "`..` does not lead out of the context {shown}: give one that holds the file, and the Dockerfile with -f"
        ));
    }
    let meant = match origin {
        Origin::Directory(dir) => similar(dir, Path::new(path)),
        Origin::Archive(_) | Origin::Tree(_) => None,
    };
    Some(match meant {
        Some(meant) => format!(
            "it was looked for in the context {shown}; did you mean {}?",
            meant.display()
        ),
        None => format!("it was looked for in the context {shown}"),
    })
}

/// Which input of a COPY `path` is a source of.
fn input(op: &Op, path: &str) -> Option<usize> {
    let Op::Copy(copy) = op else { return None };
    copy.sources.iter().find_map(|source| match source {
        CopySource::Files {
            input, selector, ..
        } if selector.path.trim_matches('/') == path.trim_matches('/') => Some(*input),
        _ => None,
    })
}

/// What to try when there is no Dockerfile at `path`.
pub fn no_dockerfile(path: &Path, context: &Path) -> String {
    let within = context.join(path);
    if path.is_relative() && within != path && within.is_file() {
        return format!(
            "-f is relative to the current directory: -f {}",
            within.display()
        );
    }
    let dir = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    let mut others: Vec<String> = names(dir)
        .into_iter()
        .filter(|name| {
            let name = name.to_lowercase();
            name.contains("dockerfile") && !name.ends_with("ignore") || name == "containerfile"
        })
        .collect();
    others.sort();
    match others.as_slice() {
        [] => "give another one with -f".to_owned(),
        [other, ..] => {
            let other = path.with_file_name(other);
            format!("did you mean -f {}?", other.display())
        }
    }
}

/// A path below `dir` that differs from `path` in a few letters of the first name that is not there.
fn similar(dir: &Path, path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for part in path.components() {
        let Component::Normal(part) = part else {
            continue;
        };
        if dir.join(&found).join(part).symlink_metadata().is_ok() {
            found.push(part);
            continue;
        }
        let names = names(&dir.join(&found));
        let meant = nearest(part.to_str()?, names.iter().map(String::as_str))?;
        return Some(found.join(meant));
    }
    None
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_a_few_letters_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("app")).unwrap();
        std::fs::write(dir.path().join("app/package.json"), "").unwrap();
        for (path, meant) in [
            ("app/packge.json", Some("app/package.json")),
            ("ap/package.json", Some("app")),
            ("app/README", None),
            ("app/package.json", None),
        ] {
            assert_eq!(
                similar(dir.path(), Path::new(path)),
                meant.map(PathBuf::from),
                "{path}"
            );
        }
    }

    #[test]
    fn a_dockerfile_elsewhere_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path();
        let missing = context.join("Dockerfile");
        assert_eq!(no_dockerfile(&missing, context), "give another one with -f");
        std::fs::write(context.join("api.Dockerfile"), "").unwrap();
        let shown = context.display();
        assert_eq!(
            no_dockerfile(&missing, context),
            format!("did you mean -f {shown}/api.Dockerfile?")
        );
        assert_eq!(
            no_dockerfile(Path::new("api.Dockerfile"), context),
            format!("-f is relative to the current directory: -f {shown}/api.Dockerfile")
        );
    }
}
