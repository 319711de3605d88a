//! `rbuild build`.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use cache::Store;
use cache::builds::{Build, BuildResult, StepOutcome, StepRecord};
use image::{Digest, ImageRef};
use serde_json::json;
use solver::schedule::Outcome;
use solver::{Event, EventSink, Op};

use crate::cli::BuildArgs;
use crate::cli::build::Progress as Mode;
use crate::cli::call::{Call, Method};
use crate::cli::value::{Output, OutputKind};
use crate::containers::limits;
use crate::export::{Export, Made, Written, parse_name, unwritable};
use crate::home::Home;
use crate::images::{self, Images, seal_again};
use crate::pipeline::{self, Built, Tools};
use crate::progress::{self, Kind, Progress};
use crate::project::Project;
use crate::project::fetch::Fetcher;
use crate::project::place::Place;
use crate::report::{Class, Failure};
use crate::request::Request;

/// Builds a project and hands its result to whoever is to have it.
pub fn run(args: &BuildArgs, home: &Home) -> anyhow::Result<u8> {
    if let Some(flag) = args.unfinished.first() {
        return Err(
            Failure::new(Class::Yours, format!("{flag} is not done yet"))
                .help("build without it; `rbuild build --help` lists what there is")
                .into(),
        );
    }
    if Project::is_read_once(args.plan.file.as_deref()) {
        Home::enter()?;
    }
    let mut request = Request::new(&args.plan)?;
    let place = Place::main(&args.plan.context, &mut request.plan)?;
    if place.directory().is_none() {
        // Standard input must not be read before, nor anything be fetched twice.
        Home::enter()?;
    }
    let resources = limits::of_build(&args.limits())?;
    let (project, opened) = open(&place, args, &request, home)?;
    project.describe(&mut request.plan);
    let call = if args.check { Call::CHECK } else { args.call };
    if call.method != Method::Build {
        return super::check::call(call, &request.plan, &project, args.plan.pull, home);
    }
    let names = args
        .tags
        .iter()
        .map(|name| parse_name(name))
        .collect::<Result<Vec<_>, _>>()?;
    let outputs = outputs(args)?;
    if let Some(file) = &args.iidfile {
        if outputs
            .iter()
            .any(|output| matches!(output.kind, OutputKind::Local | OutputKind::Tar))
        {
            return Err(Failure::new(
                Class::Yours,
                "--iidfile needs an image; local and tar outputs have no id",
            )
            .into());
        }
        // An id of an earlier build must not be taken for this one's.
        let _ = std::fs::remove_file(file);
    }
    let (store, progress) = match opened {
        Some(opened) => opened,
        None => (home.enter_and_open()?, progress_of(args)),
    };
    let cancel = crate::stop::on_signal();
    let images = Images::new(&store, args.plan.pull, &cancel);
    let target = args.plan.target.as_deref().unwrap_or_default();
    let history = store
        .begin_build(&project.identity(), &project.source.path, target)
        .map_err(|error| crate::home::store_failure(&error))?;
    let log = EventLog {
        progress: progress.clone(),
        file: Mutex::new(BufWriter::new(history.events())),
    };
    let tools = Tools {
        store: &store,
        images: &images,
        progress: &progress,
        events: &log,
        build: history.id(),
        cancel: &cancel,
        jobs: args.jobs,
        host_certs: args.host_certs.then(host_certificates).transpose()?,
        resources,
        sandbox: Home::sandbox(),
    };
    let result = pipeline::build(&project, &request, &tools).and_then(|mut built| {
        for (target, snapshot) in built.plan.targets.iter_mut().zip(&built.solution.outputs) {
            images::of_layers(&store, snapshot, target)
                .map_err(|error| crate::home::store_failure(&error))?;
        }
        let made = deliver(args, &names, &outputs, &built, &tools)?;
        Ok((built, made))
    });
    drop(log);
    if let Ok((built, _)) = &result {
        for warning in &built.plan.warnings {
            let text = crate::report::warning(warning, project.source_of(warning.text));
            progress.note(text.trim_end());
        }
    }
    if result.is_ok() && !names.is_empty() {
        let names: Vec<String> = names.iter().map(ImageRef::familiar).collect();
        progress.note(&format!("image {}", names.join(", ")));
    }
    progress.finish();
    match result {
        Ok((built, made)) => {
            remember(
                history,
                BuildResult::Succeeded,
                "",
                &names,
                &made,
                steps(&built, &progress),
            );
            finish(args, &names, &made)
        }
        Err(mut failure) => {
            // Whatever failed then, it is that somebody asked to stop.
            if cancel.is_cancelled() && failure.class != Class::Step {
                failure = crate::stop::stopped();
            }
            if failure.class == Class::Step {
                failure.log_file =
                    Some(store.build_events(history.id())).filter(|file| file.exists());
            }
            let how = if failure.class == Class::Interrupted {
                BuildResult::Cancelled
            } else {
                BuildResult::Failed
            };
            remember(
                history,
                how,
                &failure.title,
                &names,
                &Delivered::default(),
                shown_steps(&progress),
            );
            Err(failure.into())
        }
    }
}

