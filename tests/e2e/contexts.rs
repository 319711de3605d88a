//! Contexts that are no directory: standard input, archives, repositories, URLs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::loopback::serve;
use crate::place::{Place, Said, has_program};

const DOCKERFILE: &str = "FROM base:1\nCOPY . /src/\nRUN cat /src/word > /out\n";

/// Runs rbuild with these bytes on standard input.
fn fed(place: &Place, arguments: &[&str], bytes: &[u8]) -> Said {
    crate::place::fed(place.command(arguments), bytes)
}

/// Programs that compress archives, and none.
const PACKERS: [Option<&str>; 5] = [None, Some("gzip"), Some("xz"), Some("zstd"), Some("bzip2")];

/// The project as an archive, packed by the program `with` if one is given.
fn packed(place: &Place, with: Option<&str>) -> Vec<u8> {
    let mut tar = Command::new("tar");
    if let Some(with) = with {
        tar.args(["-I", with]);
    }
    let owner = ["--owner=0", "--group=0", "--numeric-owner", "-C"];
    let output = tar
        .args(owner)
        .arg(place.project())
        .args(["-c", "."])
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// The project as an archive by each way of packing there is, with another word in each.
fn archives(place: &Place) -> impl Iterator<Item = (String, Vec<u8>)> {
    let there = PACKERS
        .into_iter()
        .filter(|with| with.is_none_or(has_program));
    there.map(|with| {
        let word = format!("by {with:?}");
        written(place, &word);
        (word, packed(place, with))
    })
}

fn written(place: &Place, word: &str) {
    place.write("Dockerfile", DOCKERFILE);
    place.write("word", word);
    place.write("other.Dockerfile", "FROM base:1\nRUN echo other > /out\n");
    // An ignore file does not hold for archives, repositories and URLs.
    place.write(".dockerignore", "word\n");
}

#[test]
fn a_dockerfile_on_standard_input_has_no_files() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("word", "hidden");
    for arguments in [
        &["-t", "app", "-"][..],
        &["build", "-t", "app", "-"],
        &["-", "-t", "app"],
    ] {
        fed(&place, arguments, b"FROM base:1\nRUN echo piped > /out\n").ok();
        assert_eq!(place.sh("cat /out"), "piped\n");
    }
    let missing = b"FROM base:1\nCOPY word /word\n";
    let failed = fed(&place, &["-"], missing).fails(2, "\"/word\": not found");
    assert!(
        failed.err.contains("the context standard input"),
        "{}",
        failed.err
    );
    fed(&place, &["-"], b"").fails(2, "");
    fed(&place, &["-f", "-", "-"], b"FROM base:1\n").fails(
        2,
        "standard input cannot be both the context and the Dockerfile",
    );
    fed(&place, &["-f", "x", "-"], b"FROM base:1\n").fails(2, "is a Dockerfile itself");
    let check = fed(&place, &["check", "-"], b"FROM base:1\nMAINTAINER me\n");
    assert!(check.out.contains("MaintainerDeprecated"), "{check:?}");
}

#[test]
fn an_archive_on_standard_input_is_a_context() {
    let Some(place) = Place::with_base() else {
        return;
    };
    for (word, archive) in archives(&place) {
        let first = fed(&place, &["--progress=plain", "-t", "app", "-"], &archive).ok();
        assert!(first.reason("COPY").len() > 1, "{}", first.err);
        assert_eq!(place.sh("cat /out"), word);
        let again = fed(&place, &["--progress=plain", "-t", "app", "-"], &archive).ok();
        assert_eq!(again.ran(), Vec::<&str>::new(), "{}", again.err);
    }
    written(&place, "last");
    let archive = packed(&place, None);
    fed(
        &place,
        &["-t", "app", "-f", "other.Dockerfile", "-"],
        &archive,
    )
    .ok();
    assert_eq!(place.sh("cat /out"), "other\n");
    // An absolute path is a file of this machine.
    let outside = place.path("outside");
    fs::write(
        &outside,
        "FROM base:1\nRUN --mount=type=bind,target=/m cp /m/word /out\n",
    )
    .unwrap();
    let file = outside.to_str().unwrap();
    fed(&place, &["-t", "app", "-f", file, "-"], &archive).ok();
    assert_eq!(place.sh("cat /out"), "last");
    fed(&place, &["-f", "none", "-"], &archive).fails(2, "cannot read the Dockerfile none");
    fed(&place, &["-"], b"\x1f\x8b\x08\0\0\0\0\0\0\x03\0\0\0\0").fails(2, "");
}

