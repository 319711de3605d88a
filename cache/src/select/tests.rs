//! Which files a COPY takes, and what they are called.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::context::tests::{copy, names, rules};
use crate::context::{Context, ContextOptions};
use crate::layer::tests::{on_top, store, written};
use crate::store::Store;

/// The same files as a context and as a stage.
fn both(store: &Store, dir: &Path, write: impl Fn(&Path)) -> (Context, View) {
    let root = dir.join("context");
    let _ = std::fs::remove_dir_all(&root);
    std::fs::create_dir(&root).unwrap();
    write(&root);
    let options = ContextOptions {
        name: "context".to_owned(),
        dir: root,
        filter: rules(&[]),
        asked: None,
    };
    let context = Context::open(store, options).unwrap();
    let layer = written(store, &View::default(), write);
    (context, on_top(&View::default(), &layer))
}

fn sh(script: &str) -> impl Fn(&Path) + '_ {
    move |root| {
        let mut command = std::process::Command::new("sh");
        assert!(
            command
                .args(["-ec", script])
                .current_dir(root)
                .status()
                .unwrap()
                .success()
        );
    }
}

/// What a selection is, or what its error says.
type Found = Result<Vec<&'static str>, String>;

#[test]
fn a_pattern_finds_what_the_build_asks_for() {
    let (dir, store) = store();
    let root = dir.path().join("context");
    std::fs::create_dir(&root).unwrap();
    sh(
        "mkdir -p d/e empty real; echo a > d/a.txt; echo b > d/e/b.txt; echo q > 'q?'; echo r > real/r; \
        ln -s real link; ln -s /real absolute; ln -s d/../real around; ln -s loop loop; \
        ln -s real far; ln -s d fan",
    )(&root);
    let open = |asked: &[&str]| {
        let options = ContextOptions {
            name: "context".to_owned(),
            dir: root.clone(),
            filter: rules(&[]),
            asked: Some(asked.iter().map(|path| (*path).to_owned()).collect()),
        };
        Context::open(&store, options).unwrap()
    };
    let none = |dir: &str| Err(format!("lstat /{dir}: no such file or directory"));
    let cases: Vec<(&[&str], &str, Found)> = vec![
        (&["d/*.md"], "d/*.md", none("d")),
        (&["d/*.md", "q"], "d/*.md", none("d")),
        (&["d/*.md", "d/e"], "d/*.md", Ok(vec![])),
        (&["d/*.md", "d"], "d/*.md", Ok(vec![])),
        (&["d/e/*.md", "d/a.txt"], "d/e/*.md", none("d/e")),
        (&["empty/*"], "empty/*", none("empty")),
        (&["empty/*", "empty"], "empty/*", Ok(vec![])),
        (&["*.md"], "*.md", Ok(vec![])),
        (&["*/*.txt"], "*/*.txt", Ok(vec!["a.txt:"])),
        (&["link/*"], "link/*", Ok(vec!["r:"])),
        (&["link/*.md"], "link/*.md", none("link")),
        (&["q[?]"], "q[?]", Ok(vec![])),
        (&["q[?]", "q*"], "q[?]", Ok(vec!["q?:"])),
        (&["q\\?*"], "q\\?*", Ok(vec!["q?:"])),
        (&["real/x"], "real/*", none("real")),
        (&["d/../real/r"], "real/*", Ok(vec!["r:"])),
        (&["absolute/r"], "real/*", Ok(vec!["r:"])),
        (&["around/r"], "real/*", Ok(vec!["r:"])),
        (&["l?nk/r"], "real/*", Ok(vec!["r:"])),
        (&["none*/r", "loop/r"], "real/*", none("real")),
        // a link is followed for the first path through it
        (&["link/r", "link/x"], "real/*", Ok(vec!["r:"])),
        (&["link/x", "link/r"], "real/*", Ok(vec!["r:"])),
        (&["link/p", "link/r"], "real/*", none("real")),
        // and a pattern is a path of its own
        (&["fa?/r", "fan/a.txt"], "real/*", Ok(vec!["r:"])),
        (&["fa?/r", "fan/a.txt"], "d/*", Ok(vec!["a.txt:"])),
        (&["d/.."], "d/*.md", Ok(vec![])),
    ];
    for (asked, pattern, expected) in cases {
        let selector = Selector {
            pattern: true,
            ..copy(pattern)
        };
        match (from_context(&open(asked), &selector), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(names(&found), expected, "{asked:?}"),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(&expected), "{asked:?}: {error}");
            }
            (found, expected) => panic!(
                "{asked:?}: {:?}, not {expected:?}",
                found.map(|f| names(&f))
            ),
        }
    }
}

