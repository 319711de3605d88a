//! The contexts that a build reads: where the files of each are, and its directories, opened with what
//! the plan asks of them. Reads no file but those that say what is left out.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use cache::{Context, ContextOptions, Store};
use frontend::BuildPlan;
use frontend::plan::MAIN_CONTEXT;
use solver::Op;
use solver::op::{CopySource, MountKind};

use crate::project::fetch::Tree;
use crate::project::{Files, Filter, Project, ignore_of};
use crate::report::{Class, Failure};
use crate::request::Request;

/// Where the files of a context are.
pub enum Origin<'a> {
    /// In a directory.
    Directory(&'a Path),
    /// In an archive of this machine.
    Archive(&'a Path),
    /// In the store.
    Tree(&'a Tree),
}

impl<'a> Origin<'a> {
    /// That of a context by its name: what `--build-context` names comes before the main context.
    pub fn of(name: &str, project: &'a Project, request: &'a Request) -> Self {
        if let Some(file) = request.archives.get(name) {
            return Self::Archive(file);
        }
        match (request.directories.get(name), &project.files) {
            (Some(dir), _) | (None, Files::Directory(dir)) => Self::Directory(dir),
            (None, Files::Tree(tree)) => Self::Tree(tree),
        }
    }

    /// For people.
    pub fn shown(&self) -> String {
        match self {
            Self::Directory(path) | Self::Archive(path) => path.display().to_string(),
            Self::Tree(tree) => tree.shown.clone(),
        }
    }
}

/// The names of all contexts that the plan reads.
pub fn names(plan: &BuildPlan) -> BTreeSet<&str> {
    let vertices = plan.graph.iter();
    vertices
        .filter_map(|(_, vertex)| match &vertex.op {
            Op::Context(context) => Some(context.name.as_str()),
            _ => None,
        })
        .collect()
}

/// The directories that the plan reads, by name.
pub fn open(
    project: &Project,
    request: &Request,
    store: &Store,
    plan: &BuildPlan,
) -> Result<HashMap<String, Arc<Context>>, Failure> {
    let open = |name: &str| {
        let Origin::Directory(dir) = Origin::of(name, project, request) else {
            return Ok(None);
        };
        let rules = if request.directories.contains_key(name) {
            ignore_of(dir)?
        } else {
            project.ignore.clone()
        };
        let options = ContextOptions {
            name: name.to_owned(),
            dir: dir.to_owned(),
            filter: Arc::new(Filter(rules)),
            asked: asked(plan, name),
        };
        let context = Context::open(store, options)
            .map_err(|error| Failure::from_error(Class::Yours, &error))?;
        Ok(Some((name.to_owned(), Arc::new(context))))
    };
    names(plan)
        .into_iter()
        .filter_map(|name| open(name).transpose())
        .collect()
}

/// What the plan asks of the context `name`; none if it is everything.
fn asked(plan: &BuildPlan, name: &str) -> Option<Vec<String>> {
    let is_meant = |vertex: &solver::Vertex, input: usize| {
        let input = vertex.inputs.get(input).and_then(|id| plan.graph.get(id));
        matches!(input.map(|input| &input.op), Some(Op::Context(context)) if context.name == name)
    };
    let mut paths = Vec::new();
    for (_, vertex) in plan.graph.iter() {
        match &vertex.op {
            Op::Copy(copy) => {
                let sources = copy.sources.iter().filter_map(|source| match source {
                    CopySource::Files {
                        input, selector, ..
                    } => Some((*input, selector)),
                    CopySource::Inline(_) => None,
                });
                let mine = sources.filter(|(input, _)| is_meant(vertex, *input));
                paths.extend(mine.map(|(_, selector)| selector.path.clone()));
            }
            Op::Exec(exec) => {
                for mount in &exec.mounts {
                    match &mount.kind {
                        MountKind::Bind { input, source } if is_meant(vertex, *input) => {
                            paths.push(source.clone());
                        }
                        // for the reference this is a mount of the context, with nothing chosen
                        MountKind::Tmpfs { .. } if name == MAIN_CONTEXT => return None,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let is_all = |path: &String| path.split('/').all(|name| matches!(name, "" | "."));
    (!paths.iter().any(is_all)).then_some(paths)
}
