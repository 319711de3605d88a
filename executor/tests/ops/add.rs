//! ADD of archives: what is one, where members go, and that nothing leads out.

use std::io::Write;

use executor::ops::OpError;
use image::compress::{Compression, Encoder};
use image::tar::{self, Kind, Time, Writer};
use solver::op::{CopyOp, CopySource, ModeChange, Unpack};

use super::Case;
use crate::world::{Input, World, copy, selector};

pub const CASES: &[Case] = &[
    ("add_unpacks_by_content", by_content),
    ("add_copies_what_is_no_archive", no_archive),
    ("add_merges_over_what_is_there", merging),
    ("add_gives_owners_and_ignores_modes", owners),
    ("add_never_leads_out", hostile),
    ("add_keeps_links_devices_and_capabilities", special),
    ("add_refuses_bombs", bombs),
];

/// A member of an archive with content.
fn file(name: &str, content: &str) -> (tar::Entry, Vec<u8>) {
    let mut entry = tar::Entry::new(name, Kind::File, 0o644);
    entry.size = content.len() as u64;
    entry.mtime = Time {
        seconds: 1_300_000_000,
        nanos: 0,
    };
    (entry, content.as_bytes().to_vec())
}

fn other(name: &str, kind: Kind, mode: u32) -> (tar::Entry, Vec<u8>) {
    (tar::Entry::new(name, kind, mode), Vec::new())
}

fn symlink(name: &str, target: &str) -> (tar::Entry, Vec<u8>) {
    let target = target.as_bytes().to_vec();
    other(name, Kind::Symlink { target }, 0o777)
}

fn hard_link(name: &str, target: &str) -> (tar::Entry, Vec<u8>) {
    let target = target.as_bytes().to_vec();
    other(name, Kind::HardLink { target }, 0o644)
}

fn owned(mut member: (tar::Entry, Vec<u8>), uid: u32, gid: u32) -> (tar::Entry, Vec<u8>) {
    (member.0.uid, member.0.gid) = (uid, gid);
    member
}

