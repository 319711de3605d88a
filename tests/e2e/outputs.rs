//! Files that leave a build: `type=local`, `type=tar`, and standard output that nobody reads.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use image::tar::{Kind, Reader};

use crate::place::Place;

const DOCKERFILE: &str = "FROM base:1 AS made\n\
    RUN mkdir /out && cd /out && echo a > a && ln a b && ln -s /etc/passwd l \
    && mkdir d && echo c > d/c && chmod 4750 d/c && chmod 2711 d && touch -d @1000 a && chown 1:1 d 2>/dev/null || true\n\
    FROM scratch\n\
    COPY --from=made /out /\n";

/// Path to kind, mode, seconds and bytes of each member of an archive.
fn members(archive: &[u8]) -> BTreeMap<String, (Kind, u32, i64, String)> {
    let mut reader = Reader::new(archive);
    let mut members = BTreeMap::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut bytes = String::new();
        reader.body().read_to_string(&mut bytes).unwrap();
        let path = String::from_utf8(entry.path).unwrap();
        let path = path.trim_end_matches('/').to_owned();
        let value = (entry.kind, entry.mode, entry.mtime.seconds, bytes);
        assert!(members.insert(path, value).is_none());
    }
    members
}

#[test]
fn a_directory_gets_the_files_as_the_callers_own() {
    let Some(place) = Place::with_base() else {
        return;
    };
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::write(place.path("elsewhere/c"), "mine").unwrap();
    fs::create_dir(place.path("out")).unwrap();
    symlink(place.path("elsewhere"), place.path("out/d")).unwrap();
    fs::write(place.path("out/other"), "stays").unwrap();
    place.build(DOCKERFILE, &["-o", "out"]).ok();
    let at = |name: &str| fs::symlink_metadata(place.path("out").join(name)).unwrap();
    assert!(at("d").is_dir());
    assert_eq!(fs::read(place.path("elsewhere/c")).unwrap(), b"mine");
    assert_eq!(fs::read(place.path("out/other")).unwrap(), b"stays");
    assert_eq!(fs::read(place.path("out/a")).unwrap(), b"a\n");
    assert_eq!(fs::read(place.path("out/b")).unwrap(), b"a\n");
    assert_eq!(at("d/c").permissions().mode() & 0o7777, 0o4750);
    assert_eq!(at("d").permissions().mode() & 0o7777, 0o2711);
    assert_eq!(
        fs::read_link(place.path("out/l")).unwrap().to_str(),
        Some("/etc/passwd")
    );
    let caller = rustix::process::geteuid().as_raw();
    for name in ["a", "d", "d/c", "l"] {
        assert_eq!(at(name).uid(), caller, "{name}");
    }
    // Once more over itself, and at the epoch.
    place
        .build(
            DOCKERFILE,
            &["-o", "out", "--build-arg", "SOURCE_DATE_EPOCH=5"],
        )
        .ok();
    for name in ["a", "d", "d/c", "l"] {
        assert_eq!(at(name).mtime(), 5, "{name}");
    }
}

#[test]
fn a_tar_has_what_the_directory_would_have() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place
        .build(DOCKERFILE, &["-o", "type=tar,dest=out.tar"])
        .ok();
    let archive = fs::read(place.path("out.tar")).unwrap();
    let found = members(&archive);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "b", "d", "d/c", "l"]);
    assert_eq!(found["a"].3, "a\n");
    assert_eq!(found["d/c"].1, 0o4750);
    assert_eq!(
        found["l"].0,
        Kind::Symlink {
            target: b"/etc/passwd".to_vec()
        }
    );
    place.write("Dockerfile", DOCKERFILE);
    let project = place.project();
    let said = place
        .command(&["-o", "-", project.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(said.stdout, archive);
}

#[test]
fn several_platforms_have_directories_of_their_own() {
    let Some(place) = Place::new() else { return };
    let dockerfile =
        "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /f\nCOPY Dockerfile /of-$TARGETARCH\n";
    let platforms = "--platform=linux/amd64,linux/arm64";
    place.build(dockerfile, &[platforms, "-o", "out"]).ok();
    for path in [
        "linux_amd64/of-amd64",
        "linux_arm64/of-arm64",
        "linux_arm64/f",
    ] {
        assert!(place.path("out").join(path).is_file(), "{path}");
    }
    place
        .build(dockerfile, &[platforms, "-o", "type=tar,dest=out.tar"])
        .ok();
    let found = members(&fs::read(place.path("out.tar")).unwrap());
    assert!(found.contains_key("linux_amd64") && found.contains_key("linux_arm64/of-arm64"));
    let joined = "type=local,dest=joined,platform-split=false";
    place
        .build(dockerfile, &[platforms, "-o", joined])
        .fails(2, "cannot overwrite f from linux_amd64 with linux_arm64");
    let apart = "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /of-$TARGETARCH\n";
    place.build(apart, &[platforms, "-o", joined]).ok();
    for path in ["of-amd64", "of-arm64"] {
        assert!(place.path("joined").join(path).is_file(), "{path}");
    }
}

#[test]
fn nobody_reads_and_nothing_is_said() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place.write("Dockerfile", "FROM base:1\n");
    let project = place.project();
    let project = project.to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["images"],
        &["inspect", "base:1"],
        &["history", "base:1"],
        &["save", "base:1"],
        &["--progress=quiet", "-o", "-", project],
        &["--progress=quiet", "-o", "type=oci", project],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = place
            .command(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = crate::place::said(child.wait_with_output().unwrap());
        assert_eq!(said.code, 141, "{arguments:?}: {said:?}");
        assert!(
            !said.err.contains("panicked") && !said.err.contains("error"),
            "{arguments:?}: {said:?}"
        );
    }
}
