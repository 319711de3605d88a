//! The plan of a build as `rbuild graph` draws it: what it says comes true, and nothing happens.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::place::{Place, fed};

const DOCKERFILE: &str = "\
FROM base:1 AS tools
RUN echo tool > /tool
FROM base:1 AS build
ARG LEVEL=1
COPY main.c /src/
RUN --mount=from=tools,source=/tool,target=/t cat /t /src/main.c > /out; echo $LEVEL >> /out
FROM scratch
COPY --from=build /out /
COPY --link notes /
";

/// Verdicts by the names of steps, without what has none.
fn verdicts(place: &Place, more: &[&str]) -> BTreeMap<String, String> {
    let graph = json(place, more);
    let vertices = graph["vertices"].as_array().unwrap().iter();
    vertices
        .filter_map(|vertex| {
            let verdict = vertex["verdict"].as_str()?;
            let name = vertex["name"].as_str().unwrap();
            let reason = vertex["reason"].as_str();
            let text = reason.map_or(verdict.to_owned(), |why| format!("{verdict}: {why}"));
            Some((name.to_owned(), text))
        })
        .collect()
}

fn json(place: &Place, more: &[&str]) -> Value {
    let project = place.project();
    let mut all = vec!["graph", "--format=json"];
    all.extend(more);
    all.push(project.to_str().unwrap());
    serde_json::from_str(&place.rbuild(&all).ok().out).unwrap()
}

fn project() -> Option<Place> {
    let place = Place::with_base()?;
    place.write("Dockerfile", DOCKERFILE);
    place.write("main.c", "1\n");
    place.write("notes", "1\n");
    Some(place)
}

#[test]
fn what_is_said_comes_true() {
    let Some(place) = project() else { return };
    let edits: [&dyn Fn(&Place); 6] = [
        &|_| {},
        &|_| {},
        &|place| place.write("main.c", "2\n"),
        &|place| place.write("notes", "2\n"),
        &|place| {
            place.write(
                "Dockerfile",
                &DOCKERFILE.replace("echo tool", "echo hammer"),
            );
        },
        &|place| place.write("Dockerfile", &DOCKERFILE.replace("LEVEL=1", "LEVEL=2")),
    ];
    let mut told = 0;
    for edit in edits {
        edit(&place);
        let verdicts = verdicts(&place, &[]);
        assert_eq!(
            verdicts,
            crate::graph::verdicts(&place, &[]),
            "looking changes nothing"
        );
        let built = place.build_again(&[]).ok();
        let (ran, cached) = (built.ran(), built.cached());
        for (name, verdict) in &verdicts {
            if name.contains(" FROM ") {
                continue;
            }
            let name = name.as_str();
            match verdict.split(':').next().unwrap() {
                "runs" => {
                    assert!(ran.contains(&name), "{name} {verdict}:\n{}", built.err);
                    let text = name.split("] ").nth(1).unwrap();
                    assert_eq!(*verdict, format!("runs: {}", built.reason(text)));
                    told += 1;
                }
                "cached" => {
                    assert!(cached.contains(&name), "{name} {verdict}:\n{}", built.err);
                    told += 1;
                }
                "unknown" => {}
                _ => assert!(!ran.contains(&name), "{name} {verdict}:\n{}", built.err),
            }
        }
    }
    assert!(told > 15, "only {told} could be told");
}