fn pack(members: &[(tar::Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in members {
        writer.append(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), compression);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn add(source: &str, dest: &str) -> CopyOp {
    let mut op = copy(&[], dest);
    op.sources = vec![CopySource::Files {
        input: 1,
        selector: selector(source),
        unpack: Unpack::Archives,
    }];
    op
}

fn by_content() {
    let world = World::new();
    let plain = pack(&[
        file("top", "top"),
        owned(other("dir/", Kind::Dir, 0o750), 10, 20),
        owned(file("dir/run", "x"), 10, 20),
        file("no/parent", "p"),
    ]);
    world.write("a.tar", &plain);
    world.write("gz", compressed(&plain, Compression::GZIP));
    world.write("zst", compressed(&plain, Compression::ZSTD));
    let mut xz = liblzma_free_xz(&plain);
    let mut names = vec!["a.tar", "gz", "zst"];
    if let Some(bytes) = xz.take() {
        world.write("xz", bytes);
        names.push("xz");
    }
    for name in names {
        for dest in ["/here", "/here/"] {
            let snapshot = world.copy_with(&Input::Scratch, add(name, dest)).unwrap();
            assert_eq!(
                world.tree(&snapshot),
                [
                    "here 755 0:0 dir",
                    "here/dir 750 10:20 dir",
                    "here/dir/run 644 10:20 = x",
                    "here/no 755 0:0 dir",
                    "here/no/parent 644 0:0 = p",
                    "here/top 644 0:0 = top",
                ],
                "{name} {dest}"
            );
            let top = world.entry(&snapshot, "here/top").unwrap();
            assert_eq!(top.mtime.seconds, 1_300_000_000);
        }
    }
}

/// Packed by the program `xz`, where there is one.
fn liblzma_free_xz(bytes: &[u8]) -> Option<Vec<u8>> {
    use std::process::{Command, Stdio};
    let child = Command::new("xz")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: xz: there is no such program");
        return None;
    };
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}

fn no_archive() {
    let world = World::new();
    let plain = pack(&[file("f", "content")]);
    world.write("empty.tar", "");
    world.write("text.tar.gz", "not an archive at all");
    world.write(
        "corrupt.gz",
        [&compressed(&plain, Compression::GZIP)[..40], b"rubbish"].concat(),
    );
    world.write("zeros", vec![0; 2048]);
    for name in ["empty.tar", "text.tar.gz", "corrupt.gz", "zeros"] {
        let snapshot = world.copy_with(&Input::Scratch, add(name, "/d/")).unwrap();
        let path = format!("d/{name} 644");
        assert!(world.tree(&snapshot)[1].starts_with(&path), "{name}");
    }
    world.write("a.tar", &plain);
    let packed = world.copy(&Input::Scratch, &["a.tar"], "/d/").unwrap();
    assert!(world.entry(&packed, "d/a.tar").is_some());

    let long = pack(&[file("f", &"content".repeat(1000))]);
    world.write("cut.tar", &long[..long.len() / 2]);
    let error = world
        .copy_with(&Input::Scratch, add("cut.tar", "/d/"))
        .unwrap_err();
    assert!(matches!(error, OpError::BadArchive { .. }), "{error}");
}

fn merging() {
    let world = World::new();
    world.write("base/change", "old");
    world.write("base/keep", "k");
    world.write("base/dir/x", "x");
    world.write("base/gone/deep/f", "f");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/t").unwrap());
    world.write(
        "over.tar",
        pack(&[
            other(".", Kind::Dir, 0o700),
            owned(file("change", "new"), 1, 1),
            owned(other("dir", Kind::Dir, 0o700), 2, 2),
            file("dir/y", "y"),
            file("gone", "a file"),
            file("gone", "again"),
        ]),
    );
    let snapshot = world.copy_with(&base, add("over.tar", "/t")).unwrap();
    assert_eq!(
        world.tree(&snapshot),
        [
            "t 755 0:0 dir",
            "t/change 644 1:1 = new",
            "t/dir 700 2:2 dir",
            "t/dir/x 644 0:0 = x",
            "t/dir/y 644 0:0 = y",
            "t/gone 644 0:0 = again",
            "t/keep 644 0:0 = k",
        ]
    );
    // A directory that was a file in between is a new one.
    world.write(
        "twice.tar",
        pack(&[
            file("dir", "f"),
            other("dir", Kind::Dir, 0o755),
            file("dir/z", "z"),
        ]),
    );
    let snapshot = world.copy_with(&base, add("twice.tar", "/t")).unwrap();
    let lines = world.tree(&snapshot);
    assert!(lines.contains(&"t/dir/z 644 0:0 = z".to_owned()));
    assert!(
        !lines.iter().any(|line| line.starts_with("t/dir/x")),
        "{lines:?}"
    );
}

fn owners() {
    let world = World::new();
    world.write(
        "a.tar",
        pack(&[owned(file("f", "f"), 5, 6), owned(symlink("l", "f"), 5, 6)]),
    );
    let mut op = add("a.tar", "/a/");
    op.owner = Some("11:12".to_owned());
    let snapshot = world.copy_with(&Input::Scratch, op).unwrap();
    assert_eq!(
        world.tree(&snapshot),
        ["a 755 11:12 dir", "a/f 644 11:12 = f", "a/l 11:12 -> f"]
    );
    let mut op = add("a.tar", "/c/");
    op.mode = Some(ModeChange::Octal(0o600));
    let snapshot = world.copy_with(&Input::Scratch, op).unwrap();
    assert_eq!(
        world.tree(&snapshot),
        ["c 755 0:0 dir", "c/f 644 5:6 = f", "c/l 5:6 -> f"],
        "--chmod is for files that are no archives"
    );
}

fn hostile() {
    let world = World::new();
    world.write("base/victim", "safe");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
    for (members, expected) in [
        (vec![file("/abs", "a")], &["t/abs 644 0:0 = a"][..]),
        (vec![file("../../victim", "a")], &["t/victim 644 0:0 = a"]),
        (
            vec![file("a/../../../victim", "a")],
            &["t/victim 644 0:0 = a"],
        ),
        (
            vec![symlink("out", "/."), file("out/victim", "a")],
            &["t/out 0:0 -> /.", "t/victim 644 0:0 = a"],
        ),
        (
            vec![symlink("out", "../.."), file("out/victim", "a")],
            &["t/out 0:0 -> ../..", "t/victim 644 0:0 = a"],
        ),
        (
            vec![symlink("victim", "/victim"), file("victim", "a")],
            &["t/victim 644 0:0 = a"],
        ),
        (
            vec![file(".wh.x", "a"), file(".wh..wh..opq", "b")],
            &["t/.wh..wh..opq 644 0:0 = b", "t/.wh.x 644 0:0 = a"],
        ),
    ] {
        let what = format!(
            "{:?}",
            members.iter().map(|m| &m.0.path).collect::<Vec<_>>()
        );
        let world = World::new();
        world.write("base/victim", "safe");
        let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/").unwrap());
        world.write("a.tar", pack(&members));
        match world.copy_with(&base, add("a.tar", "/t")) {
            Ok(snapshot) => {
                let lines = world.added(&base, &snapshot);
                assert_eq!(lines[1..], *expected, "{what}");
                assert!(
                    world
                        .tree(&snapshot)
                        .contains(&"victim 644 0:0 = safe".to_owned())
                );
            }
            // A layer cannot carry names that mean something else in it.
            Err(error) => assert!(what.contains("46, 119, 104"), "{what}: {error}"),
        }
    }
    for (members, expected) in [
        (
            vec![symlink("l", "/none"), file("l/x", "a")],
            "l/x: no such file",
        ),
        (
            vec![symlink("l", "none"), file("l/y/z", "a")],
            "l/y/z: no such file",
        ),
        (
            vec![symlink("l", "none"), other("l/d", Kind::Dir, 0o755)],
            "l/d: no such file",
        ),
        (
            vec![other("w", Kind::CharDevice { major: 0, minor: 0 }, 0o600)],
            "w: operation not permitted",
        ),
    ] {
        let world = World::new();
        world.write("a.tar", pack(&members));
        let added = world.copy_with(&Input::Scratch, add("a.tar", "/t"));
        let error = added.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for members in [
        vec![hard_link("l", "/nowhere")],
        vec![hard_link("l", "../victim")],
        vec![hard_link("l", "l")],
        vec![other("d", Kind::Dir, 0o755), hard_link("l", "d")],
    ] {
        let world = World::new();
        world.write("a.tar", pack(&members));
        let error = world
            .copy_with(&Input::Scratch, add("a.tar", "/t"))
            .unwrap_err();
        assert!(
            matches!(error, OpError::MissingLinkTarget { .. }),
            "{error}"
        );
    }
    drop(base);
}

fn special() {
    let world = World::new();
    let mut capable = file("capable", "c");
    let mut capability = vec![0; 24];
    capability[3] = 3;
    capability[4] = 1;
    capability[20] = 9;
    capable
        .0
        .xattrs
        .insert(b"security.capability".to_vec(), capability.clone());
    capable
        .0
        .xattrs
        .insert(b"user.note".to_vec(), b"x".to_vec());
    world.write("base/below", "below");
    let base = Input::Stack(world.copy(&Input::Scratch, &["base"], "/t").unwrap());
    world.write(
        "a.tar",
        pack(&[
            capable,
            file("b", "linked"),
            hard_link("a", "b"),
            hard_link("copy", "/below"),
            symlink("s", "b"),
            hard_link("s2", "s"),
            other("pipe", Kind::Fifo, 0o640),
            other("null", Kind::CharDevice { major: 1, minor: 3 }, 0o666),
        ]),
    );
    let snapshot = world.copy_with(&base, add("a.tar", "/t")).unwrap();
    let capable = world.entry(&snapshot, "t/capable").unwrap();
    let mut expected = capability;
    expected[3] = 2;
    expected.truncate(20);
    assert_eq!(
        capable.xattrs,
        [("security.capability".to_owned(), expected)]
    );
    assert_eq!(
        world.added(&base, &snapshot),
        [
            "t/a 644 0:0 = linked [t/a]",
            "t/b 644 0:0 = linked [t/a]",
            "t/capable 644 0:0 = c",
            "t/copy 644 0:0 = below",
            "t/null 666 0:0 char 1:3",
            "t/pipe 640 0:0 fifo",
            "t/s 0:0 -> b",
            "t/s2 0:0 -> b",
        ]
    );
}

fn bombs() {
    let world = World::new();
    let mut huge = tar::Entry::new("huge", Kind::File, 0o644);
    huge.size = 1 << 40;
    // Only the header: what it announces is refused before it is read.
    let mut header = Vec::new();
    let mut writer = Writer::new(&mut header);
    let _ = writer.append(&huge, &mut std::io::empty());
    drop(writer);
    header.extend_from_slice(&[0; 4096]);
    world.write("bomb.tar", &header);
    let error = world
        .copy_with(&Input::Scratch, add("bomb.tar", "/t"))
        .unwrap_err();
    assert!(matches!(error, OpError::ArchiveRefused { .. }), "{error}");
}
