//! `rbuild graph`.

use std::io::{IsTerminal, stdout};

use executor::container::spec::Resources;
use frontend::plan::MAIN_CONTEXT;
use solver::Event;

use crate::cli::build::Progress as Mode;
use crate::cli::graph::{GraphArgs, GraphFormat};
use crate::cli::plan::PlanArgs;
use crate::contexts::Origin;
use crate::graph::{Look, Picture, dot, json, svg, text};
use crate::home::Home;
use crate::images::Images;
use crate::pipeline::{self, Foretold, Tools, fetching};
use crate::progress::Progress;
use crate::project::Project;
use crate::project::fetch::Fetcher;
use crate::project::place::Place;
use crate::report::{Failure, takes_colour};
use crate::request::Request;

/// Draws the plan of a build.
pub fn run(args: &GraphArgs, home: &Home) -> anyhow::Result<u8> {
    let plan = &args.plan;
    if Project::is_read_once(plan.file.as_deref()) {
        Home::enter()?;
    }
    let mut request = Request::new(plan)?;
    let place = Place::main(&plan.context, &mut request.plan)?;
    if place.directory().is_none() {
        Home::enter()?;
    }
    let progress = Progress::new(Mode::Plain);
    let (project, foretold) = look(&place, plan, &mut request, home, &progress)?;
    if let Some(reason) = &foretold.reason {
        progress.note(&format!(
            "note: it cannot be told what the cache has: {}",
            reason.title
        ));
    }
    let context = Origin::of(MAIN_CONTEXT, &project, &request).shown();
    let picture = Picture::of(&foretold, &context);
    let drawn = match args.format {
        GraphFormat::Text => text::draw(&picture, &look_of_stdout()),
        GraphFormat::Dot => dot::draw(&picture),
        GraphFormat::Json => json::draw(&picture, &foretold.plan),
        GraphFormat::Svg => svg::draw(&picture),
    };
    crate::output::print(&drawn)?;
    Ok(0)
}

fn look(
    place: &Place,
    args: &PlanArgs,
    request: &mut Request,
    home: &Home,
    progress: &Progress,
) -> Result<(Project, Foretold), Failure> {
    let file = args.file.as_deref();
    // What is wrong with the files is said before anything that is wrong with the machine.
    let local = Project::local(place, file)?;
    let store = home.enter_and_open();
    let cancel = crate::stop::on_signal();
    let (store, project) = match (store, local) {
        (Ok(store), Some(project)) => (store, project),
        (Ok(store), None) => {
            let executor = fetching(&store, request.secrets.clone(), request.ssh_agents.clone());
            let fetcher = Fetcher {
                store: &store,
                executor,
                cancel: &cancel,
            };
            let project = fetcher.load(place, file)?;
            (store, project)
        }
        (Err(failure), None) => return Err(failure),
        (Err(failure), Some(project)) => {
            let foretold = pipeline::foretell(&project, request, Err(failure))?;
            return Ok((project, foretold));
        }
    };
    project.describe(&mut request.plan);
    let images = Images::new(&store, args.pull, &cancel);
    let tools = Tools {
        store: &store,
        images: &images,
        progress,
        events: &|_: Event| {},
        build: "",
        cancel: &cancel,
        jobs: None,
        host_certs: None,
        resources: Resources::default(),
        sandbox: Home::sandbox(),
    };
    let foretold = pipeline::foretell(&project, request, Ok(&tools))?;
    Ok((project, foretold))
}

/// How wide and how colourful standard output may be.
fn look_of_stdout() -> Look {
    let is_terminal = stdout().is_terminal();
    let columns = crate::terminal::size().filter(|_| is_terminal);
    Look {
        width: columns.map(|(_, columns)| usize::from(columns)),
        colour: takes_colour(&stdout()),
    }
}
