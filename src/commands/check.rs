//! `rbuild check`, and what `rbuild build --call` answers without building.

use std::collections::HashMap;
use std::io::stdout;

use frontend::ImageResolver;
use frontend::plan::{ImageName, PlanRequest, ResolveError, ResolvedImage};
use image::Platform;

use crate::cli::call::{Call, Method};
use crate::cli::check::{CheckArgs, Format};
use crate::findings::Findings;
use crate::home::Home;
use crate::images::Images;
use crate::pipeline::{fetching, parse, plan_failure};
use crate::project::Project;
use crate::project::fetch::Fetcher;
use crate::project::place::Place;
use crate::report::{Class, Failure, Source, takes_colour};
use crate::request;

mod fix;
mod lists;

/// Checks a Dockerfile.
pub fn run(args: &CheckArgs, home: &Home) -> anyhow::Result<u8> {
    if Project::is_read_once(args.file.as_deref()) {
        Home::enter()?;
    }
    let mut request = request::of_check(args)?;
    let place = Place::main(&args.context, &mut request)?;
    let project = open(&place, args, home)?;
    project.describe(&mut request);
    request.own_rules = true;
    if args.fix || args.diff {
        return fix::run(args, &request, &project, &*resolver(home, args.pull));
    }
    check(args.format, &request, &project, args.pull, home)
}

/// The project; what is no directory comes into the store.
fn open(place: &Place, args: &CheckArgs, home: &Home) -> Result<Project, Failure> {
    let file = args.file.as_deref();
    if let Some(project) = Project::local(place, file)? {
        return Ok(project);
    }
    let store = home.enter_and_open()?;
    let cancel = crate::stop::on_signal();
    let fetcher = Fetcher {
        store: &store,
        executor: fetching(&store, HashMap::new(), HashMap::new()),
        cancel: &cancel,
    };
    fetcher.load(place, file)
}

/// Answers a question about a build.
pub fn call(
    call: Call,
    request: &PlanRequest,
    project: &Project,
    pull: bool,
    home: &Home,
) -> anyhow::Result<u8> {
    let source = &project.source;
    let text = match call.method {
        Method::Check | Method::Build => {
            let format = if call.json {
                Format::Json
            } else {
                Format::Text
            };
            return check(format, request, project, pull, home);
        }
        Method::Targets => {
            let targets = frontend::outline::targets(&parse(source)?);
            if call.json {
                lists::targets_json(&targets, source)
            } else {
                lists::targets(&targets)
            }
        }
        Method::Outline => {
            let dockerfile = parse(source)?;
            let outline = frontend::plan::outline(&dockerfile, request, &*resolver(home, pull))
                .map_err(|error| plan_failure(error, source))?;
            if call.json {
                lists::outline_json(&outline, source)
            } else {
                lists::outline(&outline)
            }
        }
    };
    crate::output::print(&text)?;
    Ok(0)
}

fn check(
    format: Format,
    request: &PlanRequest,
    project: &Project,
    pull: bool,
    home: &Home,
) -> anyhow::Result<u8> {
    let images = resolver(home, pull);
    let findings = found(&project.source, request, project, &*images);
    crate::output::print(&findings.render(format, takes_colour(&stdout())))?;
    Ok(exit_code(&findings))
}

/// As docker's: whatever was found.
fn exit_code(findings: &Findings<'_>) -> u8 {
    if findings.is_empty() {
        0
    } else {
        Class::Refused.exit_code()
    }
}

/// What the rules say of `source`, the project's Dockerfile or what may take its place, and what a
/// build of it would fail of.
fn found<'p>(
    source: &'p Source,
    request: &PlanRequest,
    project: &'p Project,
    images: &dyn ImageResolver,
) -> Findings<'p> {
    let (warnings, errors) = match parse(source) {
        Ok(dockerfile) => {
            let found = frontend::check(&dockerfile, request, images);
            let errors = found.errors.into_iter();
            (
                found.warnings,
                errors.map(|error| failure(error, source)).collect(),
            )
        }
        Err(mut failure) => {
            let further = std::mem::take(&mut failure.further);
            let errors = std::iter::once(failure).chain(further);
            (Vec::new(), errors.collect())
        }
    };
    Findings {
        source,
        ignore: project.ignore_source.as_ref(),
        warnings,
        errors,
    }
}

fn failure(error: frontend::PlanError, source: &Source) -> Failure {
    if error.is_violation {
        // The warnings stand above it with their places.
        return Failure::new(Class::Yours, error.message);
    }
    plan_failure(error, source)
}

/// Reads base images from the store and the registries; where there can be no store, none.
fn resolver(home: &Home, pull: bool) -> Box<dyn ImageResolver> {
    match home.enter_and_open() {
        Ok(store) => {
            let cancel = crate::stop::on_signal();
            Box::new(Images::new(&store, pull, &cancel))
        }
        Err(failure) => Box::new(NoStore(failure)),
    }
}

/// Has no image, and says why.
struct NoStore(Failure);

impl ImageResolver for NoStore {
    fn resolve(&self, name: &ImageName, _: &Platform) -> Result<ResolvedImage, ResolveError> {
        Err(ResolveError {
            message: format!("{}: {}", name.text(), self.0.title),
            help: self.0.help.clone(),
            unreachable: false,
        })
    }
}
