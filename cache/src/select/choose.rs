//! `--exclude` and the patterns of `--parents`, over a walk. Reads nothing.

use solver::pattern::{Matched, PatternList};

use super::relative;
use super::tree::Walk;
use crate::layer::entry::is_within;

/// A directory around the item looked at.
struct Around {
    path: Vec<u8>,
    position: usize,
    included: Option<Matched>,
    excluded: Matched,
}

/// Positions of what is included and not excluded, and of the directories around it. The root of the
/// walk stays always.
pub(super) fn choose(
    walk: &impl Walk,
    base: &[u8],
    include: Option<&PatternList>,
    exclude: &PatternList,
) -> Vec<usize> {
    let all = 0..walk.len();
    if include.is_none() && exclude.is_empty() {
        return all.collect();
    }
    let mut around: Vec<Around> = Vec::new();
    let mut keep = vec![false; walk.len()];
    let mut buffer = Vec::new();
    for position in all.clone() {
        let path = walk.path(position, &mut buffer);
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
        if walk.is_dir(position) {
            around.push(Around {
                path: path.to_vec(),
                position,
                included,
                excluded,
            });
        }
    }
    all.filter(|position| keep[*position]).collect()
}
