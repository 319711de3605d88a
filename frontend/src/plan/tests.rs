//! Lowering, end to end: Dockerfiles in, graphs and configurations out.

mod bases;
mod errors;
mod files;
mod processes;
mod survey;
mod warnings;

use std::collections::HashMap;
use std::sync::Mutex;

use image::{DiffId, Digest, ImageConfig, Platform};
use proptest::prelude::*;
use solver::op::{CopyOp, ExecOp, ImageOrigin, Op};
use solver::{Vertex, VertexId};

use super::*;
use crate::parser;

/// Knows a few images, and notes who was asked for.
#[derive(Default)]
pub(super) struct Registry {
    images: HashMap<String, ImageConfig>,
    asked: Mutex<Vec<String>>,
    /// The time of every remote source.
    pub(super) modified: Option<i64>,
}

impl Registry {
    /// `busybox`, with one layer and one entry of history.
    pub(super) fn new() -> Self {
        Self::default().with("busybox", |config| {
            config.config.cmd = Some(vec!["sh".to_owned()]);
        })
    }

    /// Adds an image made from the usual one.
    pub(super) fn with(mut self, name: &str, change: impl FnOnce(&mut ImageConfig)) -> Self {
        let mut config = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            history: vec![image::History {
                created: Some("2000-01-01T00:00:00Z".to_owned()),
                created_by: "base".to_owned(),
                ..image::History::default()
            }],
            ..ImageConfig::default()
        };
        config.config.env = vec!["PATH=/bin".to_owned()];
        config.rootfs.diff_ids = vec![DiffId(Digest::of(name.as_bytes()))];
        change(&mut config);
        self.images.insert(name.to_owned(), config);
        self
    }

    pub(super) fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

impl ImageResolver for Registry {
    fn modified(&self, source: &Op) -> Result<Option<i64>, ResolveError> {
        self.asked.lock().unwrap().push(format!("{source:?}"));
        Ok(self.modified)
    }

    fn resolve(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        let text = name.text();
        self.asked
            .lock()
            .unwrap()
            .push(format!("{text} {platform}"));
        let Some(config) = self.images.get(text) else {
            return Err(ResolveError {
                message: format!("{text}: not found"),
                help: None,
                unreachable: false,
            });
        };
        let mut config = config.clone();
        if config.architecture == "amd64" {
            config.architecture.clone_from(&platform.architecture);
        }
        Ok(ResolvedImage {
            reference: format!("docker.io/library/{text}:latest"),
            origin: ImageOrigin::Store,
            manifest: Digest::of(text.as_bytes()),
            config,
        })
    }
}

/// What most tests ask for: nothing special, on a machine that is always the same.
pub(super) fn request() -> PlanRequest {
    PlanRequest {
        now: "2026-01-02T03:04:05Z".to_owned(),
        platforms: vec![Platform::new("linux", "amd64", "")],
        ..PlanRequest::default()
    }
}

pub(super) fn try_plan(
    text: &str,
    request: &PlanRequest,
    registry: &Registry,
) -> Result<BuildPlan, PlanError> {
    let dockerfile = parser::parse(text).unwrap_or_else(|errors| panic!("{errors:?} in {text}"));
    plan(&dockerfile, request, registry)
}

pub(super) fn plan_of(text: &str) -> BuildPlan {
    plan_with(text, &request())
}

pub(super) fn plan_with(text: &str, request: &PlanRequest) -> BuildPlan {
    try_plan(text, request, &Registry::new()).unwrap_or_else(|error| panic!("{error} in {text}"))
}

pub(super) fn error_of(text: &str) -> PlanError {
    error_with(text, &request())
}

pub(super) fn error_with(text: &str, request: &PlanRequest) -> PlanError {
    match try_plan(text, request, &Registry::new()) {
        Err(error) => error,
        Ok(_) => panic!("no error in {text}"),
    }
}

