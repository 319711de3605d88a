//! A layer shows and exports the same whether it was written whole or as a difference.

use std::cell::Cell;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use solver::ContentDigest;

use super::history::{Node, Tree, any_tree};
use super::*;
use crate::layer::delta::Limits;
use crate::layer::{NewLayer, Origin, TarOptions, TimeRule, Timestamp, index, write_tar};

/// Every difference that can be a delta is one.
const ALWAYS: Limits = Limits { saves: 0, part: 1 };

/// A tree as a step would list it. Files of mode 0600 that say `y` are hard links of one.
fn entries(tree: &Tree) -> Vec<Entry> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let first = tree
        .iter()
        .filter(|(_, node)| is_linked(node))
        .map(|(path, _)| path.as_bytes())
        .min_by(|a, b| crate::layer::entry::path_cmp(a, b));
    let entry = |(path, node): (&String, &Node)| {
        let mut entry = match node {
            Node::Dir(mode) => Entry::dir(path.as_str(), *mode),
            Node::File(mode, text) => {
                let content = ContentDigest::of(text.as_bytes());
                Entry::file(path.as_str(), *mode, text.len() as u64, content)
            }
            Node::Link(target) => Entry::symlink(path.as_str(), target.as_bytes()),
            Node::Fifo(mode) => Entry::new(path.as_str(), Kind::Fifo, *mode),
        };
        if is_linked(node)
            && let Kind::File { link, .. } = &mut entry.kind
        {
            *link = first.map(<[u8]>::to_vec);
        }
        Entry {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            mtime: Timestamp::seconds(1_000 + i64::from(entry.mode)),
            time: TimeRule::Ignored,
            ..entry
        }
    };
    tree.iter().map(entry).collect()
}

fn is_linked(node: &Node) -> bool {
    matches!(node, Node::File(0o600, text) if text == "y")
}

/// Writes what a plan wants written, as the writer of COPY does.
fn write(root: &Path, entries: &[Entry]) {
    let at = |path: &[u8]| root.join(std::str::from_utf8(path).unwrap());
    let device = |path: &Path, kind, mode: u32| {
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode.into(), 0).unwrap();
    };
    for entry in entries {
        let path = at(&entry.path);
        match &entry.kind {
            Kind::Dir { .. } => std::fs::create_dir(&path).unwrap(),
            Kind::Symlink { target } => {
                std::os::unix::fs::symlink(std::str::from_utf8(target).unwrap(), &path).unwrap();
            }
            Kind::File {
                link: Some(first), ..
            } if *first != entry.path => std::fs::hard_link(at(first), &path).unwrap(),
            Kind::File { content, .. } => {
                let known = ["x", "y", "z"].into_iter();
                let mut known = known.filter(|text| ContentDigest::of(text.as_bytes()) == *content);
                std::fs::write(&path, known.next().unwrap()).unwrap();
            }
            Kind::Fifo => device(&path, rustix::fs::FileType::Fifo, 0o600),
            Kind::Whiteout => device(&path, rustix::fs::FileType::CharacterDevice, 0),
            other => panic!("{other:?}"),
        }
    }
    for entry in entries.iter().rev() {
        let path = at(&entry.path);
        if entry.kind == Kind::Whiteout {
            continue;
        }
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(entry.mode)).unwrap();
        }
        let times = crate::layer::place::times(entry.mtime);
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, &path, &times, flags).unwrap();
    }
}

/// A layer of `tree` on `below`; whether only a difference was written.
fn layer(store: &Store, below: &View, tree: &Tree, origin: Option<Origin>) -> (Layer, bool) {
    let new = store.new_layer().unwrap();
    let mut planned = new
        .plan_within(ALWAYS, below, entries(tree), origin)
        .unwrap();
    write(&new.fs, planned.to_write());
    let is_delta = planned.is_delta();
    (NewLayer::commit_planned(new, planned).unwrap(), is_delta)
}

