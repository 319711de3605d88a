//! `--exclude` and the patterns of `--parents`, over a walk. Reads nothing.

use solver::pattern::{Matched, PatternList};

use super::relative;
use super::tree::Tree;
use crate::layer::entry::is_within;

/// A directory around the item looked at.
struct Around {
    path: Vec<u8>,
    position: usize,
    included: Option<Matched>,
    excluded: Matched,
}

/// Keeps what is included and not excluded, and the directories around it. The root of the walk
/// stays always.
pub(super) fn choose<T: Tree>(
    tree: &T,
    items: Vec<T::Item>,
    base: &[u8],
    include: Option<&PatternList>,
    exclude: &PatternList,
) -> Vec<T::Item> {
    if include.is_none() && exclude.is_empty() {
        return items;
    }
    let mut around: Vec<Around> = Vec::new();
    let mut keep = vec![false; items.len()];
    for (position, item) in items.iter().enumerate() {
        let path = tree.path(item);
        while around.last().is_some_and(|dir| !is_within(path, &dir.path)) {
            around.pop();
        }
        let name = relative(path, base);
        let parent = around.last();
        let included =
            include.map(
                |list| match parent.and_then(|parent| parent.included.as_ref()) {
                    Some(parent) => list.enter(parent, name),
                    None => list.root(),
                },
            );
        let excluded = match parent {
            Some(parent) => exclude.enter(&parent.excluded, name),
            None => exclude.root(),
        };
        let is_root = position == 0;
        if is_root || included.as_ref().is_none_or(Matched::excluded) && !excluded.excluded() {
            keep[position] = true;
            for dir in around.iter().rev() {
                if std::mem::replace(&mut keep[dir.position], true) {
                    break;
                }
            }
        }
        if tree.is_dir(item) {
            around.push(Around {
                path: path.to_vec(),
                position,
                included,
                excluded,
            });
        }
    }
    let mut keep = keep.into_iter();
    items
        .into_iter()
        .filter(|_| keep.next() == Some(true))
        .collect()
}
