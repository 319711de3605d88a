//! Layers through archives and back.

use image::DiffId;
use image::tar::{Kind as TarKind, Writer};
use proptest::prelude::*;

use super::history::{any_tree, for_all, upper};
use super::*;
use crate::layer::{LayerError, LayerIndex, TarOptions, Timestamp, write_tar};

pub(super) fn tar_of(layer: &Layer) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_tar(layer, TarOptions::default(), &mut bytes).unwrap();
    bytes
}

pub(super) fn unpacked(store: &Store, below: &View, tar: &[u8]) -> Result<Layer, LayerError> {
    let new = store.new_layer().unwrap();
    let mut rest = tar;
    let unpacked = new.unpack(&mut rest)?;
    assert!(rest.is_empty());
    // a diff id of its own for each, or the store gives what it has
    let unique = format!("{:?}{}", new.fs, tar.len());
    let diff_id = DiffId(image::Digest::of(unique.as_bytes()));
    Ok(new.commit_unpacked(below, diff_id, unpacked).unwrap())
}

/// The index of an unpacked layer, its times counting as they did in the layer it came from.
fn judged(unpacked: &Layer, original: &Layer) -> LayerIndex {
    let entries = unpacked.index.iter().map(|entry| {
        let was = original.index.get(&entry.path).unwrap();
        Entry {
            time: was.time,
            ..entry
        }
    });
    LayerIndex::new(entries.collect()).unwrap()
}

#[test]
fn a_layer_is_the_same_after_a_journey() {
    let trees = prop::collection::vec((any_tree(), any::<bool>()), 1..3);
    for_all(super::history::cases(100), trees, |store, trees| {
        let mut below = View::default();
        let mut old = Default::default();
        for (new, thorough) in trees {
            let layer = written(store, &below, |root| {
                upper(store, root, &old, &new, thorough);
            });
            let tar = tar_of(&layer);
            let again = unpacked(store, &below, &tar).unwrap();
            check_disk(&again);
            assert_eq!(judged(&again, &layer).change_digest(), layer.change);
            assert_eq!(tar_of(&again), tar);
            assert_eq!(
                shown(&on_top(&below, &again)),
                shown(&on_top(&below, &layer))
            );
            below = on_top(&below, &layer);
            old = new;
        }
    });
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn everything_an_index_holds_goes_into_the_tar_and_comes_back() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can make devices and give files away");
        return;
    }
    let (_dir, store) = store();
    let mut capability = vec![1, 0, 0, 2];
    capability.extend([0; 16]);
    let mut tar = Writer::new(Vec::new());
    let mut add = |entry: image::tar::Entry, content: &[u8]| {
        let entry = image::tar::Entry {
            size: content.len() as u64,
            ..entry
        };
        tar.append(&entry, &mut &content[..]).unwrap();
    };
    let new = image::tar::Entry::new;
    add(new("d", TarKind::Dir, 0o1777), b"");
    add(new("d/.wh..wh..opq", TarKind::File, 0), b"");
    let mut file = new("d/f", TarKind::File, 0o4755);
    file.xattrs
        .insert(b"security.capability".to_vec(), capability);
    file.uid = 5;
    file.mtime = image::tar::Time {
        seconds: 7,
        nanos: 9,
    };
    add(file, &vec![b'x'; 400_000]);
    add(
        new(
            "d/g",
            TarKind::HardLink {
                target: b"d/f".to_vec(),
            },
            0,
        ),
        b"",
    );
    add(
        new("d/n", TarKind::CharDevice { major: 1, minor: 3 }, 0o666),
        b"",
    );
    add(
        new(
            "d/o",
            TarKind::BlockDevice {
                major: 8,
                minor: 17,
            },
            0o660,
        ),
        b"",
    );
    add(new("d/p", TarKind::Fifo, 0o620), b"");
    add(
        new(
            "d/s",
            TarKind::Symlink {
                target: b"/etc".to_vec(),
            },
            0o777,
        ),
        b"",
    );
    add(new(".wh.w", TarKind::File, 0), b"");
    let bytes = tar.finish().unwrap();
    let layer = unpacked(&store, &View::default(), &bytes).unwrap();
    check_disk(&layer);
    assert_eq!(
        changes(&layer),
        [
            "A d", "A d/f", "A d/g", "A d/n", "A d/o", "A d/p", "A d/s", "D w"
        ]
    );
    assert!(matches!(
        layer.index.get(b"d").unwrap().kind,
        Kind::Dir { opaque: true }
    ));
    let f = layer.index.get(b"d/f").unwrap();
    assert_eq!(
        (f.uid, f.mode, f.xattrs.len(), f.placeholder),
        (5, 0o4755, 1, false)
    );
    assert_eq!(
        f.mtime,
        Timestamp {
            seconds: 7,
            nanos: 9
        }
    );
    assert!(
        matches!(&f.kind, Kind::File { size: 400_000, link: Some(first), .. } if first == b"d/f")
    );
    let g = layer.files.open_file(b"d/g").unwrap().metadata().unwrap();
    assert_eq!((g.nlink(), g.uid(), g.mode() & 0o7777), (2, 5, 0o4755));
    let again = unpacked(&store, &View::default(), &tar_of(&layer)).unwrap();
    assert_eq!(again.change, layer.change);
    // what a scan finds on disk is the same
    let root = crate::disk::Root::of(layer.files.path().to_owned());
    let scanned = crate::layer::scan::scan(&root, store.flavour().xattrs, &[]).unwrap();
    let mut entries: Vec<Entry> = scanned.entries.into_iter().map(|raw| raw.entry).collect();
    entries.remove(0);
    assert_eq!(
        LayerIndex::new(entries).unwrap().change_digest(),
        layer.change
    );
}