/// The project, and what had to be opened to get it: nothing for a directory.
fn open(
    place: &Place,
    args: &BuildArgs,
    request: &Request,
    home: &Home,
) -> Result<(Project, Option<(Store, Progress)>), Failure> {
    let file = args.plan.file.as_deref();
    if let Some(project) = Project::local(place, file)? {
        return Ok((project, None));
    }
    let store = home.enter_and_open()?;
    let cancel = crate::stop::on_signal();
    let progress = progress_of(args);
    if let Place::Remote(_, url) = place {
        progress.note(&format!("context {}", image::http::masked(url)));
    }
    let executor = pipeline::fetching(&store, request.secrets.clone(), request.ssh_agents.clone());
    let fetcher = Fetcher {
        store: &store,
        executor,
        cancel: &cancel,
    };
    let project = fetcher.load(place, file)?;
    Ok((project, Some((store, progress))))
}

fn progress_of(args: &BuildArgs) -> Progress {
    Progress::new(if args.quiet {
        Mode::Quiet
    } else {
        args.progress
    })
}

/// What a build gave away.
#[derive(Default)]
struct Delivered {
    /// The image in the store.
    image: Option<(Digest, Digest)>,
    /// What was written last.
    written: Option<Written>,
}

/// Stores the image and writes every output.
fn deliver(
    args: &BuildArgs,
    names: &[ImageRef],
    outputs: &[Output],
    built: &Built,
    tools: &Tools<'_>,
) -> Result<Delivered, Failure> {
    let made: Vec<Made<'_>> = built
        .plan
        .targets
        .iter()
        .zip(&built.solution.outputs)
        .map(|(target, snapshot)| Made { target, snapshot })
        .collect();
    let mut delivered = Delivered::default();
    // Who needs no id gets a draft: the id is the digest of what would be read once more for it.
    let wants_id = args.load
        || args.quiet
        || args.iidfile.is_some()
        || args.metadata_file.is_some() && !names.is_empty()
        || outputs
            .iter()
            .any(|output| output.kind == OutputKind::Image);
    if let Some(first) = made.first()
        && !wants_id
        && !names.is_empty()
    {
        let target = first.target;
        let is_dated = target.epoch.is_some();
        images::draft(tools.store, first.snapshot, &target.config, is_dated, names)
            .map_err(|error| error.failure())?;
    }
    if wants_id {
        // Of several platforms the store's names lead to the first; archives and registries get all.
        if let Some(first) = made.first() {
            let sealed = seal_again(
                tools.store,
                first.snapshot,
                &first.target.config,
                first.target.epoch.is_some(),
                names,
                tools.cancel,
            )
            .map_err(|error| error.failure())?;
            delivered.image = Some((sealed.id, sealed.manifest));
        }
    }
    let export = Export {
        images: tools.images,
        made: &made,
        names,
        progress: tools.progress,
        cancel: tools.cancel,
    };
    for output in outputs {
        let written = export.write(output)?;
        if written.descriptor.is_some() {
            delivered.written = Some(written);
        }
    }
    Ok(delivered)
}

/// Outputs of `--output`, `--push` and `--load`.
fn outputs(args: &BuildArgs) -> Result<Vec<Output>, Failure> {
    let mut outputs = args.outputs.clone();
    if args.push {
        outputs.push(
            "type=registry"
                .parse()
                .map_err(|text: String| Failure::new(Class::Ours, text))?,
        );
    }
    // `type=docker` without a destination is `--load`: the image stays in the store.
    for output in &mut outputs {
        if output.kind == OutputKind::Docker && output.dest.is_none() {
            output.kind = OutputKind::Image;
        }
    }
    let to_stdout = outputs.iter().filter(|output| {
        let to_file = output
            .dest
            .as_deref()
            .is_some_and(|dest| dest != Path::new("-"));
        !to_file
            && matches!(
                output.kind,
                OutputKind::Oci | OutputKind::Docker | OutputKind::Tar
            )
    });
    if to_stdout.count() > 1 {
        return Err(Failure::new(
            Class::Yours,
            "only one output can go to standard output",
        ));
    }
    Ok(outputs)
}

