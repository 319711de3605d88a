//! A build on one screen: read, plan, solve. What becomes of the result is the exporters' business.

mod foretell;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use cache::explain::Explanation;
use cache::records::Records;
use cache::{Context, SelectError, Snapshot, Store, StoreError};
use executor::cdi::Edits;
use executor::container::ContainerError;
use executor::container::spec::Resources;
use executor::ops::{Executor, ExecutorOptions, OpError, SecretSource};
use frontend::{BuildPlan, Dockerfile};
use solver::schedule::{Options, Solution, SolveError, solve};
use solver::{CacheKey, Cancel, EventSink, Op, VertexId};

use crate::contexts::{self, Origin};
use crate::images::Dated;
use crate::progress::{Kind, Progress};
use crate::project::{Project, fetch};
use crate::report::{Class, Failure, Source};
use crate::request::Request;

pub use foretell::{Foretold, foretell};

/// What a build came to.
pub struct Built {
    /// What was to be done.
    pub plan: BuildPlan,
    /// How it was done; keeps what it read from being pruned.
    pub solution: Solution<Snapshot, cache::pins::Pin>,
    /// Why steps ran, by the keys of their results.
    pub explanations: HashMap<CacheKey, Explanation>,
}

/// What a build works with beside its request.
pub struct Tools<'a> {
    /// Where results are.
    pub store: &'a Store,
    /// Reads base images.
    pub images: &'a crate::images::Images,
    /// Shows what happens.
    pub progress: &'a Progress,
    /// Where events go: to the progress, and to the build's history.
    pub events: &'a dyn EventSink,
    /// The build's id in the history.
    pub build: &'a str,
    /// Asks to stop.
    pub cancel: &'a Cancel,
    /// Steps that run at once.
    pub jobs: Option<u16>,
    /// The host's certificate bundle, if steps shall have it.
    pub host_certs: Option<PathBuf>,
    /// What the processes of RUN may use.
    pub resources: Resources,
    /// Class of the containers that can be had.
    pub sandbox: String,
}

/// The instructions of a Dockerfile, or all of its syntax errors as one failure.
pub fn parse(source: &Source) -> Result<Dockerfile, Failure> {
    frontend::parse(&source.text).map_err(|errors| {
        let mut failures = errors.into_iter().map(|error| {
            let failure = Failure::new(Class::Yours, error.message).at(source, error.span, "");
            match error.help {
                Some(help) => failure.help(help),
                None => failure,
            }
        });
        let mut first = failures
            .next()
            .unwrap_or_else(|| Failure::new(Class::Ours, "a parser without errors failed"));
        first.further = failures.collect();
        first
    })
}