/// Path, kind, content.
type Member = (&'static str, TarKind, &'static str);

fn archive(entries: &[Member]) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    for (path, kind, content) in entries {
        let mode = if *kind == TarKind::Dir { 0o755 } else { 0o644 };
        let mut entry = image::tar::Entry::new(*path, kind.clone(), mode);
        entry.size = content.len() as u64;
        tar.append(&entry, &mut content.as_bytes()).unwrap();
    }
    tar.finish().unwrap()
}

fn link(target: &str) -> TarKind {
    TarKind::Symlink {
        target: target.as_bytes().to_vec(),
    }
}

fn hard(target: &str) -> TarKind {
    TarKind::HardLink {
        target: target.as_bytes().to_vec(),
    }
}

const FILE: TarKind = TarKind::File;
const DIR: TarKind = TarKind::Dir;

#[test]
fn hostile_archives_write_nowhere_else() {
    let (dir, store) = store();
    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("victim"), "mine").unwrap();
    let out = outside.to_str().unwrap();
    let climb = format!("{}{}", "../".repeat(30), out);
    let cases: &[(&[Member], Option<&[&str]>)] = &[
        (&[("../victim", FILE, "x")], None),
        (&[("a/../../victim", FILE, "x")], None),
        (&[("/abs", FILE, "x")], Some(&["A abs"])),
        (&[("l", link(out), ""), ("l/victim", FILE, "x")], Some(&[])),
        (
            &[("l", link(&climb), ""), ("l/victim", FILE, "x")],
            Some(&[]),
        ),
        (&[("l", link("l"), ""), ("l/x", FILE, "x")], None),
        (&[("h", hard(&climb), "")], None),
        (&[("h", hard("none"), "")], None),
        (&[("d", DIR, ""), ("h", hard("d"), "")], None),
        (&[("l", link(out), ""), ("h", hard("l/victim"), "")], None),
        (
            &[("n", TarKind::CharDevice { major: 0, minor: 0 }, "")],
            None,
        ),
        (&[("f", FILE, "x"), ("f/g", FILE, "x")], None),
        (&[(".wh...", FILE, "")], None),
        (&[(".wh.", FILE, "")], None),
        (
            &[("l", link(out), ""), ("l/.wh.victim", FILE, "")],
            Some(&[]),
        ),
        (&[("l", link(out), ""), ("l", FILE, "mine")], Some(&["A l"])),
    ];
    for (entries, expected) in cases {
        let result = unpacked(&store, &View::default(), &archive(entries));
        match (result, expected) {
            (Ok(layer), Some(expected)) => {
                check_disk(&layer);
                if !expected.is_empty() {
                    assert_eq!(changes(&layer), *expected, "{entries:?}");
                }
            }
            (Err(_), None) => {}
            (result, _) => panic!("{entries:?}: {:?}", result.map(|layer| changes(&layer))),
        }
        assert_eq!(
            std::fs::read_to_string(outside.join("victim")).unwrap(),
            "mine",
            "{entries:?}"
        );
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    }
}

