//! The directories that a build reads, opened with what its plan asks of them. Reads no file itself.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use cache::{Context, ContextOptions, Store};
use frontend::BuildPlan;
use frontend::plan::MAIN_CONTEXT;
use solver::Op;
use solver::op::{CopySource, MountKind};

use crate::project::{Files, Filter, Project, ignore_of};
use crate::report::{Class, Failure};
use crate::request::Request;

/// The names of all contexts that the plan reads.
pub fn names(plan: &BuildPlan) -> HashSet<&str> {
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
        if request.archives.contains_key(name) {
            return Ok(None);
        }
        let (dir, rules): (&Path, _) = match (request.directories.get(name), &project.files) {
            (Some(dir), _) => (dir, ignore_of(dir)?),
            (None, Files::Directory(dir)) => (dir, project.ignore.clone()),
            (None, Files::Tree(_)) => return Ok(None),
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
