//! What a new layer really does to the tree below it. Knows entries, no files.

use std::collections::BTreeSet;

use super::entry::{is_within, path_cmp, split};
use super::{Entry, Kind, TimeRule, Timestamp};
use crate::snapshot::View;

/// An entry as it was found, or as its writer listed it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub entry: Entry,
    /// Made only so that something could be mounted on it.
    pub stub: bool,
}

/// How the times of raw entries are judged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// The writer said it entry by entry.
    Listed,
    /// By the window of the step that wrote them.
    Window(Option<(Timestamp, Timestamp)>),
}

/// A layer's entries, and what has to be done on disk so that it holds them and nothing else.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The entries, sorted; no directory is opaque.
    pub entries: Vec<Entry>,
    /// To be removed, in this order.
    pub remove: Vec<Vec<u8>>,
    /// Directories that are not opaque any more.
    pub unmark: Vec<Vec<u8>>,
    /// Whiteouts to be made.
    pub whiteouts: Vec<Vec<u8>>,
}

/// What the tree below has in a directory of the new layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    /// Nothing that could be seen.
    Nothing,
    /// What shows through.
    Shown,
    /// What the directory hides as a whole, so that each thing must be deleted or replaced.
    Hidden,
}

struct Around {
    path: Vec<u8>,
    below: Below,
    position: usize,
}

/// No directory of the layer is around: it is in the root.
const ROOT: usize = usize::MAX;

/// Compares sorted entries with the tree below, and keeps what changes it.
pub(super) fn against(below: &View, raw: Vec<Raw>, times: Times) -> Difference {
    let mut keep = Keep::default();
    let mut around = Vec::<Around>::new();
    let mut difference = Difference::default();
    let mut deleted = Vec::new();
    let mut entries: Vec<Entry> = Vec::with_capacity(raw.len());
    let paths: Vec<(Vec<u8>, bool)> = raw
        .iter()
        .map(|raw| (raw.entry.path.clone(), raw.stub))
        .collect();
    for (position, Raw { mut entry, stub }) in raw.into_iter().enumerate() {
        while around
            .last()
            .is_some_and(|dir| !is_within(&entry.path, &dir.path))
        {
            around.pop();
        }
        let (parent, state) = around
            .last()
            .map_or((ROOT, Below::Shown), |dir| (dir.position, dir.below));
        let old = (state != Below::Nothing)
            .then(|| below.get(&entry.path))
            .flatten();
        if let (Some(old), Times::Window(window)) = (&old, times) {
            restore_placeholder(&mut entry, old);
            entry.time = rule(&entry, Some(old), window);
        } else if let Times::Window(window) = times {
            entry.time = rule(&entry, None, window);
        }
        let is_root = entry.path.is_empty();
        let mut changes = match entry.kind {
            Kind::Whiteout => old.is_some(),
            _ => !old.as_ref().is_some_and(|old| equal(&entry, old)),
        };
        if let Kind::Dir { opaque } = &mut entry.kind {
            let replaces = *opaque || state == Below::Hidden;
            if std::mem::take(opaque) {
                difference.unmark.push(entry.path.clone());
            }
            let inside = match &old {
                Some(old) if old.is_dir() && replaces => Below::Hidden,
                Some(old) if old.is_dir() => Below::Shown,
                _ => Below::Nothing,
            };
            if !is_root {
                around.push(Around {
                    path: entry.path.clone(),
                    below: inside,
                    position,
                });
            }
            if inside == Below::Hidden {
                // stubs are not there any more when the layer is seen
                let names: BTreeSet<&[u8]> = paths[position + 1..]
                    .iter()
                    .take_while(|(path, _)| is_within(path, &entry.path))
                    .filter(|(path, stub)| !stub && split(path).0 == entry.path)
                    .map(|(path, _)| split(path).1)
                    .collect();
                for gone in below.list(&entry.path) {
                    if !names.contains(gone.name()) {
                        deleted.push((gone.path, position));
                    }
                }
            }
        }
        changes &= !stub;
        keep.push(if is_root { ROOT } else { parent });
        if changes {
            keep.mark(position);
        }
        entries.push(entry);
    }
    for (_, dir) in &deleted {
        keep.mark(*dir);
    }
    // what was deleted by an opaque mark, unless a stub's place is kept for the same name
    for (path, _) in deleted {
        difference.whiteouts.push(path);
    }
    for (entry, kept) in entries.into_iter().zip(&keep.kept) {
        if *kept {
            difference.entries.push(entry);
        } else if !entry.path.is_empty() {
            difference.remove.push(entry.path);
        }
    }
    // what is in a directory goes before it
    difference.remove.reverse();
    let gone: BTreeSet<&Vec<u8>> = difference.remove.iter().collect();
    difference.unmark.retain(|path| !gone.contains(path));
    difference.entries.extend(
        difference
            .whiteouts
            .iter()
            .map(|path| Entry::whiteout(path.as_slice())),
    );
    difference
        .entries
        .sort_by(|a, b| path_cmp(&a.path, &b.path));
    difference
}

