//! What a build would do, without doing any of it: no step runs, no source is asked, nothing is
//! recorded. Base images are asked for as a build asks for them, as there is no plan without them; one
//! that cannot be reached has a stand-in, and then nobody can tell what the cache has.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cache::records::Records;
use frontend::BuildPlan;
use frontend::plan::{ImageName, ImageResolver, ResolveError, ResolvedImage};
use image::config::ImageConfig;
use image::{DiffId, Digest, ImageRef, Platform};
use solver::op::ImageOrigin;
use solver::schedule::{Options, Prospect, forecast};
use solver::{Op, VertexId};

use super::{Ready, Tools, parse, plan_failure, resolver, roots, solve_failure};
use crate::images::Dated;
use crate::project::Project;
use crate::report::{Class, Failure};
use crate::request::Request;

/// A plan, and what would become of it.
pub struct Foretold {
    /// What is to be done.
    pub plan: BuildPlan,
    /// What would become of each vertex; nothing is known of one that is missing here.
    pub prospects: HashMap<VertexId, Prospect>,
    /// Why nothing is known, if nothing is.
    pub reason: Option<Failure>,
}

/// Plans a project, and foretells its build where there is a store to look into.
pub fn foretell(
    project: &Project,
    request: &Request,
    tools: Result<&Tools<'_>, Failure>,
) -> Result<Foretold, Failure> {
    let source = &project.source;
    let dockerfile = parse(source)?;
    let (tools, mut reason) = match tools {
        Ok(tools) => (Some(tools), None),
        Err(failure) => (None, Some(failure)),
    };
    let images = StandIns {
        images: tools.map(|tools| resolver(request, tools)),
        unreached: Mutex::default(),
    };
    let plan = frontend::plan(&dockerfile, &request.plan, &images)
        .map_err(|error| plan_failure(error, source))?;
    if let Some(why) = images
        .unreached
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        reason.get_or_insert(why);
    }
    let prospects = match (tools, &reason) {
        (Some(tools), None) => look(project, request, tools, &plan)?,
        _ => HashMap::new(),
    };
    Ok(Foretold {
        plan,
        prospects,
        reason,
    })
}

fn look(
    project: &Project,
    request: &Request,
    tools: &Tools<'_>,
    plan: &BuildPlan,
) -> Result<HashMap<VertexId, Prospect>, Failure> {
    let ready = Ready::new(project, request, tools, plan, HashMap::new())?;
    let steps = plan.graph.iter().map(|(_, vertex)| vertex);
    let records = Records::new(tools.store, project.identity())
        .only_looking()
        .with_steps(steps);
    let options = Options {
        sandbox: tools.sandbox.clone(),
        ..Options::default()
    };
    let forecasts = forecast(
        &plan.graph,
        &roots(plan),
        &ready.executor,
        &records,
        &options,
        tools.cancel,
    );
    let forecasts =
        forecasts.map_err(|error| solve_failure(error, plan, &project.source, tools.progress))?;
    let forecasts = forecasts.into_iter();
    Ok(forecasts
        .map(|forecast| (forecast.vertex, forecast.prospect))
        .collect())
}

/// Images as a build has them, and a stand-in for one that cannot be reached.
struct StandIns<'a> {
    images: Option<Dated<'a>>,
    unreached: Mutex<Option<Failure>>,
}

impl ImageResolver for StandIns<'_> {
    fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        if let Some(images) = &self.images {
            match images.resolve(name, platform) {
                Err(error) if error.unreachable => {
                    let mut failure = Failure::new(Class::System, error.message);
                    failure.help = error.help;
                    self.unreached
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert(failure);
                }
                answer => return answer,
            }
        }
        Ok(stand_in(name, platform))
    }

    fn modified(&self, source: &Op) -> Result<Option<i64>, ResolveError> {
        match &self.images {
            Some(images) => images.modified(source),
            None => Ok(None),
        }
    }
}

/// An image of which only the name is known. It has a layer: one without any is the empty file system.
fn stand_in(name: &ImageName, platform: &Platform) -> ResolvedImage {
    let nothing = Digest::of(b"");
    let mut config = ImageConfig {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids = vec![DiffId(nothing)];
    let reference = name.text().parse::<ImageRef>();
    ResolvedImage {
        reference: reference.map_or_else(|_| name.text().to_owned(), |name| name.to_string()),
        origin: ImageOrigin::Store,
        manifest: nothing,
        config,
    }
}
