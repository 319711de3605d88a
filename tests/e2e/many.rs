//! Many processes on one store, and processes that are killed.

use std::process::Stdio;
use std::time::Instant;

use crate::heard::Build;
use crate::place::{PATIENCE, Place, said};

#[test]
fn ten_builds_at_once_run_every_shared_step_once() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let marks = place.path("marks");
    std::fs::create_dir(&marks).unwrap();
    let project = |number: usize| {
        let dir = place.path(&format!("p{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        // The shared step writes a random number: whoever has another one has run it twice.
        let dockerfile = format!(
            "FROM base:1\nRUN head -c 16 /dev/urandom | md5sum > /shared\nRUN cat /shared > /mine{number}\n"
        );
        std::fs::write(dir.join("Dockerfile"), dockerfile).unwrap();
        dir
    };
    let children: Vec<_> = (0..10)
        .map(|number| {
            let dir = project(number);
            place
                .command(&[
                    "build",
                    "--progress=plain",
                    "-t",
                    &format!("p{number}"),
                    dir.to_str().unwrap(),
                ])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        said(child.wait_with_output().unwrap()).ok();
    }
    let mut seen: Vec<String> = (0..10)
        .map(|number| {
            place
                .rbuild(&[
                    "run",
                    "--rm",
                    &format!("p{number}"),
                    "cat",
                    &format!("/mine{number}"),
                    "/shared",
                ])
                .ok()
                .out
        })
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(
        seen.len(),
        1,
        "the shared step ran more than once: {seen:?}"
    );
}

#[test]
fn a_killed_build_leaves_nothing_running_and_the_next_one_succeeds() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let token = format!("31{}", std::process::id());
    place.write(
        "Dockerfile",
        &format!("FROM base:1\nRUN echo started && sleep {token}\n"),
    );
    for signal in ["KILL", "INT"] {
        let mut build = Build::start(&place, &place.project(), &["-t", "app"]);
        wait_until("the step sleeps", || sleeps(&token));
        build.signal(signal);
        assert!(!build.end().success(), "{}", build.heard);
        wait_until("its container is gone", || !sleeps(&token));
    }
    place.build("FROM base:1\nRUN echo started\n", &[]).ok();
    let store = place.path("store");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(store.to_str().unwrap()), "{mounts}");
}

/// Whether a process `sleep TOKEN` lives on this machine.
fn sleeps(token: &str) -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .any(|entry| {
            std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| line == format!("sleep\0{token}\0").as_bytes())
        })
}

/// Waits for something that another process brings about.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}
