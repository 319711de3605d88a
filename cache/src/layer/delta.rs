//! Which entries of a layer have to be written if another layer has most of them already.
//!
//! The new layer's own directory is mounted over the one that it amends. So what the other has and
//! this one has not is covered by a whiteout, and that covers what is deeper too, where the layer
//! as a whole would let it be seen. Wherever that could be noticed the layer is no delta. Knows
//! entries, no files.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::entry::{is_within, path_cmp, split};
use super::record::tag;
use super::{Entry, Kind, LayerIndex};
use crate::snapshot::View;

/// What a delta has in its own directory: entries of the layer, with their parents, and whiteouts
/// for what is gone. Sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub own: Vec<Entry>,
}

/// Bytes that cost as much to copy as a file costs to make.
const UNIT: u64 = 64 << 10;
/// No delta stands on more layers than this: the kernel takes 500 directories, and a delta is two.
const DEPTH: usize = 64;

/// When a delta is worth it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// What it must save, in files: another mount, another directory to look into, are not free.
    pub saves: u64,
    /// It is at most one part of this many of the whole; so what an amended layer has for nobody
    /// any more is bounded too.
    pub part: u64,
}

impl Limits {
    /// Those of a build.
    pub const USUAL: Self = Self {
        saves: 256,
        part: 4,
    };
}

/// What `entries` cost to write.
fn cost(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| match &entry.kind {
            Kind::File { size, link, .. }
                if link.as_ref().is_none_or(|first| *first == entry.path) =>
            {
                1 + size / UNIT
            }
            _ => 1,
        })
        .sum()
}

impl Limits {
    /// Whether a layer of `entries` is large enough to be amended one day.
    pub fn allow(self, entries: &[Entry]) -> bool {
        cost(entries) > self.saves
    }

    fn allow_part(self, part: u64, whole: u64) -> bool {
        part <= whole / self.part && whole - part >= self.saves
    }
}

/// How the layer of `entries` (sorted, hard links grouped) differs from `base`, if it differs in
/// little, and both show the same over `below`. Entries that are those of `base` become placeholders
/// where `base` has some.
pub(super) fn delta(
    base: &LayerIndex,
    entries: &mut [Entry],
    below: &View,
    limits: Limits,
) -> Option<Delta> {
    if base.has_opaque() || below.layers().len() > DEPTH {
        return None;
    }
    let compared = compare(base, entries)?;
    let partial = below.layers().is_empty();
    // A stack on nothing may be put on anything: what is deeper is not known then.
    let is_covered = |path: &[u8], covers: bool| !covers || !partial && below.get(path).is_none();
    for (at, there) in &compared.replaced {
        let file_to_dir = entries[*at].is_dir() && base.tag(*there) != tag::DIR;
        if !is_covered(&entries[*at].path, file_to_dir) {
            return None;
        }
    }
    for path in &compared.gone {
        if !is_covered(path, true) {
            return None;
        }
    }
    let mut own: BTreeSet<usize> = compared.own;
    add_parents(entries, &mut own, &compared.gone);
    let mut chosen: Vec<Entry> = own.iter().map(|at| entries[*at].clone()).collect();
    chosen.extend(compared.gone.iter().map(|path| Entry::whiteout(*path)));
    chosen.sort_by(|a, b| path_cmp(&a.path, &b.path));
    if !limits.allow_part(cost(&chosen), cost(entries)) {
        return None;
    }
    for (at, there) in compared.same {
        entries[at].placeholder = base.is_placeholder(there);
    }
    Some(Delta { own: chosen })
}

/// Two lists of entries, side by side.
#[derive(Default)]
struct Compared<'b> {
    /// Positions of the new entries that are not in the other list as they are.
    own: BTreeSet<usize>,
    /// Of those, the ones at whose path the other list has something else, and where.
    replaced: Vec<(usize, usize)>,
    /// Positions of those that are, and where.
    same: Vec<(usize, usize)>,
    /// Paths that only the other list has, without those in what is gone or replaced itself.
    gone: Vec<&'b [u8]>,
}

/// None if there is a difference that no delta can make.
fn compare<'b>(base: &'b LayerIndex, entries: &[Entry]) -> Option<Compared<'b>> {
    let mut compared = Compared::default();
    let mut covered = None::<&[u8]>;
    // hard-linked files are written together or not at all
    let mut broken = BTreeSet::<&[u8]>::new();
    let (mut new, mut old) = (0, 0);
    loop {
        let order = match (entries.get(new), old < base.len()) {
            (None, false) => break,
            (None, true) => Ordering::Greater,
            (Some(_), false) => Ordering::Less,
            (Some(entry), true) => path_cmp(&entry.path, base.path(old)),
        };
        if order != Ordering::Less && base.link(old).is_some() {
            let same = order == Ordering::Equal && base.holds(old, &entries[new]);
            if !same {
                broken.extend(base.link(old));
            }
        }
        match order {
            Ordering::Less => {
                compared.own.insert(new);
                new += 1;
            }
            Ordering::Equal => {
                if base.holds(old, &entries[new]) {
                    compared.same.push((new, old));
                } else {
                    compared.own.insert(new);
                    compared.replaced.push((new, old));
                    if !entries[new].is_dir() {
                        covered = Some(base.path(old));
                    }
                }
                (new, old) = (new + 1, old + 1);
            }
            Ordering::Greater => {
                let path = base.path(old);
                if !covered.is_some_and(|around| is_within(path, around)) {
                    // what it hides would have to be shown again
                    if base.tag(old) == tag::WHITEOUT {
                        return None;
                    }
                    compared.gone.push(path);
                    covered = Some(path);
                }
                old += 1;
            }
        }
    }
    let linked = |at: usize| match &entries[at].kind {
        Kind::File { link, .. } => link.as_deref(),
        _ => None,
    };
    broken.extend(compared.own.iter().filter_map(|at| linked(*at)));
    let Compared { own, same, .. } = &mut compared;
    same.retain(|(at, _)| {
        let is_broken = linked(*at).is_some_and(|first| broken.contains(first));
        if is_broken {
            own.insert(*at);
        }
        !is_broken
    });
    Some(compared)
}

/// Adds the directories around what is written.
fn add_parents(entries: &[Entry], own: &mut BTreeSet<usize>, gone: &[&[u8]]) {
    let find = |path: &[u8]| entries.binary_search_by(|e| path_cmp(&e.path, path)).ok();
    let add = |own: &mut BTreeSet<usize>, path: &[u8]| {
        let mut dir = split(path).0;
        while !dir.is_empty() {
            if !find(dir).is_some_and(|at| own.insert(at)) {
                break;
            }
            dir = split(dir).0;
        }
    };
    let listed: Vec<usize> = own.iter().copied().collect();
    for at in listed {
        add(own, &entries[at].path);
    }
    for path in gone {
        add(own, path);
    }
}
