//! Reading a file without wanting a build of it: the check of all its stages, and the parameters
//! of a target.
//!
//! Both lower as a build does and throw the graph away. What stands outside the file and cannot be
//! had is noted and then taken for empty, so that everything else is still read.

use std::cell::RefCell;
use std::collections::HashSet;

use image::Platform;
use solver::op::{MountKind, Op};
use solver::{Graph, Span};

use super::contexts::Contexts;
use super::error::PlanError;
use super::images::{ImageResolver, Images};
use super::request::PlanRequest;
use super::scope::Scope;
use crate::expansion::Variables;
use crate::instruction::{Command, Dockerfile, Stage, Warning, Word};
use crate::outline::{ArgOutline, MountOutline, Outline, description};

/// What a check found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What the rules say, in the order of the places.
    pub warnings: Vec<Warning>,
    /// What a build would fail of: first what stands outside the file and cannot be had, then the
    /// first thing that is wrong in the file.
    pub errors: Vec<PlanError>,
}

/// What is noted while a file is read without wanting a build.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Whether stages that the target does not need are read too.
    pub(super) all_stages: bool,
    missing: RefCell<Vec<PlanError>>,
    args: RefCell<Vec<Declared>>,
}

#[derive(Debug)]
struct Declared {
    arg: ArgOutline,
    /// Whether the value is that of a global ARG or a predefined one.
    inherited: bool,
}

impl Survey {
    /// Notes that something outside the file cannot be had.
    pub(super) fn miss(&self, error: PlanError) {
        self.missing.borrow_mut().push(error);
    }

    /// Notes an ARG of a stage.
    pub(super) fn declare(
        &self,
        name: &str,
        value: Option<&str>,
        inherited: bool,
        comments: &[Word],
        span: Span,
    ) {
        self.args.borrow_mut().push(Declared {
            arg: ArgOutline {
                name: name.to_owned(),
                value: value.map(str::to_owned),
                description: description(name, comments),
                span,
            },
            inherited,
        });
    }
}

/// Asks every rule about every stage, or about those that the request's target needs. Of several
/// platforms the first is looked at.
pub fn check(
    dockerfile: &Dockerfile,
    request: &PlanRequest,
    images: &dyn ImageResolver,
) -> Findings {
    let all_stages = request.target.as_deref().is_none_or(str::is_empty);
    let looked = look(dockerfile, request, images, all_stages, |scope, result| {
        let mut errors = scope.take_missing();
        let warnings = scope.checks.warnings();
        match result.and_then(|_| scope.checks.finish()) {
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
        Findings { warnings, errors }
    });
    looked.unwrap_or_else(|error| Findings {
        warnings: dockerfile.warnings.clone(),
        errors: vec![error],
    })
}

/// Whether two files are one to every build of this request: the same steps with the same names and
/// keys in all stages, the same configuration and history; or the same that is wrong.
pub fn is_same_build(
    one: &Dockerfile,
    other: &Dockerfile,
    request: &PlanRequest,
    images: &dyn ImageResolver,
) -> bool {
    let lowered = |dockerfile: &Dockerfile| {
        // With a target named so there is nothing but that stage.
        let all_stages = request.target.as_deref().is_none_or(str::is_empty);
        let looked = look(dockerfile, request, images, all_stages, |scope, result| {
            let (graph, state) = result.map(|lowered| (lowered.graph, lowered.state))?;
            let steps: Vec<_> = graph
                .iter()
                .map(|(id, vertex)| (id, vertex.meta.name.clone()))
                .collect();
            Ok((steps, super::finish(scope, state).config))
        });
        looked.and_then(|result: Result<_, PlanError>| result)
    };
    match (lowered(one), lowered(other)) {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) => one.message == other.message,
        _ => false,
    }
}

/// The parameters of the request's target.
///
/// # Errors
/// The first thing that is wrong with the file or the request. A base image that cannot be had is
/// no error: its triggers are not known, all else is.
pub fn outline(
    dockerfile: &Dockerfile,
    request: &PlanRequest,
    images: &dyn ImageResolver,
) -> Result<Outline, PlanError> {
    look(dockerfile, request, images, false, |scope, result| {
        let super::Lowered {
            graph,
            needed,
            target,
            ..
        } = result?;
        let stages = dockerfile.stages.iter().zip(&needed);
        let stages: Vec<&Stage> = stages
            .filter_map(|(s, needed)| needed.then_some(s))
            .collect();
        let namespace = scope.build_args.get("BUILDKIT_CACHE_MOUNT_NS");
        let mut outline = Outline {
            args: args(scope, &stages)?,
            ..mounts(&graph, namespace.unwrap_or_default())
        };
        if let Some(stage) = dockerfile.stages.get(target)
            && let Some(name) = &stage.name
        {
            let name = name.lower();
            outline.description = description(&name, &stage.comments);
            outline.name = Some(name);
        }
        Ok(outline)
    })?
}

