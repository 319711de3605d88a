//! Paths looked up component by component inside a root, for snapshots and contexts alike.

use std::collections::VecDeque;

use crate::layer::entry::{join, split};

/// More links than this are a loop (as in path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Something that has names.
pub(crate) trait Lookup {
    /// What is found.
    type Node;
    /// Why nothing could be looked up.
    type Error;

    /// What is at exactly `path`, if anything.
    fn at(&self, path: &[u8]) -> Result<Option<Self::Node>, Self::Error>;

    /// Where a link points; none if it is something else.
    fn target<'n>(&self, node: &'n Self::Node) -> Option<&'n [u8]>;

    /// The error for a path with too many links.
    fn too_many_links(&self, path: &[u8]) -> Self::Error;
}

/// A real path, and what is there.
pub(crate) type Led<T> = (Vec<u8>, Option<<T as Lookup>::Node>);

/// Where `path` leads: its real path, and what is there. Links lead anywhere inside the root and
/// never out of it; `..` of the root is the root; what is not there is passed through by name.
pub(crate) fn resolve<T: Lookup>(
    tree: &T,
    path: &[u8],
    follow_last: bool,
) -> Result<Led<T>, T::Error> {
    let mut rest: VecDeque<Vec<u8>> = components(path).collect();
    let mut links = 0;
    let mut here = Vec::new();
    let mut node = tree.at(&here)?;
    while let Some(name) = rest.pop_front() {
        if name == b".." {
            here.truncate(split(&here).0.len());
            node = tree.at(&here)?;
            continue;
        }
        let next = join(&here, &name);
        let found = tree.at(&next)?;
        let target = found.as_ref().and_then(|found| tree.target(found));
        match target {
            Some(target) if follow_last || !rest.is_empty() => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(tree.too_many_links(path));
                }
                if target.starts_with(b"/") {
                    here.clear();
                }
                for name in components(target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(name);
                }
                node = tree.at(&here)?;
            }
            _ => {
                here = next;
                node = found;
            }
        }
    }
    Ok((here, node))
}

fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
}
