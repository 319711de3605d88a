//! Layers on a real disk.

mod delta;
pub(super) mod history;
mod overlay;
mod random;
mod tar;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use super::{Entry, Kind, Layer, Made};
use crate::snapshot::View;
use crate::store::{Store, StoreOptions};

/// A store in a directory of its own.
pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path().join("store"))).unwrap();
    (dir, store)
}

/// What a path of a tree is, as far as a test sees it: type and content, mode; the first path
/// with the same inode.
pub(crate) type Seen = BTreeMap<String, (String, u32, Option<String>)>;

/// The tree that a view shows.
pub(crate) fn shown(view: &View) -> Seen {
    view.walk(b"")
        .filter(|(_, entry)| !entry.path.is_empty())
        .map(|(_, entry)| {
            let mode = if matches!(entry.kind, Kind::Symlink { .. }) {
                0o777
            } else {
                entry.mode
            };
            let path = String::from_utf8(entry.path.clone()).unwrap();
            (path, (describe(view, &entry), mode, None))
        })
        .collect()
}

fn describe(view: &View, entry: &Entry) -> String {
    match &entry.kind {
        Kind::Dir { .. } => "dir".to_owned(),
        Kind::Symlink { target } => format!("link {}", String::from_utf8_lossy(target)),
        Kind::Fifo => "fifo".to_owned(),
        Kind::File { content, size, .. } => {
            let mut bytes = Vec::new();
            let mut file = view.open(&entry.path).unwrap().unwrap();
            std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
            assert_eq!(*content, solver::ContentDigest::of(&bytes));
            assert_eq!(*size, bytes.len() as u64);
            format!("file {}", String::from_utf8_lossy(&bytes))
        }
        other => format!("{other:?}"),
    }
}

/// The tree on disk.
pub(crate) fn on_disk(root: &Path) -> Seen {
    fn walk(root: &Path, dir: &Path, seen: &mut Seen) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let kind = meta.file_type();
            let what = if kind.is_dir() {
                walk(root, &path, seen);
                "dir".to_owned()
            } else if kind.is_symlink() {
                format!("link {}", std::fs::read_link(&path).unwrap().display())
            } else if kind.is_fifo() {
                "fifo".to_owned()
            } else if kind.is_char_device() && meta.rdev() == 0 {
                "whiteout".to_owned()
            } else if kind.is_char_device() || kind.is_block_device() {
                "device".to_owned()
            } else {
                format!(
                    "file {}",
                    String::from_utf8_lossy(&std::fs::read(&path).unwrap())
                )
            };
            let name = path
                .strip_prefix(root)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec();
            seen.insert(
                String::from_utf8(name).unwrap(),
                (what, meta.mode() & 0o7777, None),
            );
        }
    }
    let mut seen = Seen::new();
    walk(root, root, &mut seen);
    seen
}

/// A view of a root directory with nothing in it. Whoever runs the test owns it, so that for an
/// ordinary user the root of a layer on nothing would be a change.
pub(crate) fn empty(store: &Store) -> View {
    on_top(&View::default(), &written(store, &View::default(), |_| ()))
}

/// Makes sure that a layer's files are exactly those of its index.
pub(crate) fn check_disk(layer: &Layer) {
    let listed: Vec<String> = layer
        .index
        .iter()
        .filter(|e| !e.path.is_empty())
        .map(|e| {
            let what = match e.kind {
                Kind::Whiteout => "whiteout",
                Kind::Dir { .. } => "dir",
                _ => "other",
            };
            format!("{} {what}", String::from_utf8(e.path).unwrap())
        })
        .collect();
    let mut found: Vec<(String, String)> = on_disk(layer.files.path())
        .into_iter()
        .map(|(path, (what, ..))| {
            let what = match what.as_str() {
                "whiteout" | "dir" => what,
                _ => "other".to_owned(),
            };
            (path, what)
        })
        .collect();
    found.sort_by(|a, b| super::entry::path_cmp(a.0.as_bytes(), b.0.as_bytes()));
    let found: Vec<String> = found
        .into_iter()
        .map(|(path, what)| format!("{path} {what}"))
        .collect();
    assert_eq!(listed, found);
}

/// A layer that `write` writes over `below`.
pub(crate) fn written(store: &Store, below: &View, write: impl FnOnce(&Path)) -> Layer {
    let new = store.new_layer().unwrap();
    let from = new.now().unwrap();
    write(&new.fs);
    let window = Some((from, new.now().unwrap()));
    let layer = new
        .commit_scanned(
            below,
            &Made {
                stubs: Vec::new(),
                window,
            },
        )
        .unwrap();
    check_disk(&layer);
    layer
}

/// `below` with `layer` on top.
pub(crate) fn on_top(below: &View, layer: &Layer) -> View {
    let mut layers = below.layers().to_vec();
    layers.push(Arc::new(layer.clone()));
    View::new(layers)
}

/// A view's entries that change something, for comparisons: `A path` or `D path`.
pub(crate) fn changes(layer: &Layer) -> Vec<String> {
    layer
        .index
        .iter()
        .map(|e| {
            let sign = if e.kind == Kind::Whiteout { 'D' } else { 'A' };
            format!("{sign} {}", String::from_utf8(e.path).unwrap())
        })
        .collect()
}