/// Builds a project.
pub fn build(project: &Project, request: &Request, tools: &Tools<'_>) -> Result<Built, Failure> {
    let source = &project.source;
    let dockerfile = parse(source)?;
    let plan = frontend::plan(&dockerfile, &request.plan, &resolver(request, tools))
        .map_err(|error| plan_failure(error, source))?;
    let devices = request.devices.of_plan(&plan, source)?;

    let named = |(id, vertex): (VertexId, &solver::Vertex)| {
        let shown = !matches!(vertex.op, Op::Scratch | Op::Merge | Op::Context(_));
        let kind = match vertex.op {
            Op::Image(_) => Kind::Image,
            _ => Kind::Instruction,
        };
        shown.then(|| (id, kind, vertex.meta.name.clone()))
    };
    tools.progress.expect(plan.graph.iter().filter_map(named));
    if uses_host_network(&plan) {
        tools
            .progress
            .note("note: RUN steps share the host's network (--network=none isolates them)");
    }

    let ready = Ready::new(project, request, tools, &plan, devices)?;
    let steps = plan.graph.iter().map(|(_, vertex)| vertex);
    let records = Records::new(tools.store, project.identity())
        .in_build(tools.build)
        .with_steps(steps);
    let options = Options {
        jobs: tools.jobs.map_or(Options::default().jobs, usize::from),
        sandbox: tools.sandbox.clone(),
        ..Options::default()
    };
    let solved = solve(
        &plan.graph,
        &roots(&plan),
        &ready.executor,
        &records,
        &options,
        tools.cancel,
        tools.events,
    );
    for context in ready.contexts.values() {
        // What was learned of the files is worth keeping after a failure too; that it could not be
        // kept costs time in the next build and nothing else.
        let _ = context.save();
    }
    let solution = solved.map_err(|error| {
        let help = step_help(&error, &plan, project, request);
        let failure = solve_failure(error, &plan, source, tools.progress);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    let ran = solution
        .vertices
        .iter()
        .filter_map(|resolution| resolution.key);
    let explanations = ran
        .filter_map(|key| Some((key, records.explanation(&key)?)))
        .collect();
    Ok(Built {
        plan,
        solution,
        explanations,
    })
}

/// What an executor works with that a request describes, before there is a plan.
fn executor_options(request: &Request, tools: &Tools<'_>) -> ExecutorOptions {
    ExecutorOptions {
        secrets: request.secrets.clone(),
        ssh_agents: request.ssh_agents.clone(),
        host_certs: tools.host_certs.clone(),
        resources: tools.resources.clone(),
        registries: Some(tools.images.registries()),
        ..ExecutorOptions::new(tools.store.clone())
    }
}

/// What a plan asks of images and sources while it is made.
fn resolver<'a>(request: &Request, tools: &Tools<'a>) -> Dated<'a> {
    Dated {
        images: tools.images,
        sources: Executor::new(executor_options(request, tools)),
        cancel: tools.cancel,
    }
}

/// Fetches sources before there is a plan: with a build's secrets and agents, without contexts.
pub fn fetching(
    store: &Store,
    secrets: HashMap<String, SecretSource>,
    ssh_agents: HashMap<String, PathBuf>,
) -> Executor {
    Executor::new(ExecutorOptions {
        secrets,
        ssh_agents,
        ..ExecutorOptions::new(store.clone())
    })
}

fn uses_host_network(plan: &BuildPlan) -> bool {
    use solver::op::NetworkMode::Default;
    plan.graph
        .iter()
        .any(|(_, vertex)| matches!(&vertex.op, Op::Exec(exec) if exec.network == Default))
}

/// The results that are asked for.
fn roots(plan: &BuildPlan) -> Vec<VertexId> {
    plan.targets.iter().map(|target| target.root).collect()
}

/// What runs a plan's steps, and the files that they read.
struct Ready {
    executor: Executor,
    /// Contexts that are directories.
    contexts: HashMap<String, Arc<Context>>,
    /// Unpacked the archives, which stay as long as it does.
    _keeper: Option<Executor>,
}

impl Ready {
    fn new(
        project: &Project,
        request: &Request,
        tools: &Tools<'_>,
        plan: &BuildPlan,
        devices: HashMap<VertexId, Edits>,
    ) -> Result<Self, Failure> {
        let contexts = contexts::open(project, request, tools.store, plan)?;
        let mut trees = HashMap::new();
        let mut keeper = None;
        for name in contexts::names(plan) {
            let snapshot = match Origin::of(name, project, request) {
                Origin::Directory(_) => continue,
                Origin::Tree(tree) => tree.snapshot.clone(),
                Origin::Archive(file) => {
                    let executor = keeper.get_or_insert_with(|| {
                        let (secrets, agents) = (&request.secrets, &request.ssh_agents);
                        fetching(tools.store, secrets.clone(), agents.clone())
                    });
                    fetch::unpacked(executor, file, tools.cancel)?
                }
            };
            trees.insert(name.to_owned(), snapshot);
        }
        Ok(Self {
            executor: Executor::new(ExecutorOptions {
                contexts: contexts.clone(),
                trees,
                devices,
                ..executor_options(request, tools)
            }),
            contexts,
            _keeper: keeper,
        })
    }
}