#[test]
fn a_hostile_archive_stays_in_its_tree() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let dir = place.directory("hostile");
    std::os::unix::fs::symlink("/etc/hostname", dir.join("Dockerfile")).unwrap();
    fs::write(dir.join("x"), "x").unwrap();
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar")
            .args(["-C", dir.to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        output.stdout
    };
    let linked = tar(&["-c", "Dockerfile", "x"]);
    fed(&place, &["-"], &linked).fails(2, "there is no such file");
    fs::remove_file(dir.join("Dockerfile")).unwrap();
    fs::write(dir.join("Dockerfile"), "FROM base:1\nCOPY . /src\n").unwrap();
    let escaping = tar(&[
        "-c",
        "-P",
        "--transform=s,^x,../../../escaped,",
        "Dockerfile",
        "x",
    ]);
    fed(&place, &["-t", "app", "-"], &escaping).ok();
    assert_eq!(place.sh("cat /src/escaped"), "x");
    let found = Command::new("find")
        .args([place.path("").to_str().unwrap(), "-name", "escaped"])
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        found.lines().all(|path| path.contains("/layers/")),
        "{found}"
    );
}

/// A bare repository below the directory that is served; gives its URL without the ending.
fn repository(place: &Place, served: &Path) -> PathBuf {
    let git = |directory: &Path, arguments: &[&str]| {
        // a time of its own, which no build has
        let dates = ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"];
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(arguments)
            .envs(dates.map(|name| (name, "2024-02-29T12:34:56Z")))
            .current_dir(directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let work = place.path("work");
    fs::create_dir_all(work.join("sub")).unwrap();
    fs::write(work.join("Dockerfile"), DOCKERFILE).unwrap();
    fs::write(work.join("word"), "top").unwrap();
    fs::write(work.join("sub/Dockerfile"), DOCKERFILE).unwrap();
    fs::write(work.join("sub/word"), "sub").unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "first"]);
    git(&work, &["tag", "v1"]);
    fs::write(work.join("word"), "later").unwrap();
    git(&work, &["commit", "-q", "-a", "-m", "second"]);
    let bare = served.join("repo.git");
    git(
        place.path("").as_path(),
        &[
            "clone",
            "-q",
            "--bare",
            work.to_str().unwrap(),
            bare.to_str().unwrap(),
        ],
    );
    git(&bare, &["update-server-info"]);
    bare
}

#[test]
fn a_repository_is_a_context() {
    if !has_program("git") {
        return;
    }
    let Some(place) = Place::with_base() else {
        return;
    };
    let served = place.directory("served");
    repository(&place, &served);
    let address = serve(served);
    let url = format!("http://{address}/repo.git");
    for (fragment, word) in [("", "later"), ("#v1", "top"), ("#main:sub", "sub")] {
        let context = format!("{url}{fragment}");
        let arguments = ["--progress=plain", "-t", "app", &context];
        place.rbuild(&arguments).ok();
        assert_eq!(
            place.sh("cat /out; ls -A /src"),
            format!(
                "{word}Dockerfile\n{}word\n",
                if fragment.ends_with("sub") {
                    ""
                } else {
                    "sub\n"
                }
            )
        );
        let again = place.rbuild(&arguments).ok();
        assert_eq!(again.ran(), Vec::<&str>::new(), "{}", again.err);
    }
    let piped = b"FROM base:1\nCOPY word /out\n";
    fed(&place, &["-t", "app", "-f", "-", &url], piped).ok();
    assert_eq!(place.sh("cat /out"), "later");
    let kept = [
        "-t",
        "app",
        "--build-arg",
        "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1",
        &url,
    ];
    place.rbuild(&kept).ok();
    assert_eq!(place.sh("ls -d /src/.git"), "/src/.git\n");
    place
        .rbuild(&[&format!("{url}#none")])
        .fails(2, "repository does not contain ref none");
    let named = format!("src={url}#v1");
    place
        .build(
            "FROM base:1\nCOPY --from=src word /out\n",
            &["--build-context", &named],
        )
        .ok();
    assert_eq!(place.sh("cat /out"), "top");
}

