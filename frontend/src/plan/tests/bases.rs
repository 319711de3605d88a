//! What stages start from: stages, images, contexts, platforms, arguments, triggers.

use std::collections::BTreeMap;

use solver::op::ContextOp;

use super::*;

#[test]
fn only_what_the_target_needs_is_resolved_and_built() {
    let registry = Registry::new().with("other", |_| {});
    let text = "FROM other AS unused\nRUN no\nFROM busybox AS base\nRUN a\nFROM nothere\n\
                FROM base AS target\nCOPY --from=base /x /x\nFROM other\n";
    let request = PlanRequest {
        target: Some("TARGET".to_owned()),
        ..request()
    };
    let plan = try_plan(text, &request, &registry).unwrap();
    assert_eq!(registry.asked(), ["busybox linux/amd64"]);
    assert_eq!(
        plan.names(),
        [
            "[base 1/2] FROM docker.io/library/busybox:latest",
            "[base 2/2] RUN a",
            "[target 1/1] COPY --from=base /x /x",
        ]
    );
    let copy = plan.chain()[2];
    assert_eq!(
        copy.inputs,
        [copy.inputs[0], copy.inputs[0]],
        "root and source are one vertex"
    );
    assert_eq!((copy.meta.stage.as_str(), copy.meta.step), ("target", 1));
}

#[test]
fn a_stage_may_be_called_scratch() {
    let plan = plan_of("FROM busybox AS scratch\nRUN a\nFROM scratch\nRUN b\n");
    assert_eq!(
        plan.names(),
        [
            "[scratch 1/2] FROM docker.io/library/busybox:latest",
            "[scratch 2/2] RUN a",
            "[stage-1 1/1] RUN b",
        ]
    );
}

#[test]
fn a_lone_stage_has_no_name_in_the_progress() {
    let plan = plan_of("FROM busybox\nRUN a\nCOPY x y\nWORKDIR /\nWORKDIR /w\n");
    assert_eq!(
        plan.names(),
        [
            "[1/5] FROM docker.io/library/busybox:latest",
            "[2/5] RUN a",
            "[internal] load build context",
            "[3/5] COPY x y",
            "[4/5] WORKDIR /w",
        ]
    );
}

#[test]
fn a_stage_inherits_all_but_triggers() {
    let plan = plan_of(
        "FROM busybox AS a\nARG X=1\nENV Y=2\nWORKDIR /w\nUSER u\nONBUILD ENV T=$Y\n\
         FROM a\nRUN z\n",
    );
    let env: Vec<String> = plan
        .exec()
        .env
        .iter()
        .map(|v| format!("{}={}", v.name, v.value))
        .collect();
    assert_eq!(env, ["X=1", "PATH=/bin", "Y=2", "T=2"]);
    assert_eq!(
        (plan.exec().cwd.as_str(), plan.exec().user.as_str()),
        ("/w", "u")
    );
    assert!(plan.config().on_build.is_empty());
    assert_eq!(
        plan.history().last().unwrap(),
        "RUN |1 X=1 /bin/sh -c z # buildkit"
    );
    let kept = plan_of("FROM busybox\nONBUILD RUN later $x\n");
    assert_eq!(kept.config().on_build, ["RUN later $x"]);
    assert!(kept.history().is_empty());
}

#[test]
fn triggers_of_an_image_run_first_and_may_read_stages() {
    let registry = Registry::new().with("trig", |config| {
        config.config.on_build = [
            "COPY --from=tools /t /t",
            "RUN --mount=from=tools,target=/m first",
            "LABEL l=1",
        ]
        .map(str::to_owned)
        .to_vec();
    });
    let text = "FROM busybox AS tools\nRUN make\nFROM trig\nRUN own\n";
    let plan = try_plan(text, &request(), &registry).unwrap();
    assert_eq!(
        plan.names()[3..],
        [
            "[stage-1 2/4] ONBUILD COPY --from=tools /t /t",
            "[stage-1 3/4] ONBUILD RUN --mount=from=tools,target=/m first",
            "[stage-1 4/4] RUN own",
        ]
    );
    // Both read the stage of the file that stands on the image.
    for reader in &plan.chain()[1..3] {
        let read = plan.graph.get(&reader.inputs[1]).unwrap();
        assert_eq!(read.meta.name, "[tools 2/2] RUN make");
    }
    assert!(plan.config().on_build.is_empty());
    assert_eq!(plan.config().labels["l"], "1");
    let bad = Registry::new().with("trig", |config| {
        config.config.on_build = vec!["RUNN x".to_owned()];
    });
    let error = try_plan("FROM trig\n", &request(), &bad).unwrap_err();
    assert!(
        error.message.contains("RUNN") && error.span.is_some(),
        "{error}"
    );
}

