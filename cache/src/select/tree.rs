//! What a selection is made from: snapshots and contexts, seen alike.

use crate::layer::Entry;
use crate::layer::error::lossy;
use crate::select::SelectError;
use crate::snapshot::View;
use crate::snapshot::resolve::Lookup;

/// Names an inode among the files of one tree.
pub(crate) type Inode = (u64, Vec<u8>);

/// A tree to select from.
pub(crate) trait Tree: Lookup {
    /// Something found by a walk, not yet read.
    type Item;

    /// What is at `path` and in it, parents first, in the order of an index. What is in a
    /// directory is only wanted if `enter` says so.
    fn walk(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Vec<Self::Item>, SelectError>;

    /// Where an item is.
    fn path<'i>(&self, item: &'i Self::Item) -> &'i [u8];

    /// Whether an item is a directory.
    fn is_dir(&self, item: &Self::Item) -> bool;

    /// Reads items: their entries with content digests, as COPY writes them, and which inode each
    /// file is that has more than one name.
    fn read(&self, items: Vec<Self::Item>) -> Result<Vec<(Entry, Option<Inode>)>, SelectError>;

    /// The error for a path that is not there.
    fn not_found(&self, path: &str) -> SelectError {
        SelectError::NotFound {
            path: path.to_owned(),
        }
    }
}

impl Tree for View {
    type Item = (usize, Entry);

    fn walk(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Vec<Self::Item>, SelectError> {
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

    fn path<'i>(&self, item: &'i Self::Item) -> &'i [u8] {
        &item.1.path
    }

    fn is_dir(&self, item: &Self::Item) -> bool {
        item.1.is_dir()
    }

    fn read(&self, items: Vec<Self::Item>) -> Result<Vec<(Entry, Option<Inode>)>, SelectError> {
        Ok(items
            .into_iter()
            .map(|(layer, entry)| {
                let inode = match &entry.kind {
                    crate::layer::Kind::File {
                        link: Some(first), ..
                    } => Some((layer as u64, first.clone())),
                    _ => None,
                };
                (entry, inode)
            })
            .collect())
    }
}

/// A path of a selector, for messages: without a slash in front.
pub(super) fn shown(path: &[u8]) -> String {
    lossy(path.strip_prefix(b"/").unwrap_or(path))
}
