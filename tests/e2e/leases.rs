//! Two builds that want the same step: one makes it, the other waits, follows what it writes, and
//! says whom it waits for. A step that outlives its build keeps others away until it is gone.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;

use crate::heard::{Build, send};
use crate::kills::children;
use crate::place::{PATIENCE, Place};
use crate::still;

/// Builds the directory `name` of the place.
fn start(place: &Place, name: &str) -> Build {
    Build::start(place, &place.path(name), &[])
}

/// Two projects with one step in common, which goes on until the file `go` is in the directory that
/// it reads: a cache mount, through which the test speaks to it.
fn place() -> Option<Place> {
    let place = Place::with_base()?;
    for name in ["one", "two"] {
        fs::create_dir(place.path(name)).unwrap();
        fs::write(
            place.path(name).join("Dockerfile"),
            "FROM base:1\n\
             RUN --mount=type=cache,target=/c echo begun; \
             until [ -e /c/go ]; do echo x >> /c/alive; sleep 0.01; done; echo en''ded\n",
        )
        .unwrap();
    }
    Some(place)
}

/// The cache mount of the place's only step that has one.
fn mount(place: &Place) -> std::path::PathBuf {
    let begun = Instant::now();
    loop {
        let dirs = fs::read_dir(place.path("store/mounts/v1")).unwrap();
        for dir in dirs.flatten() {
            for path in [dir.path(), dir.path().join("fs")] {
                if path.join("alive").exists() {
                    return path;
                }
            }
        }
        assert!(begun.elapsed() < PATIENCE, "no cache mount");
        std::thread::yield_now();
    }
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

#[test]
fn a_waiter_names_the_owner_follows_its_log_and_says_when_it_is_stopped() {
    let Some(place) = place() else { return };
    let mut winner = start(&place, "one");
    winner.hear(" begun");
    let mount = mount(&place);
    let mut waiter = start(&place, "two");
    let pid = winner.child.id();
    let line = waiter.hear("waits for");
    assert!(line.contains(&format!("rbuild {pid} (")), "{line}");
    assert!(line.contains("2/2] RUN"), "{line}");
    assert!(
        line.contains(place.path("one").to_str().unwrap()),
        "the project: {line}"
    );
    // What was written before it came, too.
    waiter.hear(" begun");
    winner.signal("STOP");
    let line = waiter.hear("is stopped");
    assert!(line.contains(&format!("kill -CONT {pid}")), "{line}");
    winner.signal("CONT");
    let line = waiter.hear("waits for");
    assert!(!line.contains("stopped"), "{line}");
    fs::write(mount.join("go"), "").unwrap();
    let both = [winner.end(), waiter.end()];
    assert!(both.iter().all(ExitStatus::success), "{}", waiter.heard);
    let ended = waiter.heard.lines().filter(|line| line.ends_with(" ended"));
    assert_eq!(ended.count(), 1, "{}", waiter.heard);
    assert!(!waiter.heard.contains("runs:"), "{}", waiter.heard);
    still::nothing_runs(&place);
}

#[test]
fn the_step_of_a_killed_build_keeps_the_next_one_away_until_it_is_gone() {
    let Some(place) = place() else { return };
    let mut killed = start(&place, "one");
    killed.hear(" begun");
    let mount = mount(&place);
    // A launcher that is stopped cannot end the step, as one that does not come to it.
    let outer = *children(killed.child.id()).first().unwrap();
    let launcher = *children(outer).first().unwrap();
    send("STOP", launcher);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    let mut next = start(&place, "two");
    let line = next.hear("waits for");
    assert!(line.contains("which is ending"), "{line}");
    let alive = mount.join("alive");
    let before = length(&alive);
    let begun = Instant::now();
    while length(&alive) == before {
        assert!(begun.elapsed() < PATIENCE, "the step is not alive");
        std::thread::yield_now();
    }
    send("CONT", launcher);
    next.hear("runs:");
    fs::write(mount.join("go"), "").unwrap();
    assert!(next.end().success(), "{}", next.heard);
    still::nothing_runs(&place);
}