#[test]
fn a_url_is_a_context() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let served = place.directory("served");
    written(&place, "served");
    fs::write(served.join("c.tgz"), packed(&place, Some("gzip"))).unwrap();
    fs::write(served.join("plain"), "FROM base:1\nCOPY context /out\n").unwrap();
    let address = serve(served);
    let archive = format!("http://{address}/c.tgz");
    let arguments = ["--progress=plain", "-t", "app", &archive];
    place.rbuild(&arguments).ok();
    assert_eq!(place.sh("cat /out"), "served");
    let again = place.rbuild(&arguments).ok();
    assert_eq!(again.ran(), Vec::<&str>::new(), "{}", again.err);
    place
        .rbuild(&["-t", "app", "-f", "other.Dockerfile", &archive])
        .ok();
    assert_eq!(place.sh("cat /out"), "other\n");
    let dockerfile = format!("http://{address}/plain");
    place.rbuild(&["-t", "app", &dockerfile]).ok();
    assert_eq!(place.sh("cat /out"), "FROM base:1\nCOPY context /out\n");
    place
        .rbuild(&["-f", "x", &dockerfile])
        .fails(2, "is a Dockerfile itself");
    place
        .rbuild(&[&format!("http://{address}/none")])
        .fails(2, "404");
    place
        .rbuild(&["ftp://example.org/a"])
        .fails(2, "ftp:// is not done");
    let named = format!("one=http://{address}/plain");
    place
        .build(
            "FROM base:1\nCOPY --from=one context /out\n",
            &["--build-context", &named],
        )
        .ok();
    assert_eq!(place.sh("head -n 1 /out"), "FROM base:1\n");
    place
        .rbuild(&[
            "--build-context",
            "one=-",
            place.project().to_str().unwrap(),
        ])
        .fails(2, "only PATH can be standard input");
}

#[test]
fn what_is_left_out_is_listed_with_its_rule() {
    let place = Place::anywhere();
    for name in [
        "Dockerfile",
        "a/x",
        "a/y.log",
        "keep.log",
        "target/deep/file",
        "b/c/d",
    ] {
        place.write(name, "");
    }
    place.write(
        ".dockerignore",
        "# logs\n*/*.log\n*.log\n!keep.log\ntarget\nb\n!b/c\n",
    );
    let project = place.project();
    let rows = "{{.Path}} {{.Seen}} {{.Rule}} {{.Line}}";
    let arguments = ["context", "ls", "--format", rows, project.to_str().unwrap()];
    assert_eq!(
        place.rbuild(&arguments).ok().out,
        ".dockerignore yes  \nDockerfile yes  \na/x yes  \na/y.log no */*.log 2\nb/c/d yes  \nkeep.log yes  \ntarget/ no target 5\n"
    );
    // The Dockerfile's own ignore file comes in the place of the directory's.
    place.write("Dockerfile.dockerignore", "a\n");
    let said = place.rbuild(&arguments).ok();
    assert!(said.out.contains("a/ no a 1\n"), "{}", said.out);
    assert!(said.out.contains("target/deep/file yes"), "{}", said.out);
    let json = ["context", "ls", "--format=json", project.to_str().unwrap()];
    assert!(place.rbuild(&json).ok().out.contains("\"Path\":\"a/\""));
    place
        .rbuild(&["context", "ls", "no/such"])
        .fails(2, "cannot read the directory");
}