fn tar(layer: &Layer) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_tar(layer, TarOptions::default(), &mut bytes).unwrap();
    bytes
}

/// What the kernel shows of a stack: type and content, mode, owner, time, number of names; none
/// where this process may not mount.
fn mounted(store: &Store, view: &View) -> Option<Vec<String>> {
    let ids: Vec<_> = view.layers().iter().map(|layer| layer.id.clone()).collect();
    let place = tempfile::tempdir().unwrap();
    let empty = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let dirs = store.layer_dirs(&ids).unwrap().into_iter().rev();
    let lower: Vec<String> = dirs
        .map(|dir| store.root().join(dir))
        // one alone is refused
        .chain(empty.iter().map(|dir| dir.path().to_owned()))
        .map(|dir| dir.display().to_string())
        .collect();
    let options = format!(
        "lowerdir={},index=off,metacopy=off,xino=off,redirect_dir=nofollow",
        lower.join(":"),
    );
    let options = std::ffi::CString::new(options).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("overlay", place.path(), "overlay", flags, &*options).ok()?;
    let seen = on_disk(place.path());
    let lines = seen.into_iter().map(|(path, (what, mode, _))| {
        let meta = place.path().join(&path).symlink_metadata().unwrap();
        let names = if meta.is_dir() { 0 } else { meta.nlink() };
        let (uid, gid, time) = (meta.uid(), meta.gid(), meta.mtime());
        format!("{path}: {what} {mode:o} {uid}:{gid} {time} {names}")
    });
    let lines = lines.collect();
    rustix::mount::unmount(place.path(), rustix::mount::UnmountFlags::empty()).unwrap();
    Some(lines)
}

/// Makes a tree of paths of which some are in others.
fn standing(mut tree: Tree) -> Tree {
    let paths: Vec<String> = tree.keys().cloned().collect();
    for path in paths {
        for (at, _) in path.match_indices('/') {
            if !matches!(tree.get(&path[..at]), Some(Node::Dir(_))) {
                tree.insert(path[..at].to_owned(), Node::Dir(0o711));
            }
        }
    }
    tree
}

