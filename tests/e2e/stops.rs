//! Ctrl-C in each phase of a build: it ends at once with exit code 130, and leaves nothing. What goes
//! on would go on for much longer than a busy machine takes to stop.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::heard::Build;
use crate::place::Place;
use crate::still;

/// Starts a build, sends it SIGINT `pause` after its standard error has said `mark`, and sees that
/// it ends as it should.
#[track_caller]
fn stops(place: &Place, what: &str, mark: &str, pause: Duration, more: &[&str]) {
    let before = still::files(place);
    // On a busy machine whoever has heard the mark may be too late.
    let stopped = (0..20).any(|_| {
        let _ = fs::remove_file(place.path("out.tar"));
        stops_once(place, what, mark, pause, more)
    });
    assert!(stopped, "{what}: it was always done before");
    still::nothing_runs(place);
    // Who opens the store next sweeps what could not be put away in time.
    place.rbuild(&["images"]).ok();
    let left: Vec<String> = still::files(place).difference(&before).cloned().collect();
    let left: Vec<&String> = left
        .iter()
        .filter(|name| name.starts_with("tmp/"))
        .collect();
    assert_eq!(left, Vec::<&String>::new(), "{what}");
}

/// False when the build had ended before it was told to.
#[track_caller]
fn stops_once(place: &Place, what: &str, mark: &str, pause: Duration, more: &[&str]) -> bool {
    let mut build = Build::start(place, &place.project(), more);
    if !mark.is_empty() {
        build.hear(mark);
    }
    std::thread::sleep(pause);
    build.signal("INT");
    let status = build.end();
    if status.success() {
        return false;
    }
    let said = &build.heard;
    let errors = said.lines().filter(|line| line.starts_with("error"));
    // Before anything has begun there is nothing to put away, and the signal just ends it.
    if !(mark.is_empty() && status.signal() == Some(2)) {
        assert_eq!(status.code(), Some(130), "{what}: {status} {said}");
        assert_eq!(errors.count(), 1, "{what}: {said}");
    }
    true
}

#[test]
fn while_a_context_is_read() {
    let Some(place) = Place::new() else { return };
    place.write("Dockerfile", "FROM scratch\nCOPY . /\nRUN true\n");
    // It has no blocks, but takes a quarter of an hour to read.
    let file = fs::File::create(place.project().join("huge")).unwrap();
    file.set_len(2 << 40).unwrap();
    stops(
        &place,
        "a huge file",
        "note:",
        Duration::from_millis(500),
        &[],
    );
    let many = place.project().join("many");
    fs::remove_file(place.project().join("huge")).unwrap();
    fs::create_dir(&many).unwrap();
    for number in 0..300 {
        let file = fs::File::create(many.join(number.to_string())).unwrap();
        file.set_len(16 << 30).unwrap();
    }
    stops(
        &place,
        "many large files",
        "note:",
        Duration::from_millis(500),
        &[],
    );
}

#[test]
fn while_a_step_runs_and_does_not_listen() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write(
        "Dockerfile",
        "FROM base:1\nRUN trap '' INT TERM HUP; echo up; while :; do sleep 1; done\n",
    );
    stops(&place, "RUN", " up", Duration::from_millis(20), &[]);
}

#[test]
fn while_an_image_is_written() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write(
        "Dockerfile",
        "FROM base:1\nRUN head -c 200000000 /dev/urandom > /noise\n",
    );
    let project = place.project();
    place
        .rbuild(&["build", "--progress=plain", project.to_str().unwrap()])
        .ok();
    for kind in ["oci", "docker"] {
        let dest = place.path("out.tar");
        let output = format!(
            "--output=type={kind},compression-level=9,force-compression=true,dest={}",
            dest.display()
        );
        stops(&place, kind, "[export]", Duration::ZERO, &[&output]);
        assert!(!dest.exists(), "half an archive is left");
    }
}

#[test]
fn while_a_registry_is_asked() {
    let Some(place) = Place::new() else { return };
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    place.write("Dockerfile", &format!("FROM {address}/image\n"));
    stops(
        &place,
        "a silent registry",
        "",
        Duration::from_millis(500),
        &[],
    );
    drop(silent);
    stops(
        &place,
        "a registry that is gone",
        "",
        Duration::from_millis(300),
        &[],
    );
}