#[test]
fn arguments_have_their_precedence() {
    let text = "ARG G=global\nFROM busybox AS $G\n".replace("$G", "a")
        + "ARG G\nARG OWN=own\nARG TARGETARCH=mine\nARG TARGETOS\nARG UNSET\nENV OWN=env\nARG OWN=late\nRUN x\n";
    let env = |args: &[(&str, &str)]| {
        let build_args = args
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let plan = plan_with(
            &text,
            &PlanRequest {
                build_args,
                ..request()
            },
        );
        let env = plan.exec().env.iter();
        env.map(|v| format!("{}={}", v.name, v.value))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        env(&[]),
        "PATH=/bin G=global TARGETARCH=mine TARGETOS=linux OWN=late"
    );
    assert_eq!(
        env(&[
            ("G", "x"),
            ("OWN", "y"),
            ("UNSET", ""),
            ("NOT_DECLARED", "z")
        ]),
        "PATH=/bin G=x TARGETARCH=mine TARGETOS=linux UNSET= OWN=y"
    );
}

#[test]
fn a_default_sees_what_is_above_it_and_is_not_asked_where_a_value_is_given() {
    let text = "FROM busybox\nENV E=env\nARG A=1\nARG D=$A-$E-$LATE\nARG R=${NONE:?missing}\nARG LATE=x\nRUN x\n";
    let with = |given: &str| PlanRequest {
        build_args: vec![(given.to_owned(), "given".to_owned())],
        ..request()
    };
    let plan = plan_with(text, &with("R"));
    let env = plan.exec().env.iter();
    let env: Vec<_> = env.map(|v| format!("{}={}", v.name, v.value)).collect();
    assert_eq!(env.join(" "), "PATH=/bin E=env A=1 D=1-env- R=given LATE=x");
    let error = try_plan(text, &with("D"), &Registry::new()).unwrap_err();
    assert!(error.message.contains("missing"), "{error}");
}

