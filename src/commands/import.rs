//! `rbuild import`: a root file system tar becomes an image of one layer.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use cache::{Snapshot, Store, View};
use frontend::instruction::Command;
use frontend::plan::{ImageName, ImageResolver, PlanRequest, ResolveError, ResolvedImage};
use image::compress::{Decoder, ReadAhead};
use image::{ContainerConfig, History, ImageConfig, Platform};
use solver::LayerDigest;

use crate::cli::images::ImportArgs;
use crate::export::parse_name;
use crate::home::Home;
use crate::images::seal;
use crate::report::{Class, Failure, Source};

/// Unpacks the tar and stores the image.
pub fn run(args: &ImportArgs, home: &Home) -> anyhow::Result<u8> {
    let names = args.name.as_deref().map(parse_name).transpose()?;
    let platform = match &args.platform {
        Some(text) => text
            .parse()
            .map_err(|error: image::PlatformError| Failure::from_error(Class::Yours, &error))?,
        None => Platform::host(),
    };
    let mut config = ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        ..ImageConfig::default()
    };
    config.config = changed(&args.changes)?;
    let store = home.enter_and_open()?;
    let cancel = crate::stop::on_signal();
    let shown = args.source.display().to_string();
    let snapshot = if args.source == Path::new("-") {
        unpack(&store, std::io::stdin(), &shown)?
    } else {
        let file = File::open(&args.source).map_err(|error| unreadable(&shown, &error))?;
        unpack(&store, file, &shown)?
    };
    let now = created()?;
    config.created = Some(now.clone());
    config.history = vec![History {
        created: Some(now),
        comment: args
            .message
            .clone()
            .unwrap_or_else(|| format!("Imported from {shown}")),
        ..History::default()
    }];
    let sealed = seal(&store, &snapshot, &config, names.as_slice(), &cancel)
        .map_err(|error| error.failure())?;
    writeln!(std::io::stdout(), "{}", sealed.id)?;
    Ok(0)
}

/// When the image is said to be made: now, or what SOURCE_DATE_EPOCH says (reproducible-builds.org).
fn created() -> Result<String, Failure> {
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(crate::time::now());
    };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok());
    seconds
        .and_then(|seconds| image::time::rfc3339(seconds, 0))
        .ok_or_else(|| {
            Failure::new(
                Class::Yours,
                format!(
                    "SOURCE_DATE_EPOCH is no number of seconds: {}",
                    epoch.display()
                ),
            )
        })
}

/// The configuration that instructions make of nothing.
fn changed(changes: &[String]) -> Result<ContainerConfig, Failure> {
    const ALLOWED: &str = "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR";
    let text: String = std::iter::once("FROM scratch")
        .chain(changes.iter().map(String::as_str))
        .flat_map(|line| [line, "\n"])
        .collect();
    let source = Source {
        path: "--change".to_owned(),
        text: text.into(),
    };
    let dockerfile = crate::pipeline::parse(&source)?;
    for instruction in &dockerfile.stages[0].instructions {
        let allowed = matches!(
            instruction.command,
            Command::Cmd(_)
                | Command::Entrypoint(_)
                | Command::Env(_)
                | Command::Expose(_)
                | Command::Healthcheck(_)
                | Command::Label(_)
                | Command::OnBuild(_)
                | Command::StopSignal(_)
                | Command::User(_)
                | Command::Volume(_)
                | Command::Workdir(_)
        );
        if !allowed {
            return Err(Failure::new(
                Class::Yours,
                format!("--change cannot be {}", instruction.keyword),
            )
            .help(format!("only {ALLOWED} change a configuration")));
        }
    }
    let request = PlanRequest {
        now: crate::time::now(),
        ..PlanRequest::default()
    };
    let plan = frontend::plan(&dockerfile, &request, &NoImages).map_err(|error| {
        let failure = Failure::new(Class::Yours, error.message);
        match error.span {
            Some(span) => failure.at(&source, span, ""),
            None => failure,
        }
    })?;
    let mut config = plan
        .targets
        .into_iter()
        .next()
        .map(|target| target.config.config)
        .unwrap_or_default();
    // A build on nothing begins with these; an import is not a build.
    let says = |word: fn(&Command) -> bool| {
        dockerfile.stages[0]
            .instructions
            .iter()
            .any(|i| word(&i.command))
    };
    if !says(|command| matches!(command, Command::Workdir(_))) {
        config.working_dir.clear();
    }
    let sets_path = |command: &Command| matches!(command, Command::Env(pairs) if pairs.pairs.iter().any(|(name, _)| name.text == "PATH"));
    if !says(sets_path) {
        config.env.retain(|variable| !variable.starts_with("PATH="));
    }
    Ok(config)
}

/// Changes name no images.
struct NoImages;

impl ImageResolver for NoImages {
    fn resolve(&self, name: &ImageName, _: &Platform) -> Result<ResolvedImage, ResolveError> {
        Err(ResolveError {
            message: format!("{} cannot be used here", name.text()),
            help: None,
            unreachable: false,
        })
    }
}

fn unpack(
    store: &Store,
    from: impl Read + Send + 'static,
    shown: &str,
) -> Result<Snapshot, Failure> {
    let told = |error: &(dyn std::error::Error + 'static)| {
        let mut failure = Failure::new(Class::Yours, format!("cannot import {shown}"));
        failure.causes = std::iter::successors(Some(error), |error| error.source())
            .map(ToString::to_string)
            .collect();
        failure
    };
    let plain = Decoder::new(from).map_err(|error| told(&error))?;
    let mut tar = ReadAhead::new(plain).map_err(|error| told(&error))?;
    let new = store
        .new_layer()
        .map_err(|error| crate::home::store_failure(&error))?;
    let unpacked = new.unpack(&mut tar).map_err(|error| told(&error))?;
    let entries = unpacked.into_entries();
    if entries.is_empty() {
        return Err(Failure::new(
            Class::Yours,
            format!("cannot import {shown}: it holds no files"),
        )
        .help("give a tar of a root file system, plain or packed with gzip, xz, bzip2 or zstd"));
    }
    let layer = new
        .commit_listed(&View::default(), entries)
        .map_err(|error| told(&error))?;
    Ok(Snapshot::new([(
        layer.id,
        LayerDigest::Change(layer.change),
    )]))
}

fn unreadable(shown: &str, error: &std::io::Error) -> Failure {
    let mut failure = Failure::new(Class::Yours, format!("cannot read {shown}"));
    failure.causes = vec![error.to_string()];
    failure
}