#[test]
fn of_equal_names_the_last_wins() {
    let (_dir, store) = store();
    let cases: &[(&[Member], &[&str])] = &[
        (&[("f", FILE, "1"), ("./f", FILE, "2")], &["f file 2"]),
        (
            &[("f", FILE, "1"), ("h", hard("f"), ""), ("f", FILE, "2")],
            &["f file 2", "h file 1"],
        ),
        (
            &[("d", DIR, ""), ("d/x", FILE, "1"), ("d", FILE, "2")],
            &["d file 2"],
        ),
        (
            &[("d", FILE, "2"), ("d", DIR, ""), ("d/x", FILE, "1")],
            &["d dir", "d/x file 1"],
        ),
        (
            &[("d/x", FILE, "1"), ("d", DIR, "")],
            &["d dir", "d/x file 1"],
        ),
        (
            &[("r", DIR, ""), ("l", link("r"), ""), ("l/x", FILE, "1")],
            &["l link r", "r dir", "r/x file 1"],
        ),
        (
            &[("l", link("r"), ""), ("l/x", FILE, "1"), ("l", DIR, "")],
            &["l dir", "r dir", "r/x file 1"],
        ),
    ];
    for (entries, expected) in cases {
        let layer = unpacked(&store, &View::default(), &archive(entries)).unwrap();
        check_disk(&layer);
        let shown = shown(&on_top(&View::default(), &layer));
        let shown: Vec<String> = shown
            .into_iter()
            .map(|(path, (what, ..))| format!("{path} {what}"))
            .collect();
        assert_eq!(shown, *expected, "{entries:?}");
    }
    // a deletion and a directory of the same name: what was below is gone
    let below = unpacked(
        &store,
        &View::default(),
        &archive(&[("d", DIR, ""), ("d/old", FILE, "")]),
    )
    .unwrap();
    let below = on_top(&View::default(), &below);
    let layer = unpacked(
        &store,
        &below,
        &archive(&[(".wh.d", FILE, ""), ("d", DIR, ""), ("d/new", FILE, "")]),
    )
    .unwrap();
    assert_eq!(
        shown(&on_top(&below, &layer)).keys().collect::<Vec<_>>(),
        ["d", "d/new"]
    );
}

#[test]
fn directories_that_are_only_implied_are_what_they_are_below() {
    let (_dir, store) = store();
    let base = archive(&[
        ("usr", DIR, ""),
        ("usr/lib", DIR, ""),
        ("lib", link("usr/lib"), ""),
        ("tmp", DIR, ""),
    ]);
    let base = unpacked(&store, &View::default(), &base).unwrap();
    assert!(base.diff_id.is_some());
    let mut below = on_top(&View::default(), &base);
    let sticky = written(&store, &below, |root| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir(root.join("tmp")).unwrap();
        std::fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
    });
    below = on_top(&below, &sticky);
    let tar = archive(&[
        ("lib/deep/a", FILE, "a"),
        ("usr/b", FILE, "b"),
        ("tmp/c", FILE, "c"),
        ("new/d", FILE, "d"),
    ]);
    let layer = unpacked(&store, &below, &tar).unwrap();
    check_disk(&layer);
    assert_eq!(layer.diff_id, None);
    assert_eq!(
        changes(&layer),
        [
            "A new",
            "A new/d",
            "A tmp",
            "A tmp/c",
            "A usr",
            "A usr/b",
            "A usr/lib",
            "A usr/lib/deep",
            "A usr/lib/deep/a"
        ]
    );
    assert_eq!(layer.index.get(b"tmp").unwrap().mode, 0o1777);
    assert_eq!(on_disk(layer.files.path())["tmp"].1, 0o1777);
    assert!(shown(&on_top(&below, &layer))["lib"].0.starts_with("link"));
}

#[test]
fn times_can_be_clamped() {
    let (_dir, store) = store();
    let layer = written(&store, &empty(&store), |root| {
        for (name, seconds) in [("old", 100), ("new", 5000)] {
            std::fs::write(root.join(name), "x").unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 500);
            std::fs::File::options()
                .write(true)
                .open(root.join(name))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
    });
    let mut bytes = Vec::new();
    write_tar(&layer, TarOptions { clamp: Some(1000) }, &mut bytes).unwrap();
    let mut reader = image::tar::Reader::new(&bytes[..]);
    let mut times = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        times.push((entry.mtime.seconds, entry.mtime.nanos));
    }
    assert_eq!(times, [(1000, 0), (100, 500)]);
}

#[test]
fn a_name_that_would_be_a_deletion_is_refused() {
    let (_dir, store) = store();
    let layer = written(&store, &View::default(), |root| {
        std::fs::write(root.join(".wh.x"), "").unwrap();
    });
    let error = write_tar(&layer, TarOptions::default(), &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains(".wh.x"), "{error}");
}
