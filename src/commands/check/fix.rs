//! `rbuild check --fix`: what can be rewritten without changing a build.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use frontend::plan::{self, ImageName, PlanRequest, ResolveError, ResolvedImage};
use frontend::{Dockerfile, ImageResolver};
use image::Platform;
use solver::Op;

use super::{exit_code, found};
use crate::cli::check::CheckArgs;
use crate::findings::Findings;
use crate::output;
use crate::pipeline::parse;
use crate::project::{Files, Project};
use crate::replace::replace;
use crate::report::{Class, Failure, Source, note, takes_colour};

/// Times that one fix may give the next one a reason.
const ROUNDS: usize = 8;

/// Fixes the project's Dockerfile, or shows how.
pub(super) fn run(
    args: &CheckArgs,
    request: &PlanRequest,
    project: &Project,
    images: &dyn ImageResolver,
) -> anyhow::Result<u8> {
    let is_shown = args.dry_run || args.diff;
    let place = place_of(project);
    if matches!(place, Place::Elsewhere) && !is_shown {
        let failure = Failure::new(
            Class::Yours,
            format!("{} cannot be rewritten there", project.source.path),
        );
        return Err(failure
            .help("--diff shows what would change; --fix needs a file of this machine, or `-f -`")
            .into());
    }
    let images = Remembering {
        images,
        answers: Mutex::default(),
    };
    let old = &project.source;
    let fixed = Source {
        path: old.path.clone(),
        text: fixed(old, request, project, &images)?.into(),
    };
    let left = found(&fixed, request, project, &images);
    let is_changed = fixed.text != old.text;
    let on_stderr = |left: &Findings<'_>| {
        let text = left.render(args.format, takes_colour(&std::io::stderr()));
        note(text.trim_end());
    };
    if is_shown {
        output::print(&crate::diff::unified(&old.path, &old.text, &fixed.text))?;
        on_stderr(&left);
        return Ok(if is_changed {
            Class::Refused.exit_code()
        } else {
            exit_code(&left)
        });
    }
    match place {
        Place::File(path) => {
            if is_changed {
                replace(path, &old.text, &fixed.text)?;
                note(&format!("fixed {}", path.display()));
            }
            output::print(&left.render(args.format, takes_colour(&std::io::stdout())))?;
        }
        Place::Stream | Place::Elsewhere => {
            output::print(&fixed.text)?;
            on_stderr(&left);
        }
    }
    Ok(exit_code(&left))
}

/// Where a Dockerfile was read.
enum Place<'p> {
    /// A file that can be replaced.
    File(&'p Path),
    /// What was read is gone: standard input, a pipe.
    Stream,
    /// In a repository, an archive, behind a URL.
    Elsewhere,
}

fn place_of(project: &Project) -> Place<'_> {
    match (&project.dockerfile, &project.files) {
        (Some(path), _) if path.is_file() => Place::File(path),
        (Some(_), _) | (None, Files::Directory(_)) => Place::Stream,
        (None, Files::Tree(_)) if project.source.path == "-" => Place::Stream,
        (None, Files::Tree(_)) => Place::Elsewhere,
    }
}

/// The text with everything fixed that can be. A file that cannot be read stays as it is.
fn fixed(
    source: &Source,
    request: &PlanRequest,
    project: &Project,
    images: &dyn ImageResolver,
) -> Result<String, Failure> {
    let mut fixed = source.clone();
    let Ok(first) = parse(source) else {
        return Ok(fixed.text.to_string());
    };
    for _ in 0..ROUNDS {
        let dockerfile = reread(&fixed)?;
        let warnings = found(&fixed, request, project, images).warnings;
        let edits = plan::edits(&fixed.text, &dockerfile, &warnings);
        if edits.is_empty() {
            break;
        }
        fixed.text = plan::apply(&fixed.text, &edits).into();
    }
    if fixed.text != source.text {
        let last = reread(&fixed)?;
        if !plan::is_same_build(&first, &last, request, images) {
            return Err(Failure::new(
                Class::Ours,
                "the fixed Dockerfile would build something else; nothing was written",
            )
            .help("please report this, with the file"));
        }
    }
    Ok(fixed.text.to_string())
}

/// A text that was made here, which must be a Dockerfile.
fn reread(source: &Source) -> Result<Dockerfile, Failure> {
    parse(source).map_err(|mut failure| {
        failure.class = Class::Ours;
        failure
    })
}

/// Asks for each image once, however often the file is checked.
struct Remembering<'i> {
    images: &'i dyn ImageResolver,
    answers: Mutex<HashMap<(ImageName, Platform), Result<ResolvedImage, ResolveError>>>,
}

impl ImageResolver for Remembering<'_> {
    fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        let key = (name.clone(), platform.clone());
        let answers = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers().get(&key) {
            return answer.clone();
        }
        let answer = self.images.resolve(name, platform);
        answers().insert(key, answer.clone());
        answer
    }

    fn modified(&self, source: &Op) -> Result<Option<i64>, ResolveError> {
        self.images.modified(source)
    }
}
