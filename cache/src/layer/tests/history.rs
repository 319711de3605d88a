//! Random histories: an upper directory made by hand, as overlay would leave it, gives a layer
//! that shows the tree it was made from.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Dir(u32),
    File(u32, String),
    Link(String),
    Fifo(u32),
}

pub(super) type Tree = BTreeMap<String, Node>;

pub(super) fn any_tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o4711]);
    let node = prop_oneof![
        4 => Just(Node::Dir(0o755)),
        1 => Just(Node::Dir(0o1777)),
        3 => (mode, "[xy]").prop_map(|(mode, text)| Node::File(mode, text)),
        1 => "[xy]".prop_map(Node::Link),
        1 => Just(Node::Fifo(0o620)),
    ];
    prop::collection::btree_map(path, node, 0..12).prop_map(|mut tree| {
        // whatever is in something makes a directory of it
        let paths: Vec<String> = tree.keys().cloned().collect();
        for path in paths {
            for (at, _) in path.match_indices('/') {
                if !matches!(tree.get(&path[..at]), Some(Node::Dir(_))) {
                    tree.insert(path[..at].to_owned(), Node::Dir(0o711));
                }
            }
        }
        tree
    })
}

fn seen(tree: &Tree) -> Seen {
    tree.iter()
        .map(|(path, node)| {
            let (what, mode) = match node {
                Node::Dir(mode) => ("dir".to_owned(), *mode),
                Node::File(mode, text) => (format!("file {text}"), *mode),
                Node::Link(target) => (format!("link {target}"), 0o777),
                Node::Fifo(mode) => ("fifo".to_owned(), *mode),
            };
            (path.clone(), (what, mode, None))
        })
        .collect()
}

fn make(root: &Path, path: &str, node: &Node) {
    let path = root.join(path);
    let chmod = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    match node {
        Node::Dir(mode) => {
            std::fs::create_dir(&path).unwrap();
            chmod(*mode);
        }
        Node::File(mode, text) => {
            std::fs::write(&path, text).unwrap();
            chmod(*mode);
        }
        Node::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
        Node::Fifo(mode) => {
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), 0).unwrap();
            chmod(*mode);
        }
    }
}

fn whiteout(root: &Path, path: &str) {
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, root.join(path), kind, 0.into(), 0).unwrap();
}

/// Makes the upper directory that leads from `old` to `new`. With `thorough`, files that are the
/// same are copied up too, and directories are made anew and opaque.
pub(super) fn upper(store: &Store, root: &Path, old: &Tree, new: &Tree, thorough: bool) {
    let opaque = store.flavour().xattrs.opaque();
    for (path, node) in new {
        let was = old.get(path);
        if let Node::Dir(_) = node {
            make(root, path, node);
            if thorough || !matches!(was, Some(Node::Dir(_))) {
                let flags = rustix::fs::XattrFlags::empty();
                rustix::fs::setxattr(root.join(path), opaque, b"y", flags).unwrap();
            }
        } else if thorough || was != Some(node) {
            make(root, path, node);
        }
    }
    for path in old.keys() {
        let parent = path.rsplit_once('/').map(|(dir, _)| dir);
        let in_dir = parent.is_none_or(|dir| matches!(new.get(dir), Some(Node::Dir(_))));
        let merged = !thorough || parent.is_none();
        if in_dir && merged && !new.contains_key(path) {
            whiteout(root, path);
        }
    }
    // one that hides nothing
    if !new.contains_key("zzz") {
        whiteout(root, "zzz");
    }
}

/// How many cases a property is tried on: `ordinary` ones, or ten thousand when
/// `RBUILD_TEST_LONG=1`.
pub(super) fn cases(ordinary: u32) -> u32 {
    let long = std::env::var_os("RBUILD_TEST_LONG").is_some_and(|value| value == "1");
    if long { 10_000 } else { ordinary }
}