/// What is below, a tree, and the same tree after some edits.
fn any_edit() -> impl Strategy<Value = (Tree, Tree, Tree)> {
    let below = prop_oneof![1 => Just(Tree::new()), 2 => any_tree()];
    (below, any_tree(), any_tree(), any::<[bool; 16]>()).prop_map(|(below, old, other, coins)| {
        let mut coins = coins.into_iter().cycle();
        let mut new = old.clone();
        for (path, node) in other {
            match (coins.next(), coins.next()) {
                (Some(true), Some(true)) => {
                    new.insert(path, node);
                }
                (Some(true), _) => {
                    new.retain(|there, _| {
                        !crate::layer::entry::is_within(there.as_bytes(), path.as_bytes())
                    });
                }
                _ => {}
            }
        }
        (below, old, standing(new))
    })
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn a_delta_is_the_layer_that_it_stands_for() {
    let (_dir, store) = store();
    let count = |cell: &Cell<u32>| cell.set(cell.get() + 1);
    let [numbers, deltas, wholes, mounts] = [const { Cell::new(0) }; 4];
    TestRunner::default()
        .run(&any_edit(), |(below, old, new)| {
            count(&numbers);
            let number = numbers.get();
            let origin = |number: u32| {
                let mut origin = [0; 32];
                origin[..4].copy_from_slice(&number.to_le_bytes());
                Some(Origin(origin))
            };
            let below = if below.is_empty() {
                View::default()
            } else {
                let (layer, _) = layer(&store, &View::default(), &below, None);
                on_top(&View::default(), &layer)
            };
            let (first, was_delta) = layer(&store, &below, &old, origin(number));
            prop_assert!(!was_delta);
            let (whole, _) = layer(&store, &below, &new, None);
            let (delta, is_delta) = layer(&store, &below, &new, origin(number));
            count(if is_delta { &deltas } else { &wholes });
            prop_assert_eq!(whole.change, delta.change);
            prop_assert_eq!(whole.index.as_bytes(), delta.index.as_bytes());
            prop_assert_eq!(tar(&whole), tar(&delta));
            let (on_whole, on_delta) = (on_top(&below, &whole), on_top(&below, &delta));
            prop_assert_eq!(shown(&on_whole), shown(&on_delta));
            if let Some(seen) = mounted(&store, &on_whole) {
                count(&mounts);
                prop_assert_eq!(Some(seen), mounted(&store, &on_delta));
            }
            prop_assert!(store.is_whole(&delta.id).unwrap());
            // the next one stands on a whole layer, not on the delta
            let (third, _) = layer(&store, &below, &old, origin(number));
            if let Some(amended) = third.files.amended() {
                prop_assert_eq!(store.amended_by(&amended.layer).unwrap(), None);
            }
            prop_assert_eq!(tar(&third), tar(&first));
            Ok(())
        })
        .unwrap();
    let (deltas, wholes) = (deltas.get(), wholes.get());
    assert!(
        deltas > 20 && wholes > 5,
        "{deltas} deltas, {wholes} wholes"
    );
    if mounts.get() == 0 {
        eprintln!("SKIPPED: what the kernel shows: cannot mount an overlay here");
    }
}

fn tree(files: &[(&str, &str)]) -> Tree {
    let nodes = files.iter().map(|(path, text)| {
        let node = Node::File(0o644, (*text).to_owned());
        ((*path).to_owned(), node)
    });
    standing(nodes.collect())
}

#[test]
fn what_would_hide_something_deeper_is_written_whole() {
    let (_dir, store) = store();
    let old = tree(&[("d/a", "x"), ("d/b", "x"), ("d/c", "x"), ("e/f", "x")]);
    let deep = on_top(
        &View::default(),
        &layer(
            &store,
            &View::default(),
            &tree(&[("d/a", "z"), ("d/e/z", "z")]),
            None,
        )
        .0,
    );
    // what is left, what is below, whether a difference will do
    let without = |path: &str| {
        let mut tree = old.clone();
        tree.retain(|there, _| there != path);
        tree
    };
    let mut made = old.clone();
    made.insert("d/new".to_owned(), Node::File(0o600, "z".to_owned()));
    let mut dir = old.clone();
    dir.insert("d/b".to_owned(), Node::Dir(0o755));
    let cases = [
        (1, without("d/b"), &deep, true),
        (2, without("d/a"), &deep, false),
        (3, without("d/b"), &View::default(), false),
        (4, made, &View::default(), true),
        (5, dir.clone(), &deep, true),
        (6, dir, &View::default(), false),
    ];
    for (number, new, below, expected) in cases {
        let origin = Some(Origin([number; 32]));
        layer(&store, below, &old, origin);
        let (_, is_delta) = layer(&store, below, &new, origin);
        assert_eq!(is_delta, expected, "case {number}");
    }
}

#[test]
fn few_files_are_never_a_delta_and_many_changes_are_none_either() {
    let count = |tree: &[Entry], changed: usize, limits: Limits| {
        let base = crate::layer::LayerIndex::new(tree.to_vec()).unwrap();
        let mut new = tree.to_vec();
        index::sort(&mut new);
        for entry in new.iter_mut().take(changed) {
            entry.mode = 0o600;
        }
        crate::layer::delta::delta(&base, &mut new, &View::default(), limits)
            .map(|delta| delta.own.len())
    };
    let file = |at: usize| Entry::file(format!("{at:04}"), 0o644, 1, ContentDigest::of(b"x"));
    let many: Vec<Entry> = (0..1_000).map(file).collect();
    assert_eq!(count(&many, 0, Limits::USUAL), Some(0));
    assert_eq!(count(&many, 250, Limits::USUAL), Some(250));
    assert_eq!(count(&many, 251, Limits::USUAL), None);
    assert_eq!(count(&many[..250], 1, Limits::USUAL), None);
    // one large file is worth it too
    let large = Entry::file("large", 0o644, 64 << 20, ContentDigest::of(b"y"));
    assert_eq!(count(&[file(1), file(2), large], 1, Limits::USUAL), Some(1));
}

#[test]
fn a_delta_keeps_what_it_stands_on() {
    let (_dir, store) = store();
    let base = View::default();
    let origin = Some(Origin([7; 32]));
    let (first, _) = layer(
        &store,
        &base,
        &tree(&[("a", "x"), ("b", "x"), ("c", "x")]),
        origin,
    );
    let (second, is_delta) = layer(
        &store,
        &base,
        &tree(&[("a", "y"), ("b", "x"), ("c", "x")]),
        origin,
    );
    assert!(is_delta);
    let ids = std::slice::from_ref(&second.id);
    assert_eq!(
        store.with_amended(ids).unwrap(),
        [first.id.clone(), second.id.clone()]
    );
    assert!(store.hold("container", ids).unwrap());
    std::fs::create_dir_all(store.containers_dir().join("container")).unwrap();
    let again = Store::open(StoreOptions::new(store.root())).unwrap();
    drop(store);
    assert_eq!(again.collect_garbage().unwrap().layers, 0);
    let usage = again.usage().unwrap();
    let on_disk = crate::usage::tree_size(again.root());
    assert!(
        usage.total.abs_diff(on_disk) * 50 <= on_disk,
        "{usage:?} {on_disk}"
    );
    again.release("container").unwrap();
    assert_eq!(again.collect_garbage().unwrap().layers, 2);
}

#[test]
fn what_is_lost_below_is_lost_above() {
    type Lose = fn(&Store, &Layer, &Layer);
    let losses: [(&str, Lose); 5] = [
        ("a file of the amended layer", |_, first, _| {
            std::fs::write(first.files.path().join("b"), "?").unwrap();
        }),
        ("the amended layer", |store, first, _| {
            std::fs::remove_dir_all(store.layer_dir(&first.id)).unwrap();
        }),
        ("a file of the delta", |_, _, second| {
            std::fs::remove_file(second.files.path().join("a")).unwrap();
        }),
        ("which files are its own", |store, _, second| {
            std::fs::write(store.layer_dir(&second.id).join("own"), "").unwrap();
        }),
        ("that a file is its own", |store, _, second| {
            let none = crate::layer::LayerIndex::default();
            std::fs::write(store.layer_dir(&second.id).join("own"), none.as_bytes()).unwrap();
        }),
    ];
    for (what, lose) in losses {
        let (_dir, store) = store();
        let origin = Some(Origin([7; 32]));
        let base = View::default();
        let (first, _) = layer(
            &store,
            &base,
            &tree(&[("a", "x"), ("b", "x"), ("c", "x")]),
            origin,
        );
        let (second, _) = layer(
            &store,
            &base,
            &tree(&[("a", "y"), ("b", "x"), ("c", "x")]),
            origin,
        );
        let rows = |sql: &str| -> i64 {
            let count = |c: &rusqlite::Connection| c.query_row(sql, [], |row| row.get(0));
            store.database().read("count", count).unwrap()
        };
        let all = "UPDATE layers SET boot = 'earlier'";
        let reboot = |t: &rusqlite::Transaction<'_>| {
            t.execute(all, []).unwrap();
            Ok(())
        };
        store.database().write("reboot", reboot).unwrap();
        lose(&store, &first, &second);
        let again = Store::open(StoreOptions::new(store.root())).unwrap();
        assert!(
            again
                .pin(std::slice::from_ref(&second.id))
                .unwrap()
                .is_none(),
            "{what}"
        );
        let delta = "SELECT count(*) FROM layers WHERE amends IS NOT NULL";
        assert_eq!(rows(delta), 0, "{what}: nothing stands on what is gone");
    }
}
