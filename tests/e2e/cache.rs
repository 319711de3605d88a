//! What is kept, what runs again, and what is said about it.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::place::Place;

const DOCKERFILE: &str = "FROM base:1\n\
    RUN echo first > /first\n\
    COPY src /src\n\
    ARG MODE=fast\n\
    RUN cat /src/* > /all && echo $MODE >> /all\n\
    RUN wc -c /all > /size\n";

fn built() -> Option<Place> {
    let place = Place::with_base()?;
    place.write("src/a", "a\n");
    place.write("src/b", "b\n");
    place.build(DOCKERFILE, &[]).ok();
    Some(place)
}

#[test]
fn the_second_time_nothing_runs() {
    let Some(place) = built() else { return };
    let again = place.build_again(&[]).ok();
    assert_eq!(again.ran(), Vec::<&str>::new());
    // FROM is there, but no result of a step.
    assert_eq!(again.cached().len(), 4);
    assert!(again.err.contains("\n4 cached, 0 ran in "), "{}", again.err);
}

#[test]
fn only_what_changed_runs_and_says_why() {
    let Some(place) = built() else { return };
    place.write("src/a", "A\n");
    let again = place.build_again(&[]).ok();
    assert_eq!(again.ran().len(), 3);
    assert!(again.reason("COPY src").contains("src/a"), "{}", again.err);

    let other = place.build_again(&["--build-arg", "MODE=slow"]).ok();
    assert_eq!(other.ran().len(), 2, "{}", other.err);
    let reason = other.reason("cat /src");
    assert!(
        reason.contains("MODE") && reason.contains("fast") && reason.contains("slow"),
        "{reason}"
    );
    let why = place.rbuild(&["why", "cat /src"]).ok().out;
    assert!(why.contains("MODE"), "{why}");
}

#[test]
fn what_does_not_matter_is_a_hit() {
    let Some(place) = built() else { return };
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    fs::File::options()
        .write(true)
        .open(place.project().join("src/a"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    assert_eq!(place.build_again(&[]).ok().ran(), Vec::<&str>::new());

    // A fresh copy has other inodes and other times.
    let copy = place.path("copy");
    fs::rename(place.project(), &copy).unwrap();
    for name in ["src/a", "src/b", "Dockerfile"] {
        place.write(name, &fs::read_to_string(copy.join(name)).unwrap());
    }
    assert_eq!(place.build_again(&[]).ok().ran(), Vec::<&str>::new());

    // Metadata and comments do not touch steps.
    let with_label = format!(
        "# a comment\n{}LABEL a=b\nCMD [\"x\"]\n",
        DOCKERFILE.replace("COPY", "LABEL c=d\nCOPY")
    );
    assert_eq!(place.build(&with_label, &[]).ok().ran(), Vec::<&str>::new());
}

#[test]
fn the_same_size_and_time_with_other_bytes_is_a_miss() {
    let Some(place) = built() else { return };
    let file = place.project().join("src/a");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    for round in 0..10 {
        place.write("src/a", &format!("{round}\n"));
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
            .unwrap();
        place.build_again(&[]).ok();
        assert_eq!(place.sh("head -n 1 /all"), format!("{round}\n"));
    }
}

#[test]
fn a_step_that_leaves_the_same_keeps_what_follows() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let dockerfile = |comment: &str| {
        format!(
            "FROM base:1\nRUN echo x > /x # {comment}\nRUN head -c 8 /dev/urandom | md5sum > /stamp\nRUN cat /stamp > /copy\n"
        )
    };
    place.build(&dockerfile("one"), &[]).ok();
    let stamp = place.sh("cat /stamp /copy");
    let again = place.build(&dockerfile("two"), &[]).ok();
    assert_eq!(again.ran().len(), 1, "{}", again.err);
    assert_eq!(place.sh("cat /stamp /copy"), stamp);
}

#[test]
fn forcing_runs_everything_and_the_filter_only_its_stage() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let dockerfile = "FROM base:1 AS one\nRUN head -c 8 /dev/urandom | md5sum > /one\nFROM base:1 AS two\nRUN head -c 8 /dev/urandom | md5sum > /two\n\
                      FROM base:1\nCOPY --from=one /one /\nCOPY --from=two /two /\n";
    place.build(dockerfile, &[]).ok();
    let (one, two) = (place.sh("cat /one"), place.sh("cat /two"));
    let filtered = place.build_again(&["--no-cache-filter", "one"]).ok();
    assert!(
        filtered.ran().iter().any(|name| name.contains("/one")),
        "{}",
        filtered.err
    );
    assert_ne!(place.sh("cat /one"), one);
    assert_eq!(place.sh("cat /two"), two);
    place.build_again(&["--no-cache"]).ok();
    assert_ne!(place.sh("cat /two"), two);
}

#[test]
fn an_ignored_file_does_not_matter_and_is_not_there() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write(".dockerignore", "*.log\n!keep.log\n");
    for name in ["a", "x.log", "keep.log"] {
        place.write(name, "1\n");
    }
    place.build("FROM base:1\nCOPY . /in/\n", &[]).ok();
    assert_eq!(
        place.sh("ls -A /in | tr '\\n' ' '"),
        ".dockerignore Dockerfile a keep.log "
    );
    place.write("x.log", "2\n");
    assert_eq!(place.build_again(&[]).ok().ran(), Vec::<&str>::new());
}
