//! Changes of every kind: the first step that runs again names the cause in its one line, and
//! `rbuild why` says the same.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::place::{BASE, Place, Said, base_tar};

const DOCKERFILE: &str = "\
ARG FLAVOUR=plain
FROM base:1
ARG MODE=fast
ENV LEVEL=one
WORKDIR /work
RUN echo $MODE $LEVEL > /made
COPY --chown=0:0 src /src
RUN --mount=type=cache,id=first,target=/cache --network=none echo list > /list
RUN --mount=type=secret,id=token,target=/token wc -c /list > /size
COPY --from=extra / /extra
";

/// One change to a project that was built.
struct Change<'a> {
    /// What changes.
    kind: &'a str,
    /// Brings it about; gives further arguments of the build.
    make: &'a (dyn Fn(&Place) -> Vec<String> + Sync),
    /// A part of the name of the first step that runs.
    step: &'a str,
    /// All of this is in the line that says why.
    said: &'a [&'a str],
}

fn project() -> Option<Place> {
    let place = Place::with_base()?;
    for name in ["a", "b", "deep/c"] {
        place.write(&format!("src/{name}"), "1\n");
    }
    fs::create_dir(place.path("extra")).unwrap();
    fs::write(place.path("extra/file"), "x").unwrap();
    fs::write(place.path("secret"), "hush").unwrap();
    place.write(".dockerignore", "*.log\n");
    place.write("src/x.log", "log\n");
    build(&place, DOCKERFILE, Vec::new()).ok();
    Some(place)
}

fn build(place: &Place, dockerfile: &str, mut more: Vec<String>) -> Said {
    if !more.iter().any(|word| word.starts_with("extra=")) {
        more.push("--build-context".into());
        more.push(format!("extra={}", place.path("extra").display()));
    }
    let secret = place.path("secret");
    for id in ["token", "other"] {
        more.push("--secret".into());
        more.push(format!("id={id},src={}", secret.display()));
    }
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    place.build(dockerfile, &more)
}

/// Writes the Dockerfile with one text for another.
fn dockerfile(place: &Place, old: &str, new: &str) -> Vec<String> {
    assert!(DOCKERFILE.contains(old));
    place.write("Dockerfile", &DOCKERFILE.replace(old, new));
    Vec::new()
}

