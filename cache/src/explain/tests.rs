//! Why a step runs again: each component that may differ, and which of them is named.

use std::time::Duration;

use image::Platform;
use solver::op::{EnvVar, ExecOp, NetworkMode, SecurityMode};
use solver::traits::NewRecord;
use solver::{Component, DefinitionKey, ResultCache, StateFold, VertexMeta};

use super::*;
use crate::records::Records;
use crate::snapshot::Snapshot;
use crate::store::samples;

fn run(stage: &str, step: u32, env: &[(&str, &str, EnvOrigin)]) -> Vertex {
    Vertex {
        op: Op::Exec(ExecOp {
            args: vec!["/bin/sh".into(), "-c".into(), "make".into()],
            env: env
                .iter()
                .map(|(name, value, origin)| EnvVar {
                    name: (*name).into(),
                    value: (*value).into(),
                    origin: *origin,
                })
                .collect(),
            proxy_env: Vec::new(),
            cwd: "/".into(),
            user: String::new(),
            hostname: String::new(),
            network: NetworkMode::Default,
            security: SecurityMode::Sandbox,
            mounts: Vec::new(),
            scripts: Vec::new(),
            extra_hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
            cgroup_parent: None,
            devices: Vec::new(),
            platform: Platform::host(),
        }),
        inputs: Vec::new(),
        meta: VertexMeta {
            name: format!("[{stage} {step}] RUN make"),
            stage: stage.into(),
            step,
            ..VertexMeta::default()
        },
    }
}

fn preimage(kind: &str, components: &[(&str, &str)]) -> KeyPreimage {
    KeyPreimage {
        kind: kind.into(),
        behaviour: 1,
        components: components
            .iter()
            .map(|(name, value)| Component {
                name: (*name).into(),
                value: (*value).into(),
            })
            .collect(),
    }
}

fn keep(records: &Records, vertex: &Vertex, preimage: &KeyPreimage, output: &Snapshot) {
    records
        .store(&NewRecord {
            key: preimage.key(),
            preimage,
            definition: DefinitionKey(preimage.key().0),
            inputs: &[],
            vertex,
            output,
            elapsed: Duration::ZERO,
        })
        .unwrap();
}

const MAKE: &str = r#"["/bin/sh","-c","make"]"#;

#[test]
fn the_first_component_that_differs_is_named() {
    let old_root = StateFold::new().state().hex();
    let new_root = StateFold::new()
        .change(&solver::ChangeDigest([1; 32]))
        .state()
        .hex();
    let components: &[(&str, &str)] = &[
        ("args", MAKE),
        ("env VERSION", "1"),
        ("env PATH", "/bin"),
        ("env MODE", "fast"),
        ("env FROM_BASE", "x"),
        ("cwd", "/"),
        ("user", ""),
        ("mount /cache", "cache owner=0:0 mode=755 rw"),
        ("root", &old_root),
        ("sandbox", "full"),
    ];
    type Case<'a> = (&'a str, &'a str, Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (
            "args",
            r#"["/bin/sh","-c","make all"]"#,
            Some("the command changed: make → make all"),
        ),
        ("env VERSION", "2", Some("ARG VERSION changed: 1 → 2")),
        ("env VERSION", "", Some("ARG VERSION changed: 1 → \"\"")),
        (
            "env MODE",
            "slow\u{1b}[2J",
            Some("ENV MODE changed: fast → slow�[2J"),
        ),
        (
            "env FROM_BASE",
            "y",
            Some("FROM_BASE of the base image changed: x → y"),
        ),
        (
            "cwd",
            "/src",
            Some("the working directory changed: / → /src"),
        ),
        ("user", "nobody", Some("the user changed: \"\" → nobody")),
        (
            "mount /cache",
            "cache owner=1:1 mode=755 rw",
            Some("mount /cache changed: cache owner=0:0 mode=755 rw → cache owner=1:1 mode=755 rw"),
        ),
        ("root", &new_root, Some("what the step before left changed")),
        (
            "sandbox",
            "single id",
            Some("the sandbox changed: full → single id"),
        ),
        ("env NEW", "1", Some("ENV NEW is new: 1")),
    ];
    let env = [
        ("VERSION", "1", EnvOrigin::Arg),
        ("MODE", "fast", EnvOrigin::Env),
        ("FROM_BASE", "x", EnvOrigin::Base),
    ];
    for (name, value, line) in cases {
        let (_dir, store) = samples::store();
        let records = Records::new(&store, "p");
        let vertex = run("build", 2, &env);
        keep(
            &records,
            &vertex,
            &preimage("run", components),
            &Snapshot::new([]),
        );
        let mut changed = components.to_vec();
        match changed.iter_mut().find(|(known, _)| known == name) {
            Some(component) => component.1 = value,
            None => changed.push((name, value)),
        }
        let explained = Records::new(&store, "p")
            .explain(&vertex, &preimage("run", &changed))
            .unwrap();
        assert_eq!(Some(explained.as_str()), *line);
    }
}