/// Runs `test` on many values; they share a store.
pub(super) fn for_all<S: Strategy>(cases: u32, values: S, test: impl Fn(&Store, S::Value)) {
    let (_dir, store) = store();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let result = runner.run(&values, |value| {
        test(&store, value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn a_layer_leads_from_one_tree_to_the_next() {
    let trees = prop::collection::vec((any_tree(), any::<bool>()), 1..4);
    for_all(cases(200), trees, |store, trees| {
        let mut below = View::default();
        let mut old = Tree::new();
        for (new, thorough) in trees {
            let layer = written(store, &below, |root| {
                upper(store, root, &old, &new, thorough);
            });
            let view = on_top(&below, &layer);
            assert_eq!(shown(&view), seen(&new));
            for entry in layer.index.iter() {
                assert!(!matches!(entry.kind, Kind::Dir { opaque: true }));
                if entry.kind == Kind::Whiteout {
                    assert!(below.get(&entry.path).is_some());
                }
            }
            below = view;
            old = new;
        }
    });
}

#[test]
fn the_same_tree_again_is_no_change() {
    for_all(cases(100), any_tree(), |store, tree| {
        let first = written(store, &View::default(), |root| {
            upper(store, root, &Tree::new(), &tree, false);
        });
        let below = on_top(&View::default(), &first);
        let again = written(store, &below, |root| {
            upper(store, root, &tree, &tree, true);
            for entry in below
                .walk(b"")
                .map(|(_, entry)| entry)
                .filter(|e| !e.is_dir())
            {
                let path = root.join(std::str::from_utf8(&entry.path).unwrap());
                let times = crate::layer::place::times(entry.mtime);
                let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(rustix::fs::CWD, &path, &times, flags).unwrap();
            }
        });
        assert_eq!(changes(&again), Vec::<String>::new());
    });
}

#[test]
fn a_new_name_for_a_file_below_is_a_file_of_its_own() {
    let (_dir, store) = store();
    let first = written(&store, &View::default(), |root| {
        std::fs::write(root.join("a"), "x").unwrap();
    });
    let below = on_top(&View::default(), &first);
    let link = |root: &Path, names: &[&str]| {
        // `ln a b; ln a c` copies a up
        std::fs::write(root.join("a"), "x").unwrap();
        let time = std::fs::metadata(first.files.path().join("a"))
            .unwrap()
            .modified()
            .unwrap();
        std::fs::File::options()
            .write(true)
            .open(root.join("a"))
            .unwrap()
            .set_modified(time)
            .unwrap();
        for name in names {
            std::fs::hard_link(root.join("a"), root.join(name)).unwrap();
        }
    };
    let layer = written(&store, &below, |root| link(root, &["b"]));
    assert_eq!(changes(&layer), ["A b"]);
    let entry = layer.index.get(b"b").unwrap();
    assert!(matches!(entry.kind, Kind::File { link: None, .. }));
    assert!(!layer.files.path().join("a").exists());
    let layer = written(&store, &below, |root| link(root, &["b", "c"]));
    assert_eq!(changes(&layer), ["A b", "A c"]);
    for entry in layer.index.iter() {
        assert!(matches!(entry.kind, Kind::File { link: Some(first), .. } if first == b"b"));
    }
}

#[test]
fn times_count_by_the_window() {
    use crate::layer::{TimeRule, Timestamp};
    let (_dir, store) = store();
    let write = |root: &Path| {
        for name in ["old", "new"] {
            std::fs::write(root.join(name), "x").unwrap();
        }
        let file = std::fs::File::options()
            .write(true)
            .open(root.join("old"))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let layer = written(&store, &View::default(), write);
    let rule = |path: &[u8]| layer.index.get(path).unwrap().time;
    assert_eq!(rule(b"new"), TimeRule::Now);
    assert_eq!(rule(b"old"), TimeRule::Exact);
    assert_eq!(layer.index.get(b"old").unwrap().mtime, Timestamp::default());
    let again = written(&store, &View::default(), write);
    assert_eq!(again.change, layer.change);
    // a later chmod of a file that was new then does not make its time count
    let below = on_top(&View::default(), &layer);
    let chmod = written(&store, &below, |root| {
        std::fs::write(root.join("new"), "x").unwrap();
        let time = below.get(b"new").unwrap().mtime;
        let times = crate::layer::place::times(time);
        rustix::fs::utimensat(
            rustix::fs::CWD,
            root.join("new"),
            &times,
            rustix::fs::AtFlags::empty(),
        )
        .unwrap();
        std::fs::set_permissions(root.join("new"), PermissionsExt::from_mode(0o600)).unwrap();
    });
    assert_eq!(chmod.index.get(b"new").unwrap().time, TimeRule::Now);
}

#[test]
fn stubs_and_sockets_are_no_changes() {
    use std::os::unix::fs::MetadataExt;
    let (_dir, store) = store();
    let new = store.new_layer().unwrap();
    std::fs::create_dir(new.fs.join("proc")).unwrap();
    std::fs::create_dir(new.fs.join("etc")).unwrap();
    std::fs::write(new.fs.join("etc/hosts"), "").unwrap();
    std::fs::write(new.fs.join("etc/kept"), "").unwrap();
    let socket = std::os::unix::net::UnixListener::bind(new.fs.join("socket"));
    assert!(socket.is_ok() || new.fs.as_os_str().len() > 90);
    let stub = |path: &str| crate::layer::Stub {
        path: path.into(),
        inode: std::fs::metadata(new.fs.join(path)).unwrap().ino(),
    };
    let made = Made {
        stubs: vec![
            stub("proc"),
            stub("etc"),
            stub("etc/hosts"),
            crate::layer::Stub {
                inode: 1,
                ..stub("etc/kept")
            },
        ],
        window: None,
    };
    let layer = new.commit_scanned(&empty(&store), &made).unwrap();
    assert_eq!(changes(&layer), ["A etc", "A etc/kept"]);
    check_disk(&layer);
}

#[test]
fn parents_of_listed_entries_are_as_they_are_below() {
    let (_dir, store) = store();
    let first = written(&store, &View::default(), |root| {
        make(root, "tmp", &Node::Dir(0o1777));
    });
    let below = on_top(&View::default(), &first);
    let new = store.new_layer().unwrap();
    std::fs::create_dir_all(new.fs.join("tmp/new")).unwrap();
    std::fs::write(new.fs.join("tmp/new/f"), "x").unwrap();
    let content = solver::ContentDigest::of(b"x");
    let entries = vec![
        Entry::file("tmp/new/f", 0o600, 9, content),
        Entry::file("tmp/new/f", 0o644, 1, content),
        Entry::dir("tmp/new", 0o755),
    ];
    let layer = new.commit_listed(&below, entries).unwrap();
    assert_eq!(changes(&layer), ["A tmp", "A tmp/new", "A tmp/new/f"]);
    assert_eq!(layer.index.get(b"tmp"), below.get(b"tmp"));
    assert_eq!(layer.index.get(b"tmp/new/f").unwrap().mode, 0o644);
    assert_eq!(on_disk(layer.files.path())["tmp"].1, 0o1777);
    check_disk(&layer);
}

#[test]
fn no_depth_of_directories_is_too_much() {
    let (_dir, store) = store();
    let new = store.new_layer().unwrap();
    let depth = 2200;
    let mut dir = rustix::fs::openat(
        rustix::fs::CWD,
        &new.fs,
        rustix::fs::OFlags::DIRECTORY,
        0.into(),
    )
    .unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&dir, "d", 0o755.into()).unwrap();
        dir = rustix::fs::openat(&dir, "d", rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    }
    let below = empty(&store);
    let layer = new.commit_scanned(&below, &Made::default()).unwrap();
    assert_eq!(layer.index.len(), depth);
    let view = on_top(&below, &layer);
    let deep = view.walk(b"").filter(|(_, entry)| !entry.path.is_empty());
    assert_eq!(deep.count(), depth);
}