#[test]
fn sources_are_those_of_the_reference() {
    let (dir, store) = store();
    let script = "mkdir -p d1/s d2 e tree/sub/deep real/in; echo t > top; echo 1 > d1/x; echo y > d1/s/y; \
        echo 2 > d2/x; echo e > e/x; echo 1 > tree/one.txt; echo 2 > tree/two.md; echo 3 > tree/sub/three.txt; \
        echo 4 > tree/sub/deep/four.txt; echo 5 > tree/sub/deep/five.log; ln -s real link; ln -s in/f real/f; \
        echo f > real/in/f; ln -s nowhere dangling; ln -s loop loop; echo s > 'a[0].txt'";
    let (context, view) = both(&store, dir.path(), sh(script));
    let parents = |path: &str| Selector {
        parents: true,
        ..copy(path)
    };
    let excluding = |path: &str, excludes: &[&str]| Selector {
        excludes: excludes.iter().map(|e| (*e).to_owned()).collect(),
        ..copy(path)
    };
    let pattern = |path: &str| Selector {
        pattern: true,
        ..copy(path)
    };
    let mount = |path: &str| Selector {
        purpose: Purpose::Mount,
        ..copy(path)
    };
    let all = names(&from_view(&view, &copy(".")).unwrap());
    let cases: Vec<(Selector, Result<Vec<&str>, &str>)> = vec![
        (copy("top"), Ok(vec!["top:"])),
        (copy("d1"), Ok(vec!["d1:", "d1:s", "d1:s/y", "d1:x"])),
        (copy("d1/../d2"), Ok(vec!["d2:", "d2:x"])),
        (copy("."), Ok(all.iter().map(String::as_str).collect())),
        (copy("d*"), Err("\"/dangling\": not found")),
        (copy("d1*"), Ok(vec!["d1:", "d1:s", "d1:s/y", "d1:x"])),
        (copy("*/x"), Ok(vec!["x:", "x:", "x:"])),
        (copy("none*"), Ok(vec![])),
        (copy("*/none/*"), Ok(vec![])),
        (copy("nodir/*"), Err("\"/nodir\": not found")),
        (copy("none"), Err("\"/none\": not found")),
        (copy("top/x"), Err("\"/top/x\": not found")),
        (
            copy("link"),
            Ok(vec!["link:", "link:f", "link:in", "link:in/f"]),
        ),
        (copy("link/f"), Ok(vec!["f:"])),
        (copy("link/*"), Ok(vec!["f:", "in:", "in:f"])),
        (copy("li*/f"), Ok(vec![])),
        (copy("dangling"), Err("\"/dangling\": not found")),
        (copy("loop"), Err("too many levels")),
        (copy("a[0].txt"), Ok(vec!["a[0].txt:"])),
        (pattern("a[[]0].txt"), Ok(vec!["a[0].txt:"])),
        (pattern("a[0"), Err("pattern")),
        (
            excluding("tree", &["*.md", "sub/deep"]),
            Ok(vec![
                "tree:",
                "tree:one.txt",
                "tree:sub",
                "tree:sub/three.txt",
            ]),
        ),
        (
            excluding("tree", &["**/*.txt"]),
            Ok(vec![
                "tree:",
                "tree:sub",
                "tree:sub/deep",
                "tree:sub/deep/five.log",
                "tree:two.md",
            ]),
        ),
        (
            excluding("tree", &["sub", "!sub/deep/four.txt", "*.*"]),
            Ok(vec![
                "tree:",
                "tree:sub",
                "tree:sub/deep",
                "tree:sub/deep/four.txt",
            ]),
        ),
        (excluding("top", &["top"]), Ok(vec!["top:"])),
        (
            parents("tree/one.txt"),
            Ok(vec![":", ":tree", ":tree/one.txt"]),
        ),
        (
            parents("tree/sub"),
            Ok(vec![
                ":",
                ":tree",
                ":tree/sub",
                ":tree/sub/deep",
                ":tree/sub/deep/five.log",
                ":tree/sub/deep/four.txt",
                ":tree/sub/three.txt",
            ]),
        ),
        (
            parents("tree/**/f*.*"),
            Ok(vec![
                ":",
                ":tree",
                ":tree/sub",
                ":tree/sub/deep",
                ":tree/sub/deep/five.log",
                ":tree/sub/deep/four.txt",
            ]),
        ),
        (
            parents("./tree/sub/./**/*.log"),
            Ok(vec![":", ":deep", ":deep/five.log"]),
        ),
        (
            parents("tree/none.txt"),
            Err("\"/tree/none.txt\": not found"),
        ),
        (parents("tree/none*"), Ok(vec![":"])),
        (parents("link/f"), Err("\"/link/f\": not found")),
        (parents("link/./in/f"), Err("\"/link/./in/f\": not found")),
        (parents("./real/./in/f"), Ok(vec![":", ":in", ":in/f"])),
        (parents("real/f"), Ok(vec![":", ":real", ":real/f"])),
        (mount("link/f"), Ok(vec!["f:"])),
        (mount("none"), Err("not found")),
    ];
    let cases = cases.into_iter().chain([
        (
            excluding("tree", &["./sub/", "*.md "]),
            Ok(vec!["tree:", "tree:one.txt"]),
        ),
        (excluding(".", &["top"]), Err("\"/dangling\": not found")),
        (parents("dangling"), Err("\"/dangling\": not found")),
        (parents("."), Err("\"/\": not found")),
        (parents("d1/./."), Err("\"/d1\": not found")),
        (
            parents("d1/*"),
            Ok(vec![":", ":d1", ":d1/s", ":d1/s/y", ":d1/x"]),
        ),
    ]);
    for (selector, expected) in cases {
        let from_context = from_context(&context, &selector);
        let from_view = from_view(&view, &selector);
        match expected {
            Ok(expected) => {
                let selected = from_context.unwrap();
                assert_eq!(names(&selected), expected, "{selector:?}");
                let other = from_view.unwrap();
                assert_eq!(names(&other), expected, "{selector:?}");
                if rustix::process::geteuid().is_root() {
                    assert_eq!(selected.digest, other.digest, "{selector:?}");
                }
            }
            Err(expected) => {
                for error in [from_context.unwrap_err(), from_view.unwrap_err()] {
                    assert!(
                        error.to_string().contains(expected),
                        "{selector:?}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn names_and_links_count_and_the_name_of_a_directory_does_not() {
    let (dir, store) = store();
    let digest = |script: &str, path: &str| {
        let (context, _) = both(&store, dir.path(), sh(script));
        from_context(&context, &copy(path)).unwrap().digest
    };
    assert_eq!(
        digest("mkdir a; echo x > a/f", "a"),
        digest("mkdir b; echo x > b/f", "b")
    );
    assert_ne!(
        digest("mkdir a; echo x > a/f", "a"),
        digest("mkdir a; echo x > a/g", "a")
    );
    assert_ne!(digest("echo x > f", "f"), digest("echo x > g", "g"));
    assert_ne!(
        digest("mkdir a; echo x > a/f; ln a/f a/g", "a"),
        digest("mkdir a; echo x > a/f; echo x > a/g", "a")
    );
    // what is not selected does not count, a link to it neither
    assert_eq!(
        digest("mkdir a; echo x > a/f; ln a/f other", "a"),
        digest("mkdir a; echo x > a/f", "a")
    );
    assert_ne!(
        digest("echo x > f; echo x > g", "*"),
        digest("echo x > f; echo x > h", "*")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against the rules spelled out over the list of all paths.
    #[test]
    fn chosen_is_what_the_lists_say(
        paths in prop::collection::btree_map("[ab](/[ab]){0,2}", any::<bool>(), 0..9),
        include in prop::option::of("(\\*\\*/)?[ab*](/[ab*]){0,2}"),
        exclude in prop::collection::vec("!?(\\*\\*/)?[ab*](/[ab*]){0,2}", 0..3),
    ) {
        let mut tree = BTreeMap::<Vec<u8>, bool>::new();
        for (path, is_dir) in &paths {
            tree.insert(path.clone().into_bytes(), *is_dir);
        }
        for path in paths.keys() {
            for (at, _) in path.match_indices('/') {
                tree.insert(path.as_bytes()[..at].to_vec(), true);
            }
        }
        let content = solver::ContentDigest::of(b"");
        let entries = tree.iter().map(|(path, is_dir)| match is_dir {
            true => Entry::dir(path.as_slice(), 0o755),
            false => Entry::file(path.as_slice(), 0o644, 0, content),
        });
        let layer = crate::snapshot::tests::layer(entries.collect()).unwrap();
        let view = View::new(vec![Arc::clone(&layer)]);
        let selector = Selector {
            path: include.clone().unwrap_or_else(|| ".".to_owned()),
            pattern: false,
            parents: include.is_some(),
            excludes: exclude.clone(),
            purpose: Purpose::Copy,
        };
        let includes = PatternList::new(include.iter()).unwrap();
        let excludes = PatternList::new(&exclude).unwrap();
        let chosen = |path: &[u8]| {
            (include.is_none() || includes.matches_or_parent(path)) && !excludes.matches_or_parent(path)
        };
        let mut expected: Vec<String> = tree
            .keys()
            .filter(|path| tree.keys().any(|inner| is_within(inner, path) && chosen(inner)))
            .map(|path| String::from_utf8(path.clone()).unwrap())
            .collect();
        expected.sort_by(|a, b| path_cmp(a.as_bytes(), b.as_bytes()));
        expected.insert(0, String::new());
        match from_view(&view, &selector) {
            Ok(selected) => {
                let found: Vec<String> = selected.roots[0]
                    .entries
                    .iter()
                    .map(|e| String::from_utf8(e.entry.path.clone()).unwrap())
                    .collect();
                prop_assert_eq!(found, expected);
            }
            Err(error) => {
                let literal = include.as_ref().is_some_and(|text| !text.contains('*'));
                let missing = matches!(error, SelectError::NotFound { .. });
                prop_assert!(literal && missing && !tree.contains_key(include.unwrap().as_bytes()));
            }
        }
    }
}
