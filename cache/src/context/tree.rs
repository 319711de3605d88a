//! A context as a tree to select from.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use solver::pattern::Matched;

use super::listing::{Digested, Listing, Node, NodeKind, NodeStat};
use super::{Context, ContextError};
use crate::disk::{self, ReadFile};
use crate::layer::Kind;
use crate::layer::entry::{join, split};
use crate::select::SelectedEntry;
use crate::snapshot::resolve::Lookup;

/// Bytes of a file that are kept from its digesting to its copying, so that it is read once.
const KEEP_EACH: u64 = 64 << 10;
/// Of all files of a context together.
const KEEP_ALL: u64 = 128 << 20;

/// Something that was looked up: the directory it is in, and its position there; none for the
/// context's own directory.
pub(crate) struct Item(pub(super) Option<(Arc<Listing>, usize)>);

impl Item {
    fn node(&self) -> Option<&Node> {
        let (listing, at) = self.0.as_ref()?;
        Some(&listing.children[*at])
    }
}

impl Context {
    /// The listing of the directory at `path`, and so of those around it.
    pub(super) fn find_dir(&self, path: &[u8]) -> Result<Option<Arc<Listing>>, ContextError> {
        let patterns = self.options.filter.patterns();
        let Some(mut listing) = self.listing(b"", &patterns.root())? else {
            return Ok(None);
        };
        let mut here = Vec::new();
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            match listing.child(name) {
                Some(node) if node.kind == NodeKind::Dir => {}
                _ => return Ok(None),
            }
            here = join(&here, name);
            let told = patterns.enter(&listing.told, &here);
            match self.listing(&here, &told)? {
                Some(next) => listing = next,
                None => return Ok(None),
            }
        }
        Ok(Some(listing))
    }

    /// What is at `path`, whether or not it is there only if something in it is.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Item>, ContextError> {
        if path.is_empty() {
            return Ok(Some(Item(None)));
        }
        let (dir, name) = split(path);
        let Some(listing) = self.find_dir(dir)? else {
            return Ok(None);
        };
        let at = listing.position(name);
        Ok(at.map(|at| Item(Some((listing, at)))))
    }

    /// Reads the directories of a subtree, those of a level side by side.
    pub(super) fn read_dirs(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<HashMap<Vec<u8>, Arc<Listing>>, ContextError> {
        let patterns = self.options.filter.patterns();
        let mut read = HashMap::new();
        let Some(listing) = self.find_dir(path)? else {
            return Ok(read);
        };
        let mut level: Vec<(Vec<u8>, Arc<Listing>)> = vec![(path.to_vec(), listing)];
        while !level.is_empty() {
            let next: Vec<(Vec<u8>, Matched)> = level
                .iter()
                .flat_map(|(dir, listing)| {
                    let dirs = listing
                        .children
                        .iter()
                        .filter(|node| node.kind == NodeKind::Dir);
                    dirs.map(move |node| (join(dir, listing.name(node)), listing))
                })
                .filter(|(path, _)| enter(path))
                .map(|(path, listing)| {
                    let told = patterns.enter(&listing.told, &path);
                    (path, told)
                })
                .collect();
            read.extend(level);
            let listings: Result<Vec<_>, ContextError> = next
                .into_par_iter()
                .map(|(path, told)| Ok((self.listing(&path, &told)?, path)))
                .collect();
            level = listings?
                .into_iter()
                .filter_map(|(listing, path)| listing.map(|listing| (path, listing)))
                .collect();
        }
        Ok(read)
    }

    /// What a regular file holds: known, or found by reading it now. A file that is written to
    /// meanwhile is what was read of it; whoever copies it finds out.
    pub(super) fn digest(
        &self,
        path: &[u8],
        listing: &Listing,
        at: usize,
    ) -> Result<(), ContextError> {
        let node = &listing.children[at];
        let whole: PathBuf = self.root.join(path);
        let fail = |action| ContextError::io(action, &whole);
        let file = self
            .root
            .dir()
            .and_then(|dir| disk::open_file(dir, path))
            .map_err(fail("open"))?;
        let keep = self.may_keep(node.stat.size);
        let read = disk::digest_keeping(&file, node.stat.size, keep).map_err(fail("read"))?;
        let ReadFile {
            content,
            size,
            bytes,
        } = read;
        let after = rustix::fs::fstat(&file).map_err(|e| fail("read")(e.into()))?;
        let lasting = NodeStat::of(&after) == node.stat
            && size == node.stat.size
            && node.stat.device == self.device
            && node.stat.ctime < self.settled;
        if lasting {
            self.learned.store(true, Ordering::Release);
        }
        node.digest.get_or_init(|| {
            if let Some(bytes) = bytes {
                self.kept.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                listing.keep(at, bytes);
            }
            Digested {
                content,
                size,
                lasting,
            }
        });
        Ok(())
    }

    /// How many bytes of a file may be kept in memory for who copies it.
    fn may_keep(&self, size: u64) -> usize {
        let fits =
            size <= KEEP_EACH && self.kept.load(Ordering::Relaxed).saturating_add(size) <= KEEP_ALL;
        if fits { KEEP_EACH as usize } else { 0 }
    }

    /// The bytes of a selected file as they were read for its digest, if they are still in memory;
    /// they are given away once.
    pub fn take_read(&self, selected: &SelectedEntry) -> Result<Option<Box<[u8]>>, ContextError> {
        if self.kept.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let (dir, name) = split(&selected.source);
        let Some(listing) = self.find_dir(dir)? else {
            return Ok(None);
        };
        let Some(at) = listing.position(name) else {
            return Ok(None);
        };
        // Of a file that was looked at again since, other bytes may be there.
        let is_same = matches!(
            (&selected.entry.kind, listing.children[at].digest.get()),
            (Kind::File { size, content, .. }, Some(digested))
                if (*content, *size) == (digested.content, digested.size)
        );
        if !is_same {
            return Ok(None);
        }
        let taken = listing.take(at);
        if let Some(bytes) = &taken {
            let less = |kept: u64| Some(kept.saturating_sub(bytes.len() as u64));
            let _ = self
                .kept
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        Ok(taken)
    }
}

impl Lookup for Context {
    type Node = Item;
    type Error = ContextError;

    fn at(&self, path: &[u8]) -> Result<Option<Item>, ContextError> {
        let found = self.find(path)?;
        // a directory that is left out is there if something in it is let in again
        match found {
            Some(item) if item.node().is_some_and(|node| node.excluded) => {
                let dirs = self.read_dirs(path, &|_| true)?;
                let mut nodes = dirs.values().flat_map(|listing| &listing.children);
                Ok(nodes.any(|node| !node.excluded).then_some(item))
            }
            found => Ok(found),
        }
    }

    fn target<'n>(&self, item: &'n Item) -> Option<&'n [u8]> {
        match &item.node()?.kind {
            NodeKind::Symlink(target) => Some(target),
            _ => None,
        }
    }

    fn too_many_links(&self, path: &[u8]) -> ContextError {
        ContextError::Links {
            path: self.root.join(path),
        }
    }
}
