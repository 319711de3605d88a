//! What stands outside the file: base images are read, named contexts put in their place, and
//! triggers of bases become steps. Only for what the target needs.

use std::sync::Arc;

use image::{ImageRef, Platform};

use super::contexts::Found;
use super::error::PlanError;
use super::gotext::quoted;
use super::images::{ImageName, ResolvedImage};
use super::onbuild;
use super::request::NamedContext;
use super::scope::Scope;
use super::stages::{Base, SCRATCH, Table};
use crate::suggest;

/// What a name outside the file turned out to be.
#[derive(Debug, Clone)]
pub(super) enum Ground {
    /// The empty image.
    Scratch,
    /// An image; the name of the context that put it there, if one did.
    Image(Arc<ResolvedImage>, Option<String>),
    /// A directory or URL of the request.
    Context(Found),
    /// It cannot be had, and no build is wanted.
    Unknown,
}

/// What everything outside the file turned out to be; none for what the target does not need.
#[derive(Debug)]
pub(super) struct Grounds {
    /// For each stage that does not start from another one.
    pub(super) stages: Vec<Option<Ground>>,
    /// For each external.
    pub(super) externals: Vec<Option<Ground>>,
    /// Which stages are to be lowered.
    pub(super) needed: Vec<bool>,
}

/// Images that suggestions for a wrong name are taken from.
const COMMON: [&str; 7] = [
    "alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora",
];

/// Resolves what `target` needs, until no trigger brings anything new.
pub(super) fn resolve(
    scope: &Scope<'_>,
    table: &mut Table<'_>,
    target: usize,
) -> Result<Grounds, PlanError> {
    let mut grounds = Grounds {
        stages: vec![None; table.stages.len()],
        externals: Vec::new(),
        needed: Vec::new(),
    };
    loop {
        let (mut stages, mut externals) = table.reachable(target);
        if scope
            .survey
            .as_ref()
            .is_some_and(|survey| survey.all_stages)
        {
            stages.fill(true);
            externals.fill(true);
        }
        grounds.externals.resize(externals.len(), None);
        grounds.needed = stages;
        prepare(scope, table, &grounds, &externals);
        for (number, node) in table.stages.iter().enumerate() {
            if !grounds.needed[number] || grounds.stages[number].is_some() {
                continue;
            }
            let platform = node.platform.as_ref().unwrap_or(&scope.target);
            let ground = match &node.base {
                Base::Stage(_) => continue,
                Base::Scratch => Ok(Ground::Scratch),
                Base::Replaced(found) => of_context(scope, found, platform),
                Base::Image(name) => of_name(scope, table, name, platform),
            };
            let ground = ground.map_err(|error| error.at(node.stage.span));
            grounds.stages[number] = Some(or_unknown(scope, ground)?);
        }
        for (number, external) in table.externals.iter().enumerate() {
            if externals[number] && grounds.externals[number].is_none() {
                let ground = of_name(scope, table, &external.name, &scope.target);
                let ground = ground.map_err(|error| error.at(external.span));
                grounds.externals[number] = Some(or_unknown(scope, ground)?);
            }
        }
        if !onbuild::add_triggers(table, &grounds)? {
            return Ok(grounds);
        }
    }
}

/// When no build is wanted, what cannot be had is noted and does not stop anything.
fn or_unknown(scope: &Scope<'_>, ground: Result<Ground, PlanError>) -> Result<Ground, PlanError> {
    match (ground, &scope.survey) {
        (Err(error), Some(survey)) => {
            survey.miss(error);
            Ok(Ground::Unknown)
        }
        (ground, _) => ground,
    }
}

/// Asks for all images at once that are not known yet.
fn prepare(scope: &Scope<'_>, table: &Table<'_>, grounds: &Grounds, externals: &[bool]) {
    let mut wanted: Vec<(ImageName, Platform)> = Vec::new();
    let mut want = |name: &str, platform: &Platform| {
        let name = match scope.contexts.find(name, platform) {
            Some(found) => match found.context {
                NamedContext::Image(image) => ImageName::Reference(reference_of(&image).to_owned()),
                NamedContext::Layout(layout) => ImageName::Layout(layout),
                NamedContext::Directory | NamedContext::Url(_) => return,
            },
            None if name.parse::<ImageRef>().is_ok() => ImageName::Reference(name.to_owned()),
            None => return,
        };
        let wish = (name, platform.clone());
        if wish.0.text() != SCRATCH && !wanted.contains(&wish) {
            wanted.push(wish);
        }
    };
    for (number, node) in table.stages.iter().enumerate() {
        if grounds.needed[number] && grounds.stages[number].is_none() {
            let platform = node.platform.as_ref().unwrap_or(&scope.target);
            match &node.base {
                Base::Image(name) => want(name, platform),
                Base::Replaced(found) => want(&found.name, platform),
                Base::Scratch | Base::Stage(_) => {}
            }
        }
    }
    for (number, external) in table.externals.iter().enumerate() {
        if externals[number] && grounds.externals[number].is_none() {
            want(&external.name, &scope.target);
        }
    }
    scope.images.prepare(&wanted);
}

/// What an image's name stands for.
fn of_name(
    scope: &Scope<'_>,
    table: &Table<'_>,
    name: &str,
    platform: &Platform,
) -> Result<Ground, PlanError> {
    if name == SCRATCH {
        return Ok(Ground::Scratch);
    }
    if let Err(error) = name.parse::<ImageRef>() {
        return Err(PlanError::new(format!(
            "failed to parse stage name {}: {error}",
            quoted(name)
        )));
    }
    if let Some(found) = scope.contexts.find(name, platform) {
        return of_context(scope, &found, platform);
    }
    let image = ImageName::Reference(name.to_owned());
    match scope.images.get(&image, platform) {
        Ok(image) => Ok(Ground::Image(image, None)),
        Err(error) => Err(PlanError {
            help: error.help,
            unreachable: error.unreachable,
            ..PlanError::new(suggest::with_suggestion(
                prefixed(name, error.message),
                name,
                table.names().chain(COMMON),
            ))
        }),
    }
}

/// What a named context stands for.
fn of_context(scope: &Scope<'_>, found: &Found, platform: &Platform) -> Result<Ground, PlanError> {
    let image = match &found.context {
        NamedContext::Directory | NamedContext::Url(_) => {
            return Ok(Ground::Context(found.clone()));
        }
        NamedContext::Image(reference) => match reference_of(reference) {
            SCRATCH => return Ok(Ground::Scratch),
            reference => ImageName::Reference(reference.to_owned()),
        },
        NamedContext::Layout(layout) => ImageName::Layout(layout.clone()),
    };
    match scope.images.get(&image, platform) {
        Ok(image) => Ok(Ground::Image(image, Some(found.name.clone()))),
        Err(error) => Err(PlanError {
            help: error.help,
            unreachable: error.unreachable,
            ..PlanError::new(format!(
                "build context {}: {}",
                found.name,
                prefixed(image.text(), error.message)
            ))
        }),
    }
}

/// `name: message`, unless the message names it already.
fn prefixed(name: &str, message: String) -> String {
    if message.contains(name) {
        message
    } else {
        format!("{name}: {message}")
    }
}

fn reference_of(text: &str) -> &str {
    text.strip_prefix("docker-image://").unwrap_or(text)
}