/// Lowers for one platform and hands over what was noted meanwhile.
fn look<T>(
    dockerfile: &Dockerfile,
    request: &PlanRequest,
    images: &dyn ImageResolver,
    all_stages: bool,
    then: impl FnOnce(&Scope<'_>, Result<super::Lowered, PlanError>) -> T,
) -> Result<T, PlanError> {
    super::check_syntax(dockerfile, request)?;
    if dockerfile.stages.is_empty() {
        return Err(super::no_stages());
    }
    let images = Images::new(images);
    let contexts = Contexts::new(&request.named_contexts);
    let platform: Option<&Platform> = request.platforms.first();
    let mut scope = Scope::new(dockerfile, request, &images, &contexts, platform)?;
    scope.survey = Some(Survey {
        all_stages,
        ..Survey::default()
    });
    let result = super::lower_target(&scope);
    Ok(then(&scope, result))
}

impl Scope<'_> {
    fn take_missing(&self) -> Vec<PlanError> {
        let survey = self.survey.as_ref();
        survey.map_or_else(Vec::new, |survey| survey.missing.take())
    }
}

/// The arguments that were declared in the stages that were lowered, and those that their FROMs
/// and the defaults of those use.
fn args(scope: &Scope<'_>, stages: &[&Stage]) -> Result<Vec<ArgOutline>, PlanError> {
    let mut found: Vec<ArgOutline> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    // Names of global ones that something uses.
    let mut used: Vec<String> = Vec::new();
    let declared = scope.survey.as_ref();
    let declared = declared.map_or_else(Vec::new, |survey| survey.args.take());
    // The target is lowered last: what it says of an argument comes before what others say.
    for Declared { arg, inherited } in declared.into_iter().rev() {
        if inherited {
            used.push(arg.name.clone());
        }
        if !inherited && seen.insert(arg.name.clone()) {
            found.push(arg);
        }
    }
    let values = &scope.global.values;
    for stage in stages {
        let platform = stage.platform.as_ref().map(|word| word.text.as_str());
        for text in [Some(stage.base.text.as_str()), platform]
            .into_iter()
            .flatten()
        {
            used.extend(scope.lexer().word(text, values)?.used);
        }
    }
    let mut followed: HashSet<String> = HashSet::new();
    while let Some(name) = used.pop() {
        if !followed.insert(name.clone()) {
            continue;
        }
        let mut own = None;
        for (_, default, comments, place) in globals(scope).filter(|(n, ..)| *n == name) {
            own = Some((description(&name, comments), place));
            if let Some(default) = default {
                used.extend(scope.lexer().word(default, values)?.used);
            }
        }
        // A predefined one that no ARG of the file declares is no parameter of it.
        let Some((description, span)) = own else {
            continue;
        };
        if seen.insert(name.clone()) {
            found.push(ArgOutline {
                value: values.get(&name).map(str::to_owned),
                name,
                description,
                span,
            });
        }
    }
    found.sort_by(|a, b| (a.span.start, &a.name).cmp(&(b.span.start, &b.name)));
    Ok(found)
}

/// Name, default, comments and place of each global ARG.
fn globals<'s>(
    scope: &'s Scope<'_>,
) -> impl Iterator<Item = (&'s str, Option<&'s str>, &'s [Word], Span)> {
    let instructions = scope.dockerfile.global_args.iter();
    instructions.flat_map(|instruction| {
        let args = match &instruction.command {
            Command::Arg(args) => args.as_slice(),
            _ => &[],
        };
        args.iter().map(|arg| {
            (
                arg.name.text.as_str(),
                arg.default.as_ref().map(|word| word.text.as_str()),
                instruction.comments.as_slice(),
                instruction.span,
            )
        })
    })
}

/// What the RUNs of a graph mount; the ids of its caches begin with `namespace`.
fn mounts(graph: &Graph, namespace: &str) -> Outline {
    let mut outline = Outline::default();
    for (_, vertex) in graph.iter() {
        let (Op::Exec(exec), Some(span)) = (&vertex.op, vertex.meta.span) else {
            continue;
        };
        for mount in &exec.mounts {
            let (list, id, required) = match &mount.kind {
                MountKind::Secret { id, required, .. } => {
                    (&mut outline.secrets, id.as_str(), *required)
                }
                MountKind::Ssh { id, required, .. } => (&mut outline.ssh, id.as_str(), *required),
                MountKind::Cache { id, .. } => {
                    let id = id.strip_prefix(namespace).unwrap_or(id);
                    let id = id.strip_prefix('/').unwrap_or(id);
                    (&mut outline.caches, id, false)
                }
                MountKind::Bind { .. } | MountKind::Tmpfs { .. } => continue,
            };
            match list.iter_mut().find(|known| known.id == id) {
                Some(known) => {
                    known.required |= required;
                    if span.start < known.span.start {
                        known.span = span;
                    }
                }
                None => list.push(MountOutline {
                    id: id.to_owned(),
                    required,
                    span,
                }),
            }
        }
    }
    for list in [&mut outline.secrets, &mut outline.ssh, &mut outline.caches] {
        list.sort_by(|a, b| (a.span.start, &a.id).cmp(&(b.span.start, &b.id)));
    }
    outline
}
