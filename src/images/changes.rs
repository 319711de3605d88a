//! `--change`: Dockerfile instructions on a configuration alone, without a build.

use frontend::instruction::Command;
use frontend::plan::{ImageName, ImageResolver, PlanRequest, ResolveError, ResolvedImage};
use image::{ContainerConfig, Digest, ImageConfig, Platform};
use solver::op::ImageOrigin;

use crate::report::{Class, Failure, Source};

/// The configuration that instructions make of `base`, or of nothing.
pub fn changed(base: Option<&ImageConfig>, changes: &[String]) -> Result<ContainerConfig, Failure> {
    const ALLOWED: &str = "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR";
    let text: String = std::iter::once(if base.is_some() {
        "FROM base"
    } else {
        "FROM scratch"
    })
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
                format!("{} is not a valid change command", instruction.keyword),
            )
            .help(format!("only {ALLOWED} change a configuration")));
        }
    }
    let request = PlanRequest {
        now: crate::time::now(),
        ..PlanRequest::default()
    };
    let mut base = base.cloned();
    // Those of the base wait for a build on the image, and are not obeyed now.
    let mut triggers = base
        .as_mut()
        .map_or_else(Vec::new, |base| std::mem::take(&mut base.config.on_build));
    let plan = frontend::plan(&dockerfile, &request, &Base(base.as_ref())).map_err(|error| {
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
    triggers.append(&mut config.on_build);
    config.on_build = triggers;
    // A build says these of what it makes, and a change is no build.
    let old = base.as_ref().map(|base| &base.config);
    config.args_escaped = old.is_some_and(|old| old.args_escaped);
    let says = |word: fn(&Command) -> bool| {
        dockerfile.stages[0]
            .instructions
            .iter()
            .any(|i| word(&i.command))
    };
    if old.is_none() && !says(|command| matches!(command, Command::Workdir(_))) {
        config.working_dir.clear();
    }
    let sets_path = |command: &Command| matches!(command, Command::Env(pairs) if pairs.pairs.iter().any(|(name, _)| name.text == "PATH"));
    let is_path = |variable: &String| variable.starts_with("PATH=");
    if !says(sets_path) && !old.is_some_and(|old| old.env.iter().any(is_path)) {
        config.env.retain(|variable| !variable.starts_with("PATH="));
    }
    Ok(config)
}

/// Changes name no images but the one that is changed.
struct Base<'a>(Option<&'a ImageConfig>);

impl ImageResolver for Base<'_> {
    fn resolve(&self, name: &ImageName, _: &Platform) -> Result<ResolvedImage, ResolveError> {
        match self.0 {
            Some(config) if name.text() == "base" => Ok(ResolvedImage {
                reference: "base".to_owned(),
                origin: ImageOrigin::Store,
                manifest: Digest::of(b""),
                config: config.clone(),
            }),
            _ => Err(ResolveError {
                message: format!("{} cannot be used here", name.text()),
                help: None,
                unreachable: false,
            }),
        }
    }
}