/// Prints the id, and writes the files that scripts read.
fn finish(args: &BuildArgs, names: &[ImageRef], made: &Delivered) -> anyhow::Result<u8> {
    let id = made
        .image
        .map(|(id, _)| id)
        .or_else(|| made.written.as_ref().and_then(|written| written.config));
    if let Some(file) = &args.iidfile {
        let digest = id.or_else(|| Some(made.written.as_ref()?.descriptor.as_ref()?.digest));
        let text = digest.map(|digest| digest.to_string()).unwrap_or_default();
        std::fs::write(file, text).map_err(|error| unwritable(file, &error))?;
    }
    if let Some(file) = &args.metadata_file {
        let mut metadata = json!({});
        if let Some(id) = id {
            metadata["containerimage.config.digest"] = json!(id.to_string());
        }
        if let Some(descriptor) = made
            .written
            .as_ref()
            .and_then(|written| written.descriptor.as_ref())
        {
            metadata["containerimage.digest"] = json!(descriptor.digest.to_string());
            metadata["containerimage.descriptor"] = json!(descriptor);
        }
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            metadata["image.name"] = json!(names.join(","));
        }
        let text = serde_json::to_vec_pretty(&metadata)?;
        std::fs::write(file, text).map_err(|error| unwritable(file, &error))?;
    }
    if args.quiet
        && let Some(id) = id
    {
        writeln!(std::io::stdout(), "{id}")?;
    }
    Ok(0)
}

/// Keeps a build's history. That it could not be kept must not fail a build that is done.
fn remember(
    history: Build,
    result: BuildResult,
    message: &str,
    names: &[ImageRef],
    made: &Delivered,
    steps: Vec<StepRecord>,
) {
    let names = names.iter().map(ImageRef::familiar).collect();
    let image = made.image.map(|(_, manifest)| (manifest, names));
    let _ = history.finish(result, message, image, steps);
}

fn steps(built: &Built, progress: &Progress) -> Vec<StepRecord> {
    let shown = progress.steps();
    built
        .solution
        .vertices
        .iter()
        .filter_map(|resolution| {
            let vertex = built.plan.graph.get(&resolution.vertex)?;
            let outcome = match resolution.how {
                Outcome::Cached(_) => StepOutcome::Cached,
                Outcome::Ran => StepOutcome::Done,
                Outcome::Skipped => StepOutcome::Skipped,
                Outcome::Free => return None,
            };
            Some(StepRecord {
                name: vertex.meta.name.clone(),
                stage: vertex.meta.stage.clone(),
                step: vertex.meta.step,
                outcome,
                key: resolution.key,
                reason: shown
                    .of(&resolution.vertex)
                    .and_then(|step| step.reason.clone())
                    .unwrap_or_default(),
                explanation: resolution
                    .key
                    .and_then(|key| built.explanations.get(&key).cloned()),
                elapsed: resolution.elapsed.as_secs_f64(),
                is_image: matches!(vertex.op, Op::Image(_)),
            })
        })
        .collect()
}

/// What is known of the steps of a build that did not come to its end.
fn shown_steps(progress: &Progress) -> Vec<StepRecord> {
    progress
        .steps()
        .of_build()
        .filter_map(|step| {
            let (outcome, elapsed) = step.ended()?;
            Some(StepRecord {
                name: step.name.clone(),
                stage: String::new(),
                step: 0,
                outcome,
                key: None,
                reason: step.reason.clone().unwrap_or_default(),
                explanation: None,
                elapsed: elapsed.as_secs_f64(),
                is_image: step.kind == Kind::Image,
            })
        })
        .collect()
}

/// The usual places of a certificate bundle.
fn host_certificates() -> Result<std::path::PathBuf, Failure> {
    let from_env = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let usual = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    from_env
        .into_iter()
        .chain(usual.map(Into::into))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::new(
                Class::System,
                "--host-certs: this machine has no certificate bundle",
            )
            .help("install ca-certificates, or name a bundle in SSL_CERT_FILE")
        })
}

/// Shows events and keeps them on disk.
struct EventLog<'a> {
    progress: Progress,
    file: Mutex<BufWriter<&'a std::fs::File>>,
}

impl EventSink for EventLog<'_> {
    fn event(&self, event: Event) {
        if !matches!(event, Event::Progress { .. }) {
            let mut file = self
                .file
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            // A history that cannot be written must not stop the build.
            let _ = writeln!(file, "{}", progress::to_value(&event));
            if matches!(event, Event::Log { .. }) {
                // Who waits for the step in another process reads it.
                let _ = file.flush();
            }
        }
        self.progress.event(event);
    }
}