#[test]
fn the_target_and_versions_of_systems_are_arguments() {
    let env = |name: &str, target: Option<&str>| {
        let text =
            format!("FROM busybox{name}\nARG TARGETSTAGE TARGETOSVERSION BUILDOSVERSION\nRUN x\n");
        let mut request = PlanRequest {
            target: target.map(str::to_owned),
            ..request()
        };
        request.platforms[0].os_version = "10.1".to_owned();
        let plan = plan_with(&text, &request);
        let env = plan.exec().env.iter().skip(1);
        env.map(|v| format!("{}={}", v.name, v.value))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let rest = "TARGETOSVERSION=10.1 BUILDOSVERSION=";
    assert_eq!(env("", None), format!("TARGETSTAGE=default {rest}"));
    for target in [None, Some("a")] {
        assert_eq!(env(" AS a", target), format!("TARGETSTAGE=a {rest}"));
    }
}

#[test]
fn from_expands_global_arguments() {
    let registry = Registry::new().with("other:2", |_| {});
    let text = "ARG V=1\nARG NAME=other\nFROM ${NAME}:$V\n";
    let request = PlanRequest {
        build_args: vec![("V".to_owned(), "2".to_owned())],
        ..request()
    };
    assert!(try_plan(text, &request, &registry).is_ok());
    assert_eq!(registry.asked(), ["other:2 linux/amd64"]);
}

#[test]
fn every_platform_is_planned_into_one_graph() {
    let request = PlanRequest {
        platforms: ["linux/amd64", "linux/arm64"]
            .map(|p| p.parse().unwrap())
            .to_vec(),
        ..request()
    };
    let registry = Registry::new();
    let text = "FROM --platform=linux/amd64 busybox AS native_amd64\nARG TARGETARCH\nRUN build\n\
                FROM busybox\nCOPY --from=native_amd64 /x /x\n";
    let plan = try_plan(text, &request, &registry).unwrap();
    assert_eq!(
        registry.asked(),
        ["busybox linux/amd64", "busybox linux/arm64"]
    );
    let platforms: Vec<String> = plan
        .targets
        .iter()
        .map(|t| t.platform.to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(plan.targets[1].config.architecture, "arm64");
    assert!(
        plan.names()
            .contains(&"[linux/amd64->arm64 native_amd64 2/2] RUN build")
    );
    let images = plan
        .graph
        .iter()
        .filter(|(_, v)| matches!(v.op, Op::Image(_)));
    assert_eq!(images.count(), 2);
}

#[test]
fn named_contexts_take_the_place_of_stages_images_and_sources() {
    let named = |name: &str, context| {
        let named_contexts = BTreeMap::from([(name.to_owned(), context)]);
        PlanRequest {
            named_contexts,
            ..request()
        }
    };
    let text = "FROM nothere:1 AS a\nRUN never\nFROM scratch\nCOPY --from=a /x /x\n";
    let plan = plan_with(text, &named("a", NamedContext::Image("busybox".to_owned())));
    let (_, copy) = plan.copy();
    assert!(matches!(plan.vertex(&copy.inputs[1]).op, Op::Image(_)));
    assert!(!plan.names().iter().any(|name| name.contains("never")));

    let plan = plan_with(
        "FROM nothere:1\nRUN x\n",
        &named("docker.io/library/nothere:1", NamedContext::Directory),
    );
    assert_eq!(plan.config().working_dir, "/");
    assert_eq!(
        plan.history(),
        [
            "RUN /bin/sh -c x # buildkit",
            "FROM docker.io/library/nothere:1",
        ]
    );
    let first = plan.chain()[1];
    assert!(matches!(&first.op, Op::Copy(copy) if copy.dest == "/"));

    let plan = plan_with(
        "FROM scratch\nCOPY --from=Extra . /x\n"
            .replace("Extra", "extra")
            .as_str(),
        &named("extra", NamedContext::Directory),
    );
    let (_, copy) = plan.copy();
    let expected = Op::Context(ContextOp {
        name: "extra".to_owned(),
    });
    assert_eq!(plan.vertex(&copy.inputs[1]).op, expected);

    let plan = plan_with(
        "FROM scratch\nCOPY --from=src . /x\n",
        &named("src", NamedContext::Url("https://h/r.git#v1".to_owned())),
    );
    let (_, copy) = plan.copy();
    assert!(matches!(&plan.vertex(&copy.inputs[1]).op, Op::Git(git) if git.reference == "v1"));
}

#[test]
fn no_cache_forces_all_but_working_directories() {
    let text = "FROM busybox AS a\nWORKDIR /w\nRUN a\nADD http://h/x /x\nFROM busybox\nCOPY --link --from=a /x /\n";
    let forced = |request: PlanRequest| {
        let plan = plan_with(text, &request);
        let forced = plan.graph.iter().filter(|(_, v)| v.meta.forced);
        forced.map(|(_, v)| v.meta.name.clone()).collect::<Vec<_>>()
    };
    assert!(forced(request()).is_empty());
    let all = forced(PlanRequest {
        no_cache: true,
        ..request()
    });
    assert_eq!(
        all,
        [
            "[a 3/4] RUN a",
            "[a 4/4] ADD http://h/x /x",
            "[stage-1 2/2] COPY --link --from=a /x /",
            "[stage-1 2/2] LINK COPY --link --from=a /x /",
        ]
    );
    let filter = vec!["A".to_owned(), "stage-1".to_owned()];
    let some = forced(PlanRequest {
        no_cache_filter: filter,
        ..request()
    });
    assert_eq!(some, all[..2]);
}

#[test]
fn a_base_without_path_gets_one_and_scratch_is_bare() {
    let registry = Registry::new().with("bare", |config| {
        config.config.env.clear();
        config.rootfs.diff_ids.clear();
        config.other.insert("docker_version".to_owned(), "1".into());
    });
    let plan = try_plan("FROM bare\nRUN x\n", &request(), &registry).unwrap();
    assert!(plan.config().env[0].starts_with("PATH=/usr/local/sbin:"));
    assert!(matches!(plan.chain()[0].op, Op::Scratch));
    assert!(plan.targets[0].config.other.is_empty());
    assert_eq!(plan.targets[0].base_layers, 0);
    let plan = plan_of("FROM scratch\n");
    assert_eq!(plan.config().working_dir, "/");
    assert!(plan.targets[0].config.history.is_empty());
    assert_eq!(plan.graph.len(), 1);
}

#[test]
fn thousands_of_stages_need_no_stack() {
    let mut text = String::from("FROM busybox AS s0\n");
    for number in 1..5000 {
        text += &format!(
            "FROM s{} AS s{number}\nCOPY --from=s{} /a /b\n",
            number - 1,
            number - 1
        );
    }
    assert_eq!(plan_of(&text).targets[0].config.history.len(), 5000);
}