/// Which entries stay: those that change something, and the directories around them.
#[derive(Default)]
struct Keep {
    kept: Vec<bool>,
    parents: Vec<usize>,
}

impl Keep {
    fn push(&mut self, parent: usize) {
        self.kept.push(false);
        self.parents.push(parent);
    }

    fn mark(&mut self, mut position: usize) {
        while position != ROOT && !self.kept[position] {
            self.kept[position] = true;
            position = self.parents[position];
        }
    }
}

/// Whether an entry leaves what was there as it was. A file that only got another name does: the
/// name becomes a file of its own, as layers share no inodes.
fn equal(new: &Entry, old: &Entry) -> bool {
    let same_kind = match (&new.kind, &old.kind) {
        (Kind::Dir { .. }, Kind::Dir { .. }) => true,
        (
            Kind::File { size, content, .. },
            Kind::File {
                size: old_size,
                content: old_content,
                ..
            },
        ) => size == old_size && content == old_content,
        (new, old) => new == old,
    };
    same_kind
        && (matches!(new.kind, Kind::Symlink { .. }) || new.mode == old.mode)
        && (new.uid, new.gid) == (old.uid, old.gid)
        && new.xattrs == old.xattrs
        && (new.is_dir() || new.mtime == old.mtime)
}

/// How an entry's time counts: what was there with the same time says it, then the step's window.
fn rule(new: &Entry, old: Option<&Entry>, window: Option<(Timestamp, Timestamp)>) -> TimeRule {
    match (old, window) {
        (Some(old), _) if old.mtime == new.mtime => old.time,
        (_, Some((from, to))) if from <= new.mtime && new.mtime <= to => TimeRule::Now,
        _ => TimeRule::Exact,
    }
}

/// What stands on disk in place of something that the disk could not hold was copied up: it is
/// still what the index says.
fn restore_placeholder(new: &mut Entry, old: &Entry) {
    if !old.placeholder {
        return;
    }
    let is_device = matches!(old.kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. });
    let is_stand_in = is_device && matches!(new.kind, Kind::File { size: 0, .. });
    if is_stand_in {
        new.kind = old.kind.clone();
    }
    let same = std::mem::discriminant(&new.kind) == std::mem::discriminant(&old.kind);
    if same && (new.uid, new.gid) == (0, 0) {
        (new.uid, new.gid) = (old.uid, old.gid);
        new.placeholder = true;
    }
}

/// Adds the directories around sorted entries that their writer did not list, as they are below.
/// Returns their paths.
pub(super) fn add_parents(below: &View, entries: &mut Vec<Entry>) -> Vec<Vec<u8>> {
    let mut added = BTreeSet::<Vec<u8>>::new();
    let listed = |path: &[u8], entries: &[Entry]| {
        entries
            .binary_search_by(|e| path_cmp(&e.path, path))
            .is_ok()
    };
    for entry in entries.iter() {
        let mut dir = split(&entry.path).0;
        while !dir.is_empty() && !added.contains(dir) && !listed(dir, entries) {
            added.insert(dir.to_vec());
            dir = split(dir).0;
        }
    }
    let added: Vec<Vec<u8>> = added.into_iter().collect();
    for path in &added {
        let made = Entry {
            time: TimeRule::Ignored,
            ..Entry::dir(path.as_slice(), 0o755)
        };
        entries.push(below.get(path).filter(Entry::is_dir).unwrap_or(made));
    }
    entries.sort_by(|a, b| path_cmp(&a.path, &b.path));
    added
}