/// What people are told of a file that cannot be built.
pub fn plan_failure(error: frontend::PlanError, source: &Source) -> Failure {
    let class = if error.unreachable {
        Class::System
    } else {
        Class::Yours
    };
    let mut failure = Failure::new(class, error.message);
    if error.is_violation {
        let causes = error.warnings.iter();
        failure.causes = causes
            .map(|warning| format!("{}: {}", warning.rule, warning.message))
            .collect();
    }
    if let Some(span) = error.span {
        failure = failure.at(source, span, "");
    }
    match error.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn solve_failure(
    error: SolveError<OpError, StoreError>,
    plan: &BuildPlan,
    source: &Source,
    progress: &Progress,
) -> Failure {
    let vertex = error.vertex();
    let mut failure = match &error {
        SolveError::Step { name, source, .. } => {
            let class = step_class(source);
            let mut failure = Failure::from_error(class, source);
            let spanless = vertex
                .and_then(|id| plan.graph.get(&id)?.meta.span)
                .is_none();
            if spanless {
                failure.causes.insert(0, format!("in the step {name}"));
            }
            failure
        }
        SolveError::Cache { source, .. } => crate::home::store_failure(source),
        SolveError::Cancelled => crate::stop::stopped(),
        SolveError::Threads(_) => Failure::from_error(Class::System, &error),
        SolveError::UnknownTarget(_) | SolveError::ContextTarget(_) => {
            Failure::from_error(Class::Ours, &error)
        }
    };
    let Some(vertex) = vertex else { return failure };
    if let Some(step) = progress.steps().of(&vertex) {
        failure.log = step.last_lines();
    }
    if let Some(span) = plan.graph.get(&vertex).and_then(|vertex| vertex.meta.span) {
        failure = failure.at(source, span, "");
    }
    failure
}

/// What to try next when a step failed.
fn step_help(
    error: &SolveError<OpError, StoreError>,
    plan: &BuildPlan,
    project: &Project,
    request: &Request,
) -> Option<String> {
    let SolveError::Step { source, .. } = error else {
        return None;
    };
    if let Some(help) = crate::hint::known(source) {
        return Some(help.to_owned());
    }
    let vertex = plan.graph.get(&error.vertex()?)?;
    let written = vertex.meta.span.and_then(|span| {
        let range: std::ops::Range<usize> = span.into();
        project.source.text.get(range)
    });
    crate::hint::not_found(
        source,
        vertex,
        &plan.graph,
        written.unwrap_or_default(),
        |name| Origin::of(name, project, request),
    )
}

/// Whose fault it is that a step failed.
pub fn step_class(error: &OpError) -> Class {
    match error {
        OpError::Store(_)
        | OpError::Layer(_)
        | OpError::NoLauncher { .. }
        | OpError::NoGit
        | OpError::NotStarted {
            cause: ContainerError::Resources { .. },
            ..
        }
        | OpError::Io { .. } => Class::System,
        OpError::Encode { .. } | OpError::NothingToRun | OpError::MissingInput { .. } => {
            Class::Ours
        }
        OpError::Cancelled => Class::Interrupted,
        OpError::Select(SelectError::Layer(_)) => Class::System,
        OpError::Select(_)
        | OpError::Context(_)
        | OpError::SelectionChanged { .. }
        | OpError::BadMode { .. }
        | OpError::NotADirectory { .. }
        | OpError::IsADirectory { .. }
        | OpError::TooManyLinks { .. }
        | OpError::MissingLinkTarget { .. }
        | OpError::BadArchive { .. }
        | OpError::ArchiveRefused { .. }
        | OpError::NoContext { .. }
        | OpError::SecretNotFound { .. }
        | OpError::SecretUnreadable { .. }
        | OpError::SecretTooLarge { .. }
        | OpError::SecretNotText { .. }
        | OpError::NoSshAgent { .. }
        | OpError::NoUserDatabase { .. }
        | OpError::NoHostGateway { .. }
        | OpError::NoInlineDirectory { .. }
        | OpError::Unsupported { .. } => Class::Yours,
        _ => Class::Step,
    }
}