const CHANGES: &[Change<'_>] = &[
    Change {
        kind: "the value of an ARG on the command line",
        make: &|_| vec!["--build-arg".into(), "MODE=slow".into()],
        step: "> /made",
        said: &["ARG MODE changed", "fast", "slow"],
    },
    Change {
        kind: "the default of an ARG",
        make: &|place| dockerfile(place, "MODE=fast", "MODE=calm"),
        step: "> /made",
        said: &["ARG MODE changed", "fast", "calm"],
    },
    Change {
        kind: "the value of an ENV",
        make: &|place| dockerfile(place, "LEVEL=one", "LEVEL=two"),
        step: "> /made",
        said: &["ENV LEVEL changed", "one", "two"],
    },
    Change {
        kind: "a file's content",
        make: &|place| {
            place.write("src/deep/c", "2\n");
            Vec::new()
        },
        step: "COPY --chown",
        said: &["src/deep/c changed"],
    },
    Change {
        kind: "a file's mode",
        make: &|place| {
            let file = place.project().join("src/b");
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
            Vec::new()
        },
        step: "COPY --chown",
        said: &["src/b changed its mode"],
    },
    Change {
        kind: "a new file",
        make: &|place| {
            place.write("src/new", "n\n");
            Vec::new()
        },
        step: "COPY --chown",
        said: &["src/new is new"],
    },
    Change {
        kind: "a removed file",
        make: &|place| {
            fs::remove_file(place.project().join("src/deep/c")).unwrap();
            Vec::new()
        },
        step: "COPY --chown",
        said: &["src/deep/c is gone"],
    },
    Change {
        kind: "a renamed file",
        make: &|place| {
            let src = place.project().join("src");
            fs::rename(src.join("a"), src.join("z")).unwrap();
            Vec::new()
        },
        step: "COPY --chown",
        said: &["src/a is gone", "1 more file"],
    },
    Change {
        kind: "the config of the base image",
        make: &|place| {
            place
                .rbuild(&[
                    "import",
                    "-c",
                    "ENV BASED=yes",
                    base_tar().to_str().unwrap(),
                    BASE,
                ])
                .ok();
            Vec::new()
        },
        step: "> /made",
        said: &["BASED of the base image is new: yes"],
    },
    Change {
        kind: "the files of the base image",
        make: &|place| {
            other_base(place);
            Vec::new()
        },
        step: "FROM",
        said: &["the base image changed"],
    },
    Change {
        kind: "the text of a RUN",
        make: &|place| dockerfile(place, "echo list", "echo names"),
        step: "echo names",
        said: &["the command changed", "echo list", "echo names"],
    },
    Change {
        kind: "--chown",
        make: &|place| dockerfile(place, "--chown=0:0", "--chown=1:2"),
        step: "COPY --chown",
        said: &["the owner changed", "0:0", "1:2"],
    },
    Change {
        kind: "the destination of a COPY",
        make: &|place| dockerfile(place, "src /src", "src /sources"),
        step: "/sources",
        said: &["the destination changed", "/src → /sources"],
    },
    Change {
        kind: "the mode of a cache mount",
        make: &|place| dockerfile(place, "id=first", "id=first,mode=0700"),
        step: "echo list",
        said: &["mount /cache changed", "mode=755", "mode=700"],
    },
    Change {
        kind: "the id of a secret",
        make: &|place| dockerfile(place, "id=token", "id=other"),
        step: "wc -c",
        said: &["/token", "token", "other"],
    },
    Change {
        kind: "--network",
        make: &|place| dockerfile(place, "--network=none", "--network=default"),
        step: "echo list",
        said: &["the network changed: none → default"],
    },
    Change {
        kind: "the working directory",
        make: &|place| dockerfile(place, "WORKDIR /work", "WORKDIR /job"),
        step: "WORKDIR",
        said: &["the path changed: /work → /job"],
    },
    Change {
        kind: "the user",
        make: &|place| {
            dockerfile(
                place,
                "RUN --mount=type=secret",
                "USER root\nRUN --mount=type=secret",
            )
        },
        step: "wc -c",
        said: &["the user changed", "root"],
    },
    Change {
        kind: "the shell",
        make: &|place| {
            dockerfile(
                place,
                "ENV LEVEL=one\n",
                "SHELL [\"/bin/sh\", \"-e\", \"-c\"]\n",
            )
        },
        step: "> /made",
        said: &["the command changed"],
    },
    Change {
        kind: "another directory as a named context",
        make: &|place| {
            fs::create_dir(place.path("other")).unwrap();
            fs::write(place.path("other/file"), "y").unwrap();
            vec![
                "--build-context".into(),
                format!("extra={}", place.path("other").display()),
            ]
        },
        step: "from=extra",
        said: &["file changed"],
    },
    Change {
        kind: "a rule of the ignore file",
        make: &|place| {
            place.write(".dockerignore", "*.log\nsrc/deep\n");
            Vec::new()
        },
        step: "COPY --chown",
        said: &["src/deep is gone"],
    },
    Change {
        kind: "records that were pruned",
        make: &|place| {
            // The image keeps its layers only as long as it has its name.
            let text = fs::read_to_string(place.project().join("Dockerfile")).unwrap();
            place.build("FROM base:1\n", &[]).ok();
            place.write("Dockerfile", &text);
            place.rbuild(&["prune", "--all"]).ok();
            Vec::new()
        },
        step: "FROM",
        said: &["prune"],
    },
    Change {
        kind: "a new instruction in between",
        make: &|place| {
            dockerfile(
                place,
                "COPY --chown",
                "RUN echo between > /between\nCOPY --chown",
            )
        },
        step: "echo between",
        said: &["never built before"],
    },
    Change {
        kind: "--no-cache",
        make: &|_| vec!["--no-cache".into()],
        step: "> /made",
        said: &["asked not to use the cache"],
    },
];

