//! What a selection is made from: snapshots and contexts, seen alike.

use crate::layer::error::lossy;
use crate::layer::{Entry, Kind};
use crate::select::SelectError;
use crate::snapshot::View;
use crate::snapshot::resolve::Lookup;

/// Names an inode among the files of one tree.
pub(crate) type Inode = (u64, Vec<u8>);

/// A tree to select from.
pub(crate) trait Tree: Lookup {
    /// What a walk came by.
    type Walk: Walk;

    /// What is at `path` and in it, parents first, in the order of an index. What is in a
    /// directory is only wanted if `enter` says so.
    fn walk(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Self::Walk, SelectError>;

    /// Makes sure that what the chosen of a walk hold is known.
    fn read(&self, walk: &Self::Walk, chosen: &[usize]) -> Result<(), SelectError>;

    /// Makes `entry` the one at a position of a walk, as COPY writes it, with its whole path, once
    /// it was [read](Self::read). What `entry` has allocated is used again.
    fn entry(&self, walk: &Self::Walk, at: usize, entry: &mut Entry) -> Result<(), SelectError>;

    /// Whether a pattern finds `path`, which is there: of a context, what no instruction asks for
    /// does not exist.
    fn shows(&self, path: &[u8]) -> Result<bool, SelectError> {
        let _ = path;
        Ok(true)
    }

    /// The error for a path that is not there.
    fn not_found(&self, path: &str) -> SelectError {
        SelectError::NotFound {
            path: path.to_owned(),
        }
    }
}

/// Names that a walk came by: it refers to them where the tree has them.
pub(crate) trait Walk {
    /// How many.
    fn len(&self) -> usize;

    /// Where one is; made in `buffer` if it is nowhere as a whole.
    fn path<'p>(&'p self, at: usize, buffer: &'p mut Vec<u8>) -> &'p [u8];

    /// Whether one is a directory.
    fn is_dir(&self, at: usize) -> bool;

    /// Which inode a file is that has more than one name.
    fn inode(&self, at: usize) -> Option<Inode>;
}

impl Tree for View {
    type Walk = Vec<(usize, Entry)>;

    fn walk(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Self::Walk, SelectError> {
        let mut items = Vec::new();
        let mut closed = None::<Vec<u8>>;
        let root = Entry::dir("", 0o755);
        let mut walk = self.walk(path).peekable();
        // the root is there even if no layer says so
        let implied =
            path.is_empty() && walk.peek().is_none_or(|(_, first)| !first.path.is_empty());
        for (layer, entry) in implied.then_some((0, root)).into_iter().chain(walk) {
            if let Some(dir) = &closed {
                if crate::layer::entry::is_within(&entry.path, dir) {
                    continue;
                }
                closed = None;
            }
            if entry.is_dir() && !enter(&entry.path) {
                closed = Some(entry.path.clone());
            }
            items.push((layer, entry));
        }
        Ok(items)
    }

    fn read(&self, _: &Self::Walk, _: &[usize]) -> Result<(), SelectError> {
        Ok(())
    }

    fn entry(&self, walk: &Self::Walk, at: usize, entry: &mut Entry) -> Result<(), SelectError> {
        let found = &walk[at].1;
        let mut path = std::mem::take(&mut entry.path);
        path.clear();
        path.extend_from_slice(&found.path);
        *entry = Entry {
            path,
            kind: found.kind.clone(),
            xattrs: found.xattrs.clone(),
            ..*found
        };
        Ok(())
    }
}

impl Walk for Vec<(usize, Entry)> {
    fn len(&self) -> usize {
        self.len()
    }

    fn path<'p>(&'p self, at: usize, _: &'p mut Vec<u8>) -> &'p [u8] {
        &self[at].1.path
    }

    fn is_dir(&self, at: usize) -> bool {
        self[at].1.is_dir()
    }

    fn inode(&self, at: usize) -> Option<Inode> {
        let (layer, entry) = &self[at];
        match &entry.kind {
            Kind::File {
                link: Some(first), ..
            } => Some((*layer as u64, first.clone())),
            _ => None,
        }
    }
}

/// A path of a selector, for messages: without a slash in front.
pub(super) fn shown(path: &[u8]) -> String {
    lossy(path.strip_prefix(b"/").unwrap_or(path))
}