impl BuildPlan {
    fn vertex(&self, id: &VertexId) -> &Vertex {
        self.graph.get(id).unwrap()
    }

    /// The ops from the first to the last of the first target's root.
    pub(super) fn chain(&self) -> Vec<&Vertex> {
        let mut chain = Vec::new();
        let mut next = Some(self.targets[0].root);
        while let Some(id) = next {
            let vertex = self.vertex(&id);
            chain.push(vertex);
            next = vertex.inputs.first().copied();
        }
        chain.reverse();
        chain
    }

    pub(super) fn names(&self) -> Vec<&str> {
        let names = self
            .graph
            .iter()
            .map(|(_, vertex)| vertex.meta.name.as_str());
        names.filter(|name| name.starts_with('[')).collect()
    }

    /// The last RUN.
    pub(super) fn exec(&self) -> &ExecOp {
        let mut ops = self.chain().into_iter().rev().map(|vertex| &vertex.op);
        let found = ops.find_map(|op| match op {
            Op::Exec(exec) => Some(exec),
            _ => None,
        });
        found.unwrap()
    }

    /// The last COPY or ADD.
    pub(super) fn copy(&self) -> (&CopyOp, &Vertex) {
        let all: Vec<&Vertex> = self.graph.iter().map(|(_, vertex)| vertex).collect();
        let mut ops = all.into_iter().rev();
        let found = ops.find_map(|vertex| match &vertex.op {
            Op::Copy(copy) => Some((copy, vertex)),
            _ => None,
        });
        found.unwrap()
    }

    pub(super) fn config(&self) -> &image::ContainerConfig {
        &self.targets[0].config.config
    }

    /// History after the base's, with `-` in front of entries without a layer.
    pub(super) fn history(&self) -> Vec<String> {
        let target = &self.targets[0];
        let entries = target.config.history[target.base_history..].iter();
        entries
            .map(|entry| {
                let mark = if entry.empty_layer { "-" } else { "" };
                format!("{mark}{}", entry.created_by)
            })
            .collect()
    }
}

#[test]
fn the_configuration_follows_the_instructions() {
    let plan = plan_of(
        "FROM busybox\n\
         MAINTAINER me <me@example.org>\n\
         ENV A=1 B=$A\n\
         LABEL a=\"x y\" b=$A\n\
         EXPOSE 80 53/UDP 7000-7001\n\
         VOLUME /v [x]\n\
         VOLUME [\"/w w\"]\n\
         STOPSIGNAL SIGUSR1\n\
         USER app:$A\n\
         WORKDIR rel/./x\n\
         SHELL [\"/bin/bash\", \"-c\"]\n\
         CMD run it\n\
         HEALTHCHECK --interval=1m30s --retries=3 CMD check\n",
    );
    let config = plan.config();
    assert_eq!(config.env, ["PATH=/bin", "A=1", "B="]);
    assert_eq!(config.labels["a"], "x y");
    assert_eq!(config.labels["b"], "1");
    let ports: Vec<&String> = config.exposed_ports.keys().collect();
    assert_eq!(ports, ["53/udp", "7000/tcp", "7001/tcp", "80/tcp"]);
    assert_eq!(config.user, "app:1");
    assert_eq!(config.working_dir, "/rel/x");
    assert_eq!(
        config.cmd.as_deref(),
        Some(&["/bin/bash", "-c", "run it"].map(str::to_owned)[..])
    );
    assert!(config.args_escaped);
    assert_eq!(config.stop_signal, "SIGUSR1");
    assert_eq!(plan.targets[0].config.author, "me <me@example.org>");
    assert_eq!(
        config.healthcheck.as_ref().unwrap().test,
        ["CMD-SHELL", "check"]
    );
    assert_eq!(
        plan.history(),
        [
            "-MAINTAINER me <me@example.org>",
            "-ENV A=1 B=",
            "-LABEL a=x y b=1",
            "-EXPOSE [53/udp 7000/tcp 7001/tcp 80/tcp]",
            "-VOLUME [/v [x]]",
            "-VOLUME [/w w]",
            "-STOPSIGNAL SIGUSR1",
            "-USER app:1",
            "WORKDIR /rel/x",
            "-SHELL [/bin/bash -c]",
            "-CMD [\"/bin/bash\" \"-c\" \"run it\"]",
            "-HEALTHCHECK {Test:[CMD-SHELL check] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}",
        ]
    );
    let target = &plan.targets[0];
    assert_eq!((target.base_history, target.base_layers), (1, 1));
    assert_eq!(
        target.config.created.as_deref(),
        Some("2026-01-02T03:04:05Z")
    );
}