#[test]
fn a_dockerfile_behind_a_url_is_one_for_every_context() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let served = place.directory("served");
    written(&place, "mine");
    place.write("hidden", "x");
    place.write(".dockerignore", "hidden\n");
    fs::write(
        served.join("far"),
        "FROM base:1\nCOPY . /src/\nRUN ls /src > /out\n",
    )
    .unwrap();
    fs::write(served.join("c.tar"), packed(&place, None)).unwrap();
    let address = serve(served);
    let far = format!("http://{address}/far");
    place.build(DOCKERFILE, &["-f", &far]).ok();
    assert_eq!(place.sh("cat /out"), "Dockerfile\nother.Dockerfile\nword\n");
    let archive = format!("http://{address}/c.tar");
    place.rbuild(&["-t", "app", "-f", &far, &archive]).ok();
    assert_eq!(
        place.sh("cat /out"),
        "Dockerfile\nhidden\nother.Dockerfile\nword\n"
    );
    place.rbuild(&["-t", "app", "-f", &far, &far]).ok();
    assert_eq!(place.sh("cat /out"), "context\n");
    let project = place.project();
    let project = project.to_str().unwrap();
    let none = format!("http://{address}/none");
    place.rbuild(&["-f", &none, project]).fails(2, "404");
    let drawn = place.rbuild(&["graph", "-f", &far, project]).ok();
    assert!(drawn.out.contains("RUN ls /src"), "{}", drawn.out);
    place.rbuild(&["check", "-f", &far, project]).ok();
}

#[test]
fn an_archive_is_a_context_by_its_name() {
    let Some(place) = Place::with_base() else {
        return;
    };
    for (word, archive) in archives(&place) {
        let file = place.path("context.archive");
        fs::write(&file, archive).unwrap();
        let file = file.to_str().unwrap();
        let arguments = ["--progress=plain", "-t", "app", file];
        place.rbuild(&arguments).ok();
        assert_eq!(place.sh("cat /out"), word);
        let again = place.rbuild(&arguments).ok();
        assert_eq!(again.ran(), Vec::<&str>::new(), "{}", again.err);
        // By another name it replaces an image, a stage, or is one more source.
        let named = format!("other={file}");
        let dockerfile = "FROM base:1\nCOPY --from=other word /a\n\
            RUN --mount=from=other,target=/m cat /m/word > /b\n";
        place.build(dockerfile, &["--build-context", &named]).ok();
        assert_eq!(place.sh("cat /a /b"), format!("{word}{word}"));
        let missing = "FROM base:1\nCOPY --from=other nothing /a\n";
        let failed = place.build(missing, &["--build-context", &named]);
        assert!(failed.fails(2, "nothing").err.contains(file));
        let stage = "FROM base:1 AS other\nRUN false\nFROM base:1\nCOPY --from=other word /a\n";
        place.build(stage, &["--build-context", &named]).ok();
        assert_eq!(place.sh("cat /a"), word);
        let image = "FROM other\nCOPY other.Dockerfile /new\n";
        place
            .build(image, &["--build-context", &named, "-o", "type=cacheonly"])
            .ok();
    }
    let text = place.path("text");
    fs::write(&text, "FROM base:1\n").unwrap();
    let neither = "is neither a directory nor an archive";
    place.rbuild(&[text.to_str().unwrap()]).fails(2, neither);
    let named = format!("other={}", text.display());
    place
        .build(
            "FROM base:1\nCOPY --from=other word /a\n",
            &["--build-context", &named],
        )
        .fails(2, neither);
}

