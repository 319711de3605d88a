//! A stack written out as a tree and as an archive.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use image::tar::{Entry as TarEntry, Kind as TarKind, Reader, Writer};

use super::*;
use crate::Store;
use crate::store::samples;

/// A member of an archive: path, kind, mode, seconds, bytes.
type Member<'a> = (&'a str, TarKind, u32, i64, &'a str);

fn link(target: &str) -> TarKind {
    TarKind::HardLink {
        target: target.into(),
    }
}

fn sym(target: &str) -> TarKind {
    TarKind::Symlink {
        target: target.into(),
    }
}

/// The tree of archives that lie on each other.
fn view(store: &Store, archives: &[&[Member<'_>]]) -> View {
    let mut layers = Vec::new();
    for members in archives {
        let mut tar = Writer::new(Vec::new());
        for (path, kind, mode, seconds, bytes) in *members {
            let entry = TarEntry {
                size: bytes.len() as u64,
                mtime: Time {
                    seconds: *seconds,
                    nanos: 0,
                },
                ..TarEntry::new(*path, kind.clone(), *mode)
            };
            tar.append(&entry, &mut bytes.as_bytes()).unwrap();
        }
        let new = store.new_layer().unwrap();
        let entries = new
            .unpack(&mut &tar.finish().unwrap()[..])
            .unwrap()
            .into_entries();
        let below = View::new(layers.clone());
        layers.push(std::sync::Arc::new(
            new.commit_listed(&below, entries).unwrap(),
        ));
    }
    View::new(layers)
}

fn sample(store: &Store) -> View {
    view(
        store,
        &[
            &[
                ("d/", TarKind::Dir, 0o1777, 5, ""),
                ("d/one", TarKind::File, 0o4755, 7, "abc"),
                ("d/three", link("d/one"), 0o4755, 7, ""),
                ("d/two", link("d/one"), 0o4755, 7, ""),
                ("f", TarKind::File, 0o644, 9, "old"),
                ("l", sym("/d/one"), 0o777, 11, ""),
                ("p", TarKind::Fifo, 0o600, 12, ""),
                ("sealed/", TarKind::Dir, 0o500, 13, ""),
                ("sealed/x", TarKind::File, 0o400, 13, "x"),
            ],
            &[
                ("d/", TarKind::Dir, 0o1777, 5, ""),
                ("d/.wh.one", TarKind::File, 0, 0, ""),
                ("f", TarKind::File, 0o600, 20, "new"),
            ],
        ],
    )
}

#[test]
fn files_keep_modes_times_and_links_and_hidden_ones_do_not_come_back() {
    let (_dir, store) = samples::store();
    let view = sample(&store);
    let out = tempfile::tempdir().unwrap();
    let never = || false;
    let skipped = MergedTree::new(&view, None)
        .write_to(out.path(), &never)
        .unwrap();
    assert_eq!(skipped, Skipped::default());
    let at = |name: &str| fs::symlink_metadata(out.path().join(name)).unwrap();
    let facts = |name: &str| (at(name).permissions().mode() & 0o7777, at(name).mtime());
    assert!(!out.path().join("d/one").exists());
    assert_eq!(facts("d"), (0o1777, 5));
    assert_eq!(facts("d/two"), (0o4755, 7));
    assert_eq!(facts("f"), (0o600, 20));
    assert_eq!(facts("sealed"), (0o500, 13));
    assert_eq!(facts("p"), (0o600, 12));
    assert_eq!(at("l").mtime(), 11);
    assert_eq!(at("d/two").ino(), at("d/three").ino());
    assert_eq!(at("d/two").nlink(), 2);
    assert_eq!(
        fs::read_link(out.path().join("l")).unwrap().to_str(),
        Some("/d/one")
    );
    assert_eq!(fs::read(out.path().join("d/two")).unwrap(), b"abc");
    assert_eq!(fs::read(out.path().join("f")).unwrap(), b"new");
    // Once more over itself, at one time.
    if rustix::process::geteuid().is_root() {
        MergedTree::new(&view, Some(3))
            .write_to(out.path(), &never)
            .unwrap();
        for name in ["d", "d/two", "f", "l", "p", "sealed"] {
            assert_eq!(at(name).mtime(), 3, "{name}");
        }
    }
    fs::set_permissions(out.path().join("sealed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn links_in_the_destination_lead_nowhere() {
    let (_dir, store) = samples::store();
    let view = sample(&store);
    let (out, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("two"), "mine").unwrap();
    symlink(outside.path(), out.path().join("d")).unwrap();
    symlink(outside.path().join("two"), out.path().join("f")).unwrap();
    MergedTree::new(&view, None)
        .write_to(out.path(), &|| false)
        .unwrap();
    assert_eq!(fs::read(outside.path().join("two")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(out.path().join("d").symlink_metadata().unwrap().is_dir());
    assert_eq!(fs::read(out.path().join("f")).unwrap(), b"new");
    fs::set_permissions(out.path().join("sealed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_full_directory_is_not_removed_for_a_file() {
    let (_dir, store) = samples::store();
    let view = sample(&store);
    let out = tempfile::tempdir().unwrap();
    fs::create_dir_all(out.path().join("f/full")).unwrap();
    let error = MergedTree::new(&view, None)
        .write_to(out.path(), &|| false)
        .unwrap_err();
    assert!(error.to_string().contains("/f"), "{error}");
}

#[test]
fn an_archive_has_one_tree_and_may_have_several() {
    let (_dir, store) = samples::store();
    let view = sample(&store);
    let mut tar = Writer::new(Vec::new());
    let tree = MergedTree::new(&view, Some(3));
    assert!(tree.write_tar(&mut tar, b"", &|| false).unwrap());
    assert!(tree.write_tar(&mut tar, b"linux_amd64", &|| false).unwrap());
    let bytes = tar.finish().unwrap();
    let mut reader = Reader::new(&bytes[..]);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = String::new();
        std::io::Read::read_to_string(&mut reader.body(), &mut content).unwrap();
        assert_eq!(entry.mtime.seconds, 3);
        let to = match &entry.kind {
            TarKind::HardLink { target } | TarKind::Symlink { target } => {
                format!(" -> {}", String::from_utf8_lossy(target))
            }
            _ => format!(" {content}"),
        };
        let path = String::from_utf8_lossy(&entry.path);
        found.push(format!("{}{to}", path.trim_end_matches('/')));
    }
    let tree = [
        "d ",
        "d/three abc",
        "d/two -> d/three",
        "f new",
        "l -> /d/one",
        "p ",
        "sealed ",
        "sealed/x x",
    ];
    let prefixed =
        tree.map(|line| format!("linux_amd64/{line}").replace("-> d/", "-> linux_amd64/d/"));
    let expected: Vec<String> = tree
        .map(str::to_owned)
        .into_iter()
        .chain(["linux_amd64 ".to_owned()])
        .chain(prefixed)
        .collect();
    assert_eq!(found, expected);
    assert!(
        !MergedTree::new(&view, None)
            .write_tar(&mut Writer::new(Vec::new()), b"", &|| true)
            .unwrap()
    );
}

#[test]
fn a_new_volume_gets_what_a_directory_shows() {
    let (_dir, store) = samples::store();
    let view = sample(&store);
    let tree = MergedTree::new(&view, None);
    let place = tempfile::tempdir().unwrap();
    assert!(!tree.fill_volume(b"none", place.path()).unwrap());
    assert!(!tree.fill_volume(b"f", place.path()).unwrap());
    let filled = tree.fill_volume(b"d", place.path());
    if !rustix::process::geteuid().is_root() {
        // owners are given, which an ordinary user may do in a namespace alone
        let refused = filled.unwrap_err().to_string();
        assert!(refused.contains("three"), "{refused}");
        return;
    }
    assert!(filled.unwrap());
    let mode = |name: &str| {
        let meta = fs::symlink_metadata(place.path().join(name)).unwrap();
        (meta.mode() & 0o7777, meta.mtime(), meta.nlink())
    };
    assert_eq!(mode("").0, 0o1777);
    assert_eq!(mode("three"), (0o4755, 7, 2));
    assert_eq!(mode("two"), mode("three"));
    assert_eq!(fs::read(place.path().join("two")).unwrap(), b"abc");
    assert!(!place.path().join("one").exists());
}
