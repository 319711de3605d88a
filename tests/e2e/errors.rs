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

#[test]
fn what_is_missing_is_said_with_where_it_was_looked_for_and_what_was_meant() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("package.json", "{}");
    for (dockerfile, text) in [
        (
            "FROM base:1\nCOPY packge.json /\n",
            "did you mean package.json?",
        ),
        ("FROM base:1\nCOPY ../x /\n", "`..` does not lead out"),
        ("FROM base:1\nCOPY nothing-like-it /\n", "in the context"),
        (
            "FROM base:1 AS tools\nFROM base:1\nCOPY --from=tools /x /\n",
            "in the stage `tools`",
        ),
    ] {
        place.build(dockerfile, &[]).fails(2, text);
    }
    place
        .rbuild(&["build", "-f", "Dockerfle", "."])
        .fails(2, "help");
    place.rbuild(&["biuld"]).fails(1, "build");
    place.rbuild(&["images", "--bogus"]).fails(125, "--bogus");
}

#[test]
fn the_summary_comes_after_the_warnings_and_only_of_a_build() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let said = place
        .build("FROM base:1\nMAINTAINER me\nRUN true\n", &[])
        .ok();
    let last = said.err.lines().last().unwrap_or_default();
    assert!(
        last.contains("cached") && last.contains("ran in"),
        "{}",
        said.err
    );
    assert!(said.err.contains("MaintainerDeprecated"), "{}", said.err);
    let said = place.build("FROM base:1\nRUNN\n", &[]).fails(2, "RUNN");
    assert!(!said.err.contains("ran in"), "{}", said.err);
}