#[test]
fn an_entrypoint_drops_the_command_of_a_base() {
    let command = |text: &str| plan_of(text).config().cmd.clone();
    assert_eq!(command("FROM busybox\nENTRYPOINT [\"x\"]\n"), None);
    assert_eq!(
        command("FROM busybox\nCMD [\"y\"]\nENTRYPOINT [\"x\"]\n"),
        Some(vec!["y".to_owned()])
    );
    assert_eq!(
        command("FROM busybox AS a\nCMD [\"y\"]\nFROM a\nENTRYPOINT [\"x\"]\n"),
        None
    );
    assert_eq!(command("FROM busybox\nCMD []\n"), None);
}

#[test]
fn labels_of_the_request_win() {
    let request = PlanRequest {
        labels: vec![("a".to_owned(), "2".to_owned())],
        ..request()
    };
    let plan = plan_with("FROM scratch\nLABEL a=1\n", &request);
    assert_eq!(plan.config().labels["a"], "2");
}

#[test]
fn the_epoch_is_the_time_of_everything_new() {
    let request = PlanRequest {
        build_args: vec![("SOURCE_DATE_EPOCH".to_owned(), "060".to_owned())],
        ..request()
    };
    let plan = plan_with(
        "FROM busybox\nARG SOURCE_DATE_EPOCH\nWORKDIR /w\nRUN x\n",
        &request,
    );
    let target = &plan.targets[0];
    assert_eq!(target.epoch, Some(60));
    let times: Vec<_> = target
        .config
        .history
        .iter()
        .map(|h| h.created.as_deref().unwrap())
        .collect();
    let epoch = "1970-01-01T00:01:00Z";
    assert_eq!(times, ["2000-01-01T00:00:00Z", epoch, epoch, epoch]);
    assert_eq!(target.config.created.as_deref(), Some(epoch));
    assert!(
        plan.exec()
            .env
            .iter()
            .any(|v| v.name == "SOURCE_DATE_EPOCH" && v.value == "60")
    );
    let dirs: Vec<_> = plan.chain();
    assert!(
        dirs.iter()
            .any(|v| matches!(&v.op, Op::MakeDir(dir) if dir.epoch == Some(60)))
    );
}