/// A base image with one more file.
fn other_base(place: &Place) {
    let tree = place.path("tree");
    fs::create_dir(&tree).unwrap();
    let run = |command: &mut std::process::Command| assert!(command.status().unwrap().success());
    let tar = place.path("other.tar");
    fs::copy(base_tar(), &tar).unwrap();
    fs::write(tree.join("added"), "more").unwrap();
    run(std::process::Command::new("tar")
        .args(["--numeric-owner", "--owner=0", "--group=0", "-C"])
        .arg(&tree)
        .arg("-rf")
        .arg(&tar)
        .arg("added"));
    place.rbuild(&["import", tar.to_str().unwrap(), BASE]).ok();
}

#[test]
fn every_kind_of_change_is_named() {
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let part = |half: usize| CHANGES.iter().skip(half).step_by(2).filter_map(check);
        let other = scope.spawn(move || part(1).collect::<Vec<_>>());
        let mut wrong: Vec<String> = part(0).collect();
        wrong.extend(other.join().unwrap());
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong in what is said about a change.
fn check(change: &Change<'_>) -> Option<String> {
    let place = project()?;
    let more = (change.make)(&place);
    let text = fs::read_to_string(place.project().join("Dockerfile")).unwrap();
    let again = build(&place, &text, more).ok();
    let kind = change.kind;
    let ran = again.ran();
    let Some(first) = ran.first() else {
        return Some(format!("{kind}: nothing ran"));
    };
    if !first.contains(change.step) {
        return Some(format!("{kind}: the first to run is {first}"));
    }
    let reason = again.reason(change.step);
    if !change.said.iter().all(|text| reason.contains(text)) {
        return Some(format!("{kind}: {first}: {reason}"));
    }
    let why = place.rbuild(&["why", change.step]).ok().out;
    (!why.contains(reason)).then(|| format!("{kind}: `why` says {why}"))
}

#[test]
fn why_counts_as_the_builds_own_summary_does() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let header = |build: &Said| {
        let (counts, _) = { build.err.lines() }
            .find_map(|line| {
                line.split_once(" in ")
                    .filter(|(all, _)| all.contains(" ran"))
            })
            .unwrap_or_else(|| panic!("no summary in {}", build.err));
        let why = place.rbuild(&["why"]).ok().out;
        let (first, rest) = why.split_once('\n').unwrap();
        assert!(first.ends_with(&format!(": {counts}")), "{counts}: {why}");
        (counts.to_owned(), rest.to_owned())
    };
    let text = "FROM base:1\nRUN echo 1 > /1\nRUN echo 2 > /2\n";
    let ran = place.build(text, &[]).ok();
    assert_eq!(header(&ran).0, "0 cached, 2 ran");
    let cached = place.build_again(&[]).ok();
    let all = ("2 cached, 0 ran", "every step came from the cache\n");
    assert_eq!(header(&cached), (all.0.to_owned(), all.1.to_owned()));
    let failed = place.build(&format!("{text}RUN false\n"), &[]);
    let (counts, rest) = header(&failed);
    assert_eq!(counts, "2 cached, 0 ran, 1 failed");
    assert!(
        rest.contains("RUN false") && !rest.contains("FROM"),
        "{rest}"
    );
    let refused = "FROM base:1\nRUN --device=nobody.com/class=x,required true\n";
    place.build(refused, &[]).fails(2, "is not registered");
    let why = place.rbuild(&["why"]).ok().out;
    assert!(why.contains("no step of it is known"), "{why}");
}

#[test]
fn the_first_build_of_all_compares_with_nothing() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("a", "a");
    place.write("b", "b");
    let said = place
        .build(
            "FROM base:1\nCOPY a /a\nRUN echo 1 > /1\nCOPY b /b\nRUN echo 2 > /2\n",
            &["--jobs=1"],
        )
        .ok();
    for line in said.err.lines().filter(|line| line.contains(" runs: ")) {
        assert!(line.ends_with("never built before"), "{}", said.err);
    }
}
