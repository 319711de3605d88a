//! A context as a tree to select from.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use rayon::prelude::*;
use solver::ContentDigest;
use solver::pattern::Matched;

use super::listing::{Digested, Listing, Node, NodeKind, NodeStat};
use super::{Context, ContextError};
use crate::disk::{self, ReadFile};
use crate::layer::entry::{is_within, join, split};
use crate::layer::{Entry, Kind};
use crate::select::tree::{Inode, Tree};
use crate::select::{SelectError, SelectedEntry};
use crate::snapshot::resolve::Lookup;

/// Bytes of a file that are kept from its digesting to its copying, so that it is read once.
const KEEP_EACH: u64 = 64 << 10;
/// Of all files of a context together.
const KEEP_ALL: u64 = 128 << 20;

/// A name that a walk came by.
pub(crate) struct Item {
    path: Vec<u8>,
    /// The directory it is in, and its position there; none for the context's own directory.
    place: Option<(Arc<Listing>, usize)>,
}

impl Item {
    fn node(&self) -> Option<&Node> {
        self.place
            .as_ref()
            .map(|(listing, at)| &listing.children[*at])
    }

    fn is_dir(&self) -> bool {
        self.node().is_none_or(|node| node.kind == NodeKind::Dir)
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
    fn find(&self, path: &[u8]) -> Result<Option<Item>, ContextError> {
        if path.is_empty() {
            return Ok(Some(Item {
                path: Vec::new(),
                place: None,
            }));
        }
        let (dir, name) = split(path);
        let Some(listing) = self.find_dir(dir)? else {
            return Ok(None);
        };
        let at = listing
            .children
            .binary_search_by(|node| node.name.as_slice().cmp(name));
        Ok(at.ok().map(|at| Item {
            path: path.to_vec(),
            place: Some((listing, at)),
        }))
    }

    /// Reads the directories of a subtree, those of a level side by side.
    fn read_dirs(
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
                    dirs.map(move |node| (join(dir, &node.name), listing))
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
    fn digest(&self, path: &[u8], node: &Node) -> Result<Digested, ContextError> {
        if let Some(known) = node.digest.get() {
            return Ok(*known);
        }
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
        Ok(*node.digest.get_or_init(|| {
            self.keep(node, bytes);
            Digested {
                content,
                size,
                lasting,
            }
        }))
    }

    /// How many bytes of a file may be kept in memory for who copies it.
    fn may_keep(&self, size: u64) -> usize {
        let fits =
            size <= KEEP_EACH && self.kept.load(Ordering::Relaxed).saturating_add(size) <= KEEP_ALL;
        if fits { KEEP_EACH as usize } else { 0 }
    }

    fn keep(&self, node: &Node, bytes: Option<Box<[u8]>>) {
        if let Some(bytes) = bytes {
            self.kept.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            *node.bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        }
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
        let Some(node) = listing.child(name) else {
            return Ok(None);
        };
        // Of a file that was looked at again since, other bytes may be there.
        let is_same = matches!(
            (&selected.entry.kind, node.digest.get()),
            (Kind::File { size, content, .. }, Some(digested))
                if (*content, *size) == (digested.content, digested.size)
        );
        if !is_same {
            return Ok(None);
        }
        let taken = node
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(bytes) = &taken {
            let less = |kept: u64| Some(kept.saturating_sub(bytes.len() as u64));
            let _ = self
                .kept
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        Ok(taken)
    }

    fn entry(&self, item: Item) -> Result<(Entry, Option<Inode>), ContextError> {
        let Item { path, place } = item;
        let node = place.as_ref().map(|(listing, at)| &listing.children[*at]);
        let Some(node) = node else {
            let stat = self.root.dir().and_then(|dir| Ok(rustix::fs::fstat(dir)?));
            let stat = stat.map_err(ContextError::io("read", self.root.path()))?;
            let entry = Entry {
                mtime: disk::mtime(&stat),
                ..Entry::dir("", disk::mode(&stat))
            };
            return Ok((entry, None));
        };
        let kind = match &node.kind {
            NodeKind::Dir => Kind::Dir { opaque: false },
            NodeKind::File => {
                let digested = self.digest(&path, node)?;
                Kind::File {
                    size: digested.size,
                    content: digested.content,
                    link: None,
                }
            }
            // as the reference writes them
            NodeKind::Socket => Kind::File {
                size: 0,
                content: ContentDigest::of(b""),
                link: None,
            },
            NodeKind::Symlink(target) => Kind::Symlink {
                target: target.clone(),
            },
            NodeKind::CharDevice(major, minor) => Kind::CharDevice {
                major: *major,
                minor: *minor,
            },
            NodeKind::BlockDevice(major, minor) => Kind::BlockDevice {
                major: *major,
                minor: *minor,
            },
            NodeKind::Fifo => Kind::Fifo,
        };
        let is_linked = node.stat.linked && node.kind == NodeKind::File;
        let inode = is_linked.then(|| (node.stat.device, node.stat.inode.to_le_bytes().to_vec()));
        let mode = if matches!(kind, Kind::Symlink { .. }) {
            0o777
        } else {
            node.stat.mode
        };
        let entry = Entry {
            mtime: node.stat.mtime,
            ..Entry::new(path, kind, mode)
        };
        Ok((entry, inode))
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

impl Tree for Context {
    type Item = Item;

    fn walk(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Vec<Item>, SelectError> {
        let Some(root) = self.find(path)? else {
            return Ok(Vec::new());
        };
        if !root.is_dir() {
            return Ok(vec![root]);
        }
        let dirs = if enter(path) {
            self.read_dirs(path, enter)?
        } else {
            HashMap::new()
        };
        let mut items = vec![root];
        // directories that are there only if something in them is, around the one looked at
        let mut waiting: Vec<Item> = Vec::new();
        let mut stack: Vec<(Vec<u8>, Arc<Listing>, usize)> = Vec::new();
        if let Some(listing) = dirs.get(path) {
            stack.push((path.to_vec(), Arc::clone(listing), 0));
        }
        while let Some((dir, listing, next)) = stack.last_mut() {
            let at = *next;
            *next += 1;
            let Some(node) = listing.children.get(at) else {
                stack.pop();
                continue;
            };
            let item = Item {
                path: join(dir, &node.name),
                place: Some((Arc::clone(listing), at)),
            };
            let is_dir = item.is_dir();
            let excluded = node.excluded;
            while waiting
                .last()
                .is_some_and(|dir| !is_within(&item.path, &dir.path))
            {
                waiting.pop();
            }
            let inside = is_dir.then(|| dirs.get(&item.path)).flatten();
            if let Some(inside) = inside {
                stack.push((item.path.clone(), Arc::clone(inside), 0));
            }
            if excluded {
                waiting.push(item);
            } else {
                items.append(&mut waiting);
                items.push(item);
            }
        }
        Ok(items)
    }

    fn path<'i>(&self, item: &'i Item) -> &'i [u8] {
        &item.path
    }

    fn is_dir(&self, item: &Item) -> bool {
        item.is_dir()
    }

    fn read(&self, items: Vec<Item>) -> Result<Vec<(Entry, Option<Inode>)>, SelectError> {
        let read: Result<Vec<_>, ContextError> = items
            .into_par_iter()
            .with_min_len(32)
            .map(|item| self.entry(item))
            .collect();
        Ok(read?)
    }

    fn not_found(&self, path: &str) -> SelectError {
        let patterns = self.options.filter.patterns();
        let rule = patterns
            .deciding(path)
            .last()
            .filter(|_| patterns.matches_or_parent(path));
        let exists = || {
            let dir = self.root.dir().ok()?;
            let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW;
            disk::open_beneath(dir, path.as_bytes(), flags).ok()
        };
        match rule {
            Some(rule) if exists().is_some() => SelectError::Ignored {
                path: path.to_owned(),
                rule: self.options.filter.rule(rule),
            },
            _ => SelectError::NotFound {
                path: path.to_owned(),
            },
        }
    }
}
