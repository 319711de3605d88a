//! Paths and links of a stack, against trees that were really made.

use std::collections::BTreeMap;

use image::DiffId;
use proptest::prelude::*;

use super::*;
use crate::layer::entry::is_within;
use crate::layer::files::Files;
use crate::layer::{LayerIndex, samples};

/// A layer that has an index and no files.
pub(crate) fn layer(entries: Vec<Entry>) -> Option<Arc<Layer>> {
    let index = LayerIndex::new(entries).ok()?;
    Some(Arc::new(Layer {
        id: LayerId("test".to_owned()),
        change: index.change_digest(),
        diff_id: None::<DiffId>,
        index: Arc::new(index),
        files: Files::whole("/nowhere".as_ref()),
    }))
}

fn view(layers: Vec<Vec<Entry>>) -> View {
    View::new(
        layers
            .into_iter()
            .map(|entries| layer(entries).unwrap())
            .collect(),
    )
}

fn links(links: &[(&str, &str)]) -> View {
    let entries = links
        .iter()
        .map(|(path, target)| Entry::symlink(*path, *target));
    let files = ["real", "real/dir", "real/dir/deep"].map(|path| Entry::dir(path, 0o755));
    view(vec![entries.chain(files).collect()])
}

fn led(view: &View, path: &str, follow_last: bool) -> String {
    match view.resolve(path.as_bytes(), follow_last).unwrap() {
        Resolved::Entry(entry) => lossy(&entry.path),
        Resolved::Missing(path) => format!("missing {}", lossy(&path)),
    }
}

#[test]
fn links_lead_anywhere_inside_the_root() {
    let view = links(&[
        ("abs", "/real"),
        ("real/up", "../../../real/dir"),
        ("chain", "abs"),
        ("dangling", "/nowhere/x"),
        ("dots", "real/./dir/../dir/."),
    ]);
    for (path, last, expected) in [
        ("", true, ""),
        ("/", true, ""),
        ("../..", true, ""),
        ("real/dir", false, "real/dir"),
        ("/real//dir/", true, "real/dir"),
        ("abs/dir", false, "real/dir"),
        ("abs", false, "abs"),
        ("abs", true, "real"),
        ("chain/up/deep", true, "real/dir/deep"),
        ("real/up", true, "real/dir"),
        ("dots/deep", true, "real/dir/deep"),
        ("dangling", false, "dangling"),
        ("dangling", true, "missing nowhere/x"),
        ("dangling/y", true, "missing nowhere/x/y"),
        ("real/none/../dir", true, "real/dir"),
        ("real/../../../real", true, "real"),
    ] {
        assert_eq!(led(&view, path, last), expected, "{path}");
    }
}

#[test]
fn loops_of_links_end() {
    let view = links(&[
        ("a", "b"),
        ("b", "a"),
        ("self", "self/x"),
        ("grow", "grow/grow"),
    ]);
    for path in ["a", "b/x", "self", "grow"] {
        let error = view.resolve(path.as_bytes(), true).unwrap_err();
        assert!(matches!(error, LayerError::Links { .. }), "{error}");
    }
    assert_eq!(led(&view, "a", false), "a");
}

#[test]
fn the_root_is_always_there() {
    assert_eq!(View::default().get(b""), Some(Entry::dir("", 0o755)));
    assert_eq!(
        view(vec![vec![Entry::dir("", 0o700)], vec![]]).get(b""),
        Some(Entry::dir("", 0o700))
    );
    assert!(View::default().list(b"").is_empty());
}

/// The tree that layers show, by applying one after the other.
fn applied(layers: &[Arc<Layer>]) -> BTreeMap<Vec<u8>, Entry> {
    let mut tree = BTreeMap::<Vec<u8>, Entry>::new();
    for layer in layers {
        let mut hide = Vec::new();
        for entry in layer.index.iter() {
            match entry.kind {
                Kind::Dir { opaque: false } => {
                    if tree.get(&entry.path).is_some_and(|old| !old.is_dir()) {
                        hide.push(entry.path);
                    }
                }
                _ => hide.push(entry.path),
            }
        }
        tree.retain(|path, _| !hide.iter().any(|hidden| is_within(path, hidden)));
        for mut entry in layer.index.iter() {
            if let Kind::Dir { opaque } = &mut entry.kind {
                *opaque = false;
            }
            if entry.kind != Kind::Whiteout {
                tree.insert(entry.path.clone(), entry);
            }
        }
    }
    tree.entry(Vec::new())
        .or_insert_with(|| Entry::dir("", 0o755));
    tree
}

/// Layers that have the directories around each of their entries, as all committed ones do.
fn any_layer() -> impl Strategy<Value = Arc<Layer>> {
    samples::any_entries().prop_filter_map("cannot stand together", |mut entries| {
        let mut dirs = Vec::new();
        for entry in &entries {
            let mut dir = split(&entry.path).0;
            while !dir.is_empty() {
                dirs.push(Entry::dir(dir, 0o711));
                dir = split(dir).0;
            }
        }
        let has = |dir: &Entry, entries: &[Entry]| {
            entries.iter().any(|e| e.path == dir.path && e.is_dir())
        };
        dirs.retain(|dir| !has(dir, &entries));
        entries.retain(|entry| !dirs.iter().any(|dir| dir.path == entry.path));
        entries.extend(dirs);
        layer(entries)
    })
}

proptest! {
    #[test]
    fn the_merged_view_is_what_applying_gives(
        layers in prop::collection::vec(any_layer(), 0..5),
        asked in prop::collection::vec("(a|b|a-)(/(a|b|z)){0,3}", 0..8),
    ) {
        let tree = applied(&layers);
        let view = View::new(layers);
        let mut paths: Vec<Vec<u8>> = tree.keys().cloned().collect();
        paths.extend(asked.into_iter().map(String::into_bytes));
        for path in &paths {
            prop_assert_eq!(view.get(path), tree.get(path).cloned(), "{}", lossy(path));
            let list: Vec<Entry> = match tree.get(path) {
                Some(dir) if dir.is_dir() => tree
                    .values()
                    .filter(|e| !e.path.is_empty() && split(&e.path).0 == &path[..])
                    .cloned()
                    .collect(),
                _ => Vec::new(),
            };
            let found = if tree.get(path).is_some_and(Entry::is_dir) { view.list(path) } else { Vec::new() };
            prop_assert_eq!(found, list, "{}", lossy(path));
            let mut walk: Vec<Entry> = tree.values().filter(|e| is_within(&e.path, path)).cloned().collect();
            walk.sort_by(|a, b| crate::layer::entry::path_cmp(&a.path, &b.path));
            let mut found: Vec<Entry> = view.walk(path).map(|(_, entry)| entry).collect();
            if path.is_empty() && found.first().is_none_or(|e| !e.path.is_empty()) {
                found.insert(0, Entry::dir("", 0o755));
            }
            prop_assert_eq!(found, walk, "{}", lossy(path));
        }
    }
}