#[test]
fn a_variable_that_is_gone_is_named_by_who_set_it() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let before = run("build", 2, &[("V", "1", EnvOrigin::Arg)]);
    let old = preimage("run", &[("args", MAKE), ("env V", "1")]);
    keep(&records, &before, &old, &Snapshot::new([]));
    let now = run("build", 2, &[]);
    let line = Records::new(&store, "p")
        .explain(&now, &preimage("run", &[("args", MAKE)]))
        .unwrap();
    assert_eq!(line, "ARG V is gone (it was 1)");
}

#[test]
fn other_stages_and_projects_do_not_count() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let old = preimage("run", &[("args", MAKE)]);
    keep(&records, &run("build", 2, &[]), &old, &Snapshot::new([]));
    let new = preimage("run", &[("args", "[\"x\"]")]);
    assert_eq!(
        records.explain(&run("test", 2, &[]), &new).unwrap(),
        "never built before"
    );
    let elsewhere = Records::new(&store, "q");
    assert_eq!(
        elsewhere.explain(&run("build", 2, &[]), &new).unwrap(),
        "never built before"
    );
}

#[test]
fn a_line_put_in_above_does_not_make_every_step_another_command() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let state = |byte| {
        StateFold::new()
            .change(&solver::ChangeDigest([byte; 32]))
            .state()
    };
    let at =
        |args: &str, root: u8| preimage("run", &[("args", args), ("root", &state(root).hex())]);
    keep(
        &records,
        &run("build", 2, &[]),
        &at("[\"one\"]", 1),
        &Snapshot::new([]),
    );
    keep(
        &records,
        &run("build", 3, &[]),
        &at("[\"two\"]", 2),
        &Snapshot::new([]),
    );
    // What was step 2 is step 3 now; step 2 is new and left a state that is known.
    let records = Records::new(&store, "p");
    let mut inserted = Snapshot::new([]);
    inserted.state = state(9);
    keep(
        &records,
        &run("build", 2, &[]),
        &at("[\"new\"]", 1),
        &inserted,
    );
    let line = records
        .explain(&run("build", 3, &[]), &at("[\"one\"]", 9))
        .unwrap();
    assert_eq!(line, "what [build 2] RUN make left changed");
}

#[test]
fn a_base_image_and_an_eviction_are_named() {
    let (_dir, store) = samples::store();
    let records = Records::new(&store, "p");
    let digest = |byte: char| format!("sha256:{}", byte.to_string().repeat(64));
    let from = |byte| preimage("image", &[("manifest", &digest(byte))]);
    let vertex = run("build", 1, &[]);
    keep(&records, &vertex, &from('a'), &Snapshot::new([]));
    let records = Records::new(&store, "p");
    let line = records.explain(&vertex, &from('b')).unwrap();
    assert_eq!(
        line,
        "the base image changed: sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb"
    );
    store
        .database()
        .write("prune", |t| {
            crate::records::bury(t, &from('a').key(), "evicted by prune (all)").unwrap();
            Ok(())
        })
        .unwrap();
    let line = records.explain(&vertex, &from('a')).unwrap();
    assert_eq!(line, "evicted by prune (all)");
    let kept = records.explanation(&from('a').key()).unwrap();
    let json = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), kept);
}

#[test]
fn another_step_of_the_same_build_is_not_what_it_was_before() {
    let (_dir, store) = samples::store();
    let named = |step, text: &str| {
        let mut vertex = run("build", step, &[]);
        vertex.meta.name = format!("[build {step}/4] RUN {text}");
        vertex
    };
    let at = |args: &str| preimage("run", &[("args", args), ("user", "")]);
    let first = Records::new(&store, "p");
    for (step, text) in [(2, "one"), (3, "two")] {
        let vertex = named(step, text);
        let line = first.explain(&vertex, &at(text)).unwrap();
        assert_eq!(line, "never built before");
        keep(&first, &vertex, &at(text), &Snapshot::new([]));
    }
    // A line is put in between: it takes the position of one that is still there.
    let graph = [named(2, "one"), named(3, "between"), named(4, "two")];
    let second = Records::new(&store, "p").with_steps(graph.iter());
    let line = second.explain(&graph[1], &at("between")).unwrap();
    assert_eq!(line, "never built before");
    // It takes the place of one that is gone.
    let graph = [named(2, "one"), named(3, "instead")];
    let third = Records::new(&store, "p").with_steps(graph.iter());
    let line = third.explain(&graph[1], &at("instead")).unwrap();
    assert_eq!(line, "the command changed: two → instead");
}
