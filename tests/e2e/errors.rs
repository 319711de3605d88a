//! What is wrong is said once, with its place and its cure, and leaves nothing behind.

use crate::place::Place;

#[test]
fn all_syntax_errors_come_at_once_with_their_lines() {
    let Some(place) = Place::new() else { return };
    let said = place
        .build("FROM base:1\nRUNN x\nCOPY\n", &[])
        .fails(2, "unknown instruction");
    assert!(
        said.err.contains("Dockerfile:2") && said.err.contains("Dockerfile:3"),
        "{}",
        said.err
    );
    assert!(said.err.contains("RUN"), "{}", said.err);
}

#[test]
fn a_failed_step_shows_its_line_and_its_last_words() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let said = place
        .build("FROM base:1\nRUN echo before && exit 7\n", &[])
        .fails(1, "exit code: 7");
    assert!(
        said.err.contains("Dockerfile:2") && said.err.contains("before"),
        "{}",
        said.err
    );
}

#[test]
fn wrong_input_is_refused_with_its_reason() {
    let Some(place) = Place::with_base() else {
        return;
    };
    for (dockerfile, text) in [
        ("", "empty"),
        ("# nothing\n", "file with no instructions"),
        ("RUN x\n", "no build stage"),
        ("FROM base:1\nCOPY missing /\n", "not found"),
        ("FROM base:1\nCOPY --from=nowhere /x /\n", "nowhere"),
        (
            "FROM base:1 AS a\nCOPY --from=b /x /\nFROM base:1 AS b\nCOPY --from=a /x /\n",
            "",
        ),
        ("FROM base:1\nFOO bar\n", "unknown instruction: FOO"),
        ("FROM base:1\nRUN --mount=type=foo x\n", "foo"),
    ] {
        let said = place.build(dockerfile, &[]);
        assert!(matches!(said.code, 1..=3), "{dockerfile}: {said:?}");
        assert!(said.err.contains(text), "{dockerfile}: {}", said.err);
        assert!(!said.err.contains("panicked"), "{dockerfile}: {}", said.err);
    }
    place
        .build("FROM base:1\n", &["--target", "bulid"])
        .fails(2, "bulid");
    place
        .build("FROM base:1\n", &["--cache-from", "x"])
        .fails(2, "--cache-from");
    place
        .rbuild(&["build", "/nonexistent"])
        .fails(2, "/nonexistent");
}

#[test]
fn an_unknown_user_names_the_user() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place
        .build("FROM base:1\nUSER nobody-here\nRUN true\n", &[])
        .fails(1, "nobody-here");
}

#[test]
fn a_dockerfile_of_other_bytes_is_refused() {
    let Some(place) = Place::new() else { return };
    place.write("Dockerfile", "");
    std::fs::write(place.project().join("Dockerfile"), b"FROM \xff\xfe\0\n").unwrap();
    place.build_again(&[]).fails(2, "Dockerfile");
}