#[test]
fn images_and_layouts_replace_stages_images_and_sources() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let layout = place.directory("layout");
    place.write("word", "from a layout\n");
    let out = format!("type=oci,dest={}", place.path("made.tar").display());
    place
        .build(
            "FROM base:1\nENV MADE=yes\nCOPY word /word\n",
            &["-t", "made:v1", "-o", &out],
        )
        .ok();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(place.path("made.tar"))
        .arg("-C")
        .arg(&layout)
        .status();
    assert!(unpacked.unwrap().success());
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let root = &index["manifests"][0];
    let digest = root["digest"].as_str().unwrap();
    let tag = root["annotations"]["org.opencontainers.image.ref.name"]
        .as_str()
        .unwrap();
    let dir = layout.display();
    for context in [
        "docker-image://made:v1".to_owned(),
        format!("oci-layout://{dir}"),
        format!("oci-layout://{dir}:{tag}"),
        format!("oci-layout://{dir}@{digest}"),
        format!("oci-layout://{dir}:{tag}@{digest}"),
    ] {
        for (name, dockerfile) in [
            (
                "alpine",
                "FROM alpine:latest\nRUN echo $MADE $(cat /word) > /out\n",
            ),
            (
                "stage",
                "FROM no/such:1 AS stage\nFROM stage\nRUN echo $MADE $(cat /word) > /out\n",
            ),
            (
                "source",
                "FROM base:1\nENV MADE=yes\nCOPY --from=source /word /w\n\
                 RUN --mount=from=source,source=/word,target=/m echo $MADE $(cat /m) > /out\n",
            ),
        ] {
            let named = format!("{name}={context}");
            place.build(dockerfile, &["--build-context", &named]).ok();
            assert_eq!(place.sh("cat /out"), "yes from a layout\n", "{named}");
        }
    }
    let other = "sha256:".to_owned() + &"0".repeat(64);
    for (context, said) in [
        (format!("oci-layout://{dir}@{other}"), other.as_str()),
        (format!("oci-layout://{dir}:none"), "none"),
        (format!("oci-layout://{dir}/none"), "none"),
        ("docker-image://no space".to_owned(), "no space"),
    ] {
        let named = format!("alpine={context}");
        let failed = place.build("FROM alpine\n", &["--build-context", &named]);
        failed.fails(2, said);
    }
}

#[test]
fn a_repository_has_the_time_of_its_commit() {
    if !has_program("git") {
        return;
    }
    let Some(place) = Place::with_base() else {
        return;
    };
    let served = place.directory("served");
    let bare = repository(&place, &served);
    let asked = Command::new("git")
        .args(["log", "-1", "--format=%ct", "main"])
        .current_dir(bare)
        .output()
        .unwrap();
    let committed = String::from_utf8(asked.stdout).unwrap().trim().to_owned();
    let address = serve(served);
    let url = format!("http://{address}/repo.git#main");
    let created = || {
        let format = "--format={{.Created}}";
        place.rbuild(&["inspect", format, "app"]).ok().out
    };
    let date = |seconds: &str| {
        let seconds = format!("@{seconds}");
        let args = ["-u", "-d", &seconds, "+%Y-%m-%dT%H:%M:%SZ"];
        let output = Command::new("date").args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let arg = ["--build-arg", "SOURCE_DATE_EPOCH=context"];
    place.rbuild(&["-t", "app", arg[0], arg[1], &url]).ok();
    assert_eq!(created(), date(&committed));
    // With an epoch the files have the commit's time, as no checkout has.
    let bound = b"FROM base:1\nRUN --mount=target=/m stat -c %Y /m/word > /out\n";
    let mut given = vec!["-t", "app", "-f", "-", arg[0], arg[1], &url];
    fed(&place, &given, bound).ok();
    assert_eq!(place.sh("cat /out").trim(), committed);
    given[5] = "SOURCE_DATE_EPOCH=77";
    place.rbuild(&["-t", "app", arg[0], given[5], &url]).ok();
    assert_eq!(created(), date("77"));
    // A directory has no time: it is as if nothing had been asked for.
    place.build("FROM base:1\nWORKDIR /x\n", &arg).ok();
    assert!(created() > date(&committed), "{}", created());
}
