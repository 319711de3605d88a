//! A picture with everything in it, drawn in each way as `tests/graphs` holds it. `UPDATE_GOLDENS=1`
//! writes what is drawn now; read the difference before it is committed.

use std::path::Path;

use super::*;

fn step(name: &str, verdict: Verdict) -> Step {
    Step {
        vertex: VertexId([0; 32]),
        name: name.to_owned(),
        verdict,
    }
}

fn root(from: usize, to: usize) -> Edge {
    let is_root = true;
    Edge { from, to, is_root }
}

fn files(from: usize, to: usize) -> Edge {
    let is_root = false;
    Edge { from, to, is_root }
}

/// Four groups, every verdict, a shared stage, a skipped neighbour, and names that are too long.
fn picture() -> Picture {
    let group = |name: &str, steps: &[usize]| Group {
        name: name.to_owned(),
        steps: steps.to_vec(),
    };
    let long = format!("2/3 RUN make {}", "-j ".repeat(40));
    Picture {
        groups: vec![
            group(SOURCES, &[0, 1]),
            group("base", &[2, 3]),
            group("build", &[4, 5, 6]),
            group("linux/arm64 <&> \"stage\"", &[7, 8, 9]),
        ],
        steps: vec![
            step("context .", Verdict::None),
            step(
                "https://example.org/a.tar",
                Verdict::Unknown("it is asked for".into()),
            ),
            step("1/2 FROM docker.io/library/busybox:latest", Verdict::Cached),
            step("2/2 WORKDIR /src", Verdict::Cached),
            step("1/3 COPY . .", Verdict::Runs("main.c changed".into())),
            step(
                &long,
                Verdict::Unknown("[build 1/3] COPY . . has run".into()),
            ),
            step(
                "3/3 ADD https://example.org/a.tar /",
                Verdict::Fails("no \\ such & file".into()),
            ),
            step("1/3 RUN true", Verdict::Skipped),
            step("2/3 COPY --link a b", Verdict::Cached),
            step("3/3 COPY --from=build /src /", Verdict::None),
        ],
        edges: vec![
            root(2, 3),
            root(3, 4),
            files(0, 4),
            root(4, 5),
            root(5, 6),
            files(1, 6),
            root(3, 7),
            files(0, 8),
            root(7, 9),
            root(8, 9),
            files(6, 9),
        ],
        targets: vec![(9, "linux/arm64".to_owned())],
        is_foretold: true,
    }
}

#[track_caller]
fn is_as_written(name: &str, drawn: &str) {
    let room = std::env::var_os("CARGO_MANIFEST_DIR");
    let room = room.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let file = Path::new(&room).join("tests/graphs").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&file, drawn).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), drawn, "{name}");
}

#[test]
fn every_drawing_is_as_it_is_written() {
    let picture = picture();
    let look = |width, colour| Look { width, colour };
    is_as_written("wide.txt", &text::draw(&picture, &look(None, false)));
    is_as_written("narrow.txt", &text::draw(&picture, &look(Some(70), false)));
    is_as_written("plan.dot", &dot::draw(&picture));
    is_as_written("plan.svg", &svg::draw(&picture));
}

#[test]
fn colours_say_nothing_that_words_do_not_say() {
    let picture = picture();
    let look = |colour| Look {
        width: None,
        colour,
    };
    let mut coloured = text::draw(&picture, &look(true));
    assert!(coloured.contains("\u{1b}[32m✓\u{1b}[0m"));
    for code in ["32", "33", "34", "31", "2", "0"] {
        coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(coloured, text::draw(&picture, &look(false)));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 200] {
        let look = Look {
            width: Some(width),
            colour: false,
        };
        let drawn = text::draw(&picture(), &look);
        // The last line is a sentence, which may wrap.
        for line in drawn.lines().take(drawn.lines().count() - 1) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn what_has_no_room_for_a_line_is_named() {
    let readers = 20;
    let mut steps: Vec<Step> = (0..readers)
        .map(|n| step(&format!("source {n}"), Verdict::None))
        .collect();
    steps.extend((0..readers).map(|n| step(&format!("user {n}"), Verdict::Cached)));
    let picture = Picture {
        groups: vec![
            Group {
                name: "low".into(),
                steps: (0..readers).collect(),
            },
            Group {
                name: "high".into(),
                steps: (readers..2 * readers).collect(),
            },
        ],
        edges: (0..readers).map(|n| files(n, n + readers)).collect(),
        steps,
        targets: Vec::new(),
        is_foretold: true,
    };
    let drawn = text::draw(&picture, &Look::default());
    let named = drawn.lines().filter(|line| line.contains("← source"));
    let lines = drawn.matches('╭').count();
    assert_eq!(named.count() + lines, readers, "{drawn}");
}

#[test]
fn names_are_one_line_of_what_can_be_printed() {
    assert_eq!(plain("RUN a\n\tb \u{1b}[1m c"), "RUN a b �[1m c");
    assert_eq!(short("abcdef", 4), "abc…");
    assert_eq!(short("äöüß", 4), "äöüß");
}