#[test]
fn the_epoch_may_be_the_time_of_a_source() {
    let request = PlanRequest {
        build_args: vec![("SOURCE_DATE_EPOCH".to_owned(), "Stamp".to_owned())],
        ..request()
    };
    let mut registry = Registry::new();
    registry.modified = Some(7);
    let text = "ARG H=h\nFROM scratch AS stamp\nARG F=$H/f\nADD http://$F /f\n\
                FROM scratch\nARG SOURCE_DATE_EPOCH\nLABEL e=$SOURCE_DATE_EPOCH\n";
    let plan = try_plan(text, &request, &registry).unwrap();
    assert_eq!(
        (plan.targets[0].epoch, plan.config().labels["e"].as_str()),
        (Some(7), "7")
    );
    assert!(registry.asked()[0].contains("http://h/f"));
    for (stage, message) in [
        (
            "FROM busybox AS stamp\n",
            "SOURCE_DATE_EPOCH stage must use FROM scratch",
        ),
        (
            "FROM scratch AS stamp\n",
            "SOURCE_DATE_EPOCH stage must contain exactly one remote ADD",
        ),
        (
            "FROM scratch AS stamp\nADD f /f\n",
            "SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD",
        ),
        (
            "FROM scratch AS stamp\nRUN x\n",
            "SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported RUN instruction",
        ),
        ("FROM scratch\n", "invalid SOURCE_DATE_EPOCH: Stamp"),
    ] {
        assert_eq!(error_with(stage, &request).message, message);
    }
    let plan = plan_of("ARG SOURCE_DATE_EPOCH=context\nFROM scratch\n");
    assert_eq!(plan.targets[0].epoch, None, "a directory has no time");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever parses is planned or refused; and history and layers agree.
    #[test]
    fn no_dockerfile_panics(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "FROM busybox", "FROM busybox AS a", "FROM a", "FROM a AS b", "FROM scratch AS c",
                "FROM --platform=$BUILDPLATFORM busybox", "FROM ${X:-busybox}", "FROM nothere",
                "ARG X", "ARG X=1 Y=$X", "ENV X=${Y:-z} Z='$X'", "ENV A b c", "LABEL x=${X", "USER $X",
                "WORKDIR $X", "WORKDIR ../..", "WORKDIR /", "EXPOSE $X 80-90/tcp", "VOLUME $X /v",
                "STOPSIGNAL $X", "CMD x $X", "ENTRYPOINT [\"a\"]", "SHELL [\"s\"]", "RUN echo $X",
                "RUN --mount=type=cache,target=$X true", "RUN --mount=from=a,target=/x true",
                "RUN --mount=type=secret,id=$X,env=X true", "RUN --mount=type=$X,target=. true",
                "RUN --network=none --mount=type=ssh x", "RUN <<A\n#!/x\nA", "RUN <<A cat <<B\n1\nA\n2\nB",
                "COPY a* b/../c $X/", "COPY --from=a / /", "COPY --from=0 x .", "COPY --from=busybox /x /x",
                "COPY --link --chmod=$X <<E /e\n$X ${X:-\"}\nE", "COPY --parents a/./b/** /x",
                "COPY --from=1 --link --chown=$X:1 x y", "ADD http://h/x.tar git@h:r#b:s /y",
                "ADD --checksum=$X http://h/x /y", "HEALTHCHECK NONE", "ONBUILD RUN x $X",
                "ONBUILD COPY --from=a x y", "MAINTAINER x", "# check=skip=all", "",
            ]),
            1..14,
        ),
        target in prop::option::of(prop::sample::select(vec!["a", "b", "C", "0"])),
    ) {
        let text = lines.join("\n") + "\n";
        if let Ok(dockerfile) = parser::parse(&text) {
            let request = PlanRequest { target: target.map(str::to_owned), ..request() };
            match plan(&dockerfile, &request, &Registry::new()) {
                Err(error) => prop_assert!(!error.message.is_empty()),
                Ok(plan) => {
                    let target = &plan.targets[0];
                    let new = target.config.history[target.base_history..].iter();
                    let layers = new.filter(|entry| !entry.empty_layer).count();
                    let chain = plan.chain();
                    let made = chain.iter().filter(|v| {
                        matches!(v.op, Op::Exec(_) | Op::Copy(_) | Op::MakeDir(_) | Op::Merge)
                    });
                    prop_assert_eq!(layers, made.count());
                }
            }
        }
    }

    #[test]
    fn no_text_panics(text in "(FROM busybox\n)?([A-Z]{3,6} |RUN |COPY |ENV |ARG )[ -~]{0,30}\n[ -~\n]{0,60}") {
        if let Ok(dockerfile) = parser::parse(&text) {
            let _ = plan(&dockerfile, &request(), &Registry::new());
        }
    }
}