#[test]
fn a_drawing_names_stages_causes_and_what_is_not_known() {
    let Some(place) = project() else { return };
    place.build_again(&[]).ok();
    place.write("main.c", "2\n");
    let project = place.project();
    let text = place.rbuild(&["graph", project.to_str().unwrap()]).ok().out;
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let line = |part: &str| {
        let found = lines.iter().find(|line| line.contains(part));
        *found.unwrap_or_else(|| panic!("`{part}` is not in:\n{text}"))
    };
    assert!(line("COPY main.c").ends_with("would run: main.c changed"));
    let until = "unknown until [build 2/3] COPY main.c /src/ has run";
    assert!(line("RUN --mount").ends_with(until));
    assert!(line("COPY --from=build").ends_with(until));
    assert!(line("RUN echo tool").ends_with("cached"));
    for stage in ["┌─ tools", "┌─ build", "┌─ sources"] {
        line(stage);
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
    for (format, mark) in [("dot", "subgraph cluster_0"), ("svg", "<svg ")] {
        let format = format!("--format={format}");
        let drawn = place.rbuild(&["graph", &format, project.to_str().unwrap()]);
        assert!(drawn.ok().out.contains(mark));
    }
}

#[test]
fn a_graph_takes_the_options_of_a_build() {
    let Some(place) = project() else { return };
    place.build_again(&[]).ok();
    let names = |more: &[&str]| -> Vec<String> { verdicts(&place, more).into_keys().collect() };
    assert_eq!(
        names(&["--target=tools"]),
        [
            "[tools 1/2] FROM docker.io/library/base:1",
            "[tools 2/2] RUN echo tool > /tool"
        ]
    );
    let all = verdicts(&place, &[]);
    assert!(all.values().all(|verdict| verdict == "cached"), "{all:?}");
    let fresh = verdicts(&place, &["--no-cache"]);
    let forced = fresh
        .values()
        .filter(|why| *why == "runs: asked not to use the cache");
    assert!(forced.count() > 2, "{fresh:?}");
    let other = verdicts(&place, &["--build-arg", "LEVEL=9"]);
    let changed: Vec<&String> = other.values().filter(|why| why.contains("LEVEL")).collect();
    assert_eq!(changed, ["runs: ARG LEVEL changed: 1 → 9"], "{other:?}");
    let more = place.directory("more");
    fs::write(more.join("tool"), "mine\n").unwrap();
    let context = format!("tools={}", more.display());
    let replaced = verdicts(&place, &["--build-context", &context]);
    assert_eq!(
        replaced["[context tools] FROM tools"],
        "runs: never built before"
    );
    let context = format!("context={}", more.display());
    let project = place.project();
    let project = project.to_str().unwrap();
    let drawn = place.rbuild(&["graph", "--build-context", &context, project]);
    let drawn = drawn.ok().out;
    let shown = format!("context {}", more.display());
    assert!(drawn.contains(&shown), "{drawn}");
    let two = json(
        &place,
        &["--platform=linux/amd64,linux/arm64", "--target=tools"],
    );
    assert_eq!(two["targets"].as_array().unwrap().len(), 2);
}

#[test]
fn a_source_is_not_asked_and_a_step_is_not_run() {
    let Some(place) = Place::with_base() else {
        return;
    };
    // Nobody listens there.
    place.write(
        "Dockerfile",
        "FROM base:1\nADD http://127.0.0.1:1/a /a\nRUN false\n",
    );
    let verdicts = verdicts(&place, &[]);
    let add = "[2/3] ADD http://127.0.0.1:1/a /a";
    assert_eq!(verdicts[add], "unknown: http://127.0.0.1:1/a is asked for");
    let history = place.rbuild(&["why"]);
    assert_ne!(history.code, 0, "a build was noted: {}", history.out);
}

#[test]
fn a_base_that_cannot_be_reached_leaves_the_plan() {
    let place = Place::anywhere();
    place.write(
        "Dockerfile",
        "FROM 127.0.0.1:1/no/where:1 AS base\nRUN make\n",
    );
    let project = place.project();
    let drawn = place.rbuild(&["graph", project.to_str().unwrap()]).ok();
    assert!(
        drawn.out.contains("FROM 127.0.0.1:1/no/where:1"),
        "{}",
        drawn.out
    );
    assert!(drawn.out.contains("RUN make"), "{}", drawn.out);
    assert!(!drawn.out.contains("unknown"), "{}", drawn.out);
    assert!(
        drawn.err.contains("cannot be told what the cache has"),
        "{}",
        drawn.err
    );
    assert_eq!(json(&place, &[])["foretold"], false);
}

#[test]
fn what_cannot_be_planned_is_said_as_a_build_says_it() {
    let Some(place) = Place::new() else { return };
    place.write("Dockerfile", "FROM scratch\nCOPI a b\n");
    let project = place.project();
    let drawn = place.rbuild(&["graph", project.to_str().unwrap()]);
    assert!(drawn.fails(2, "COPI").out.is_empty());
    place.write("Dockerfile", "FROM scratch\nCOPY missing /\n");
    let drawn = place.rbuild(&["graph", project.to_str().unwrap()]).ok();
    assert!(drawn.out.contains("would fail: "), "{}", drawn.out);
    let command = place.command(&["graph", "-f", "-", project.to_str().unwrap()]);
    let drawn = fed(command, b"FROM scratch AS x\nWORKDIR /from/stdin\n").ok();
    assert!(drawn.out.contains("WORKDIR /from/stdin"), "{}", drawn.out);
}
