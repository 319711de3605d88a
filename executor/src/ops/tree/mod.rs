//! A layer that a step writes, seen on top of what is below it.
//!
//! First everything is decided in memory, by path; then [`Tree::commit`] writes what remains, in
//! parallel. So a file that a later source replaces is never written, and no path that was
//! resolved can have changed before it is used. Knows no instruction and no archive.

mod fill;
mod resolve;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use cache::layer::entry::{is_within, join, path_cmp, split};
use cache::{
    Context, Entry, Kind, Layer, NewLayer, Origin, SelectedEntry, TimeRule, Timestamp, View,
};

use super::error::OpError;
use super::owner::Owner;

pub use fill::copy_bytes;

/// Where the bytes of a regular file come from.
#[derive(Clone)]
pub enum Content {
    /// There are none: not a regular file, or an empty one.
    Nothing,
    /// From the source as it stands.
    Bytes(Arc<[u8]>),
    /// From a file of a snapshot.
    View(Arc<View>, Vec<u8>),
    /// From a file of a context, which is checked while it is copied.
    Context(Arc<Context>, Arc<SelectedEntry>),
    /// From a file written already, which is moved into place.
    Spool(PathBuf),
}

/// Names the files of one tree that are the same inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(usize);

/// Where the bytes of a tree's files come from, by path.
type Contents = HashMap<Vec<u8>, Content>;

struct Node {
    entry: Entry,
    content: Content,
    inode: Option<Inode>,
}

/// How directories are made that a destination needs.
#[derive(Debug, Clone, Copy)]
pub struct Making {
    /// Their mode.
    pub mode: u32,
    /// Their owner.
    pub owner: Owner,
    /// Their modification time, and how it counts.
    pub mtime: (Timestamp, TimeRule),
}

/// A layer in the making, by path. Paths have no leading `/`; the empty one is the root.
pub struct Tree {
    below: Arc<View>,
    layer: NewLayer,
    nodes: BTreeMap<Vec<u8>, Node>,
    inodes: usize,
    spooled: usize,
}

impl Tree {
    /// An empty layer on top of `below`.
    pub fn new(below: Arc<View>, layer: NewLayer) -> Self {
        Self {
            below,
            layer,
            nodes: BTreeMap::new(),
            inodes: 0,
            spooled: 0,
        }
    }

    /// The entry at exactly `path`, of this layer or below it.
    pub fn get(&self, path: &[u8]) -> Option<Entry> {
        if let Some(node) = self.nodes.get(path) {
            return (node.entry.kind != Kind::Whiteout).then(|| node.entry.clone());
        }
        let mut parent = path;
        while !parent.is_empty() {
            parent = split(parent).0;
            match self.nodes.get(parent).map(|node| &node.entry.kind) {
                Some(Kind::Dir { opaque: false }) | None => {}
                Some(_) => return None,
            }
        }
        self.below.get(path)
    }

    /// A name for an inode that several paths of this layer will share.
    pub fn new_inode(&mut self) -> Inode {
        self.inodes += 1;
        Inode(self.inodes)
    }

    /// The inode of the file at `path` of this layer; it can then be given to other paths.
    pub fn inode_of(&mut self, path: &[u8]) -> Option<(Inode, Entry, Content)> {
        let fresh = Inode(self.inodes + 1);
        let node = self.nodes.get_mut(path)?;
        let inode = *node.inode.get_or_insert(fresh);
        let found = (inode, node.entry.clone(), node.content.clone());
        self.inodes += usize::from(inode == fresh);
        Some(found)
    }

    /// Puts an entry at its own path, which was resolved; what was there is replaced, whatever it
    /// is. The parent must be there.
    pub fn put(
        &mut self,
        mut entry: Entry,
        content: Content,
        inode: Option<Inode>,
    ) -> Result<(), OpError> {
        self.adopt_parents(&entry.path)?;
        if let Kind::Dir { opaque } = &mut entry.kind {
            // Where something else had replaced a directory, what was in that must not come back.
            let marked = self.nodes.get(&entry.path).map(|node| &node.entry.kind);
            *opaque = match marked {
                Some(Kind::Dir { opaque }) => *opaque,
                Some(_) => self
                    .below
                    .get(&entry.path)
                    .is_some_and(|below| below.is_dir()),
                None => false,
            };
        } else if self
            .nodes
            .get(&entry.path)
            .is_some_and(|node| node.entry.is_dir())
        {
            self.forget_within(&entry.path);
        }
        self.nodes.insert(
            entry.path.clone(),
            Node {
                entry,
                content,
                inode,
            },
        );
        Ok(())
    }

    /// Makes the directory at `path` and all that are missing above it; links in the path are
    /// followed, the last one too. Existing ones stay as they are. Gives the path without links.
    pub fn make_dirs(&mut self, path: &[u8], making: Making) -> Result<Vec<u8>, OpError> {
        let real = match self.resolve(path, true)? {
            cache::Resolved::Entry(entry) if entry.is_dir() => return Ok(entry.path),
            cache::Resolved::Entry(entry) => return Err(not_a_directory(&entry.path)),
            cache::Resolved::Missing(path) => path,
        };
        let ends = real
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at)
            .chain([real.len()]);
        for end in ends {
            let path = &real[..end];
            match self.get(path) {
                Some(entry) if entry.is_dir() => {}
                Some(_) => return Err(not_a_directory(path)),
                None => self.put(making.entry(path), Content::Nothing, None)?,
            }
        }
        Ok(real)
    }

    /// The bytes of the regular file at `path` of what is below this layer.
    pub fn content_below(&self, path: &[u8]) -> Content {
        Content::View(Arc::clone(&self.below), path.to_vec())
    }

    /// The time by the clock of the layer's file system.
    pub fn now(&self) -> Result<Timestamp, OpError> {
        Ok(self.layer.now()?)
    }

    /// Where a file can be written before it has a path: moved into place by [`Content::Spool`].
    pub fn spool_path(&mut self) -> PathBuf {
        self.spooled += 1;
        self.layer.work.join(format!("spool-{}", self.spooled))
    }

    /// Writes the layer and commits it: whole, or where `origin` made nearly the same before, the
    /// difference.
    pub fn commit(mut self, origin: Option<Origin>) -> Result<Layer, OpError> {
        self.join_inodes();
        let (entries, contents) = apart(self.nodes);
        let mut planned = self.layer.plan(&self.below, entries, origin)?;
        write::write(self.layer.dir(), planned.to_write(), &contents)?;
        Ok(self.layer.commit_planned(planned)?)
    }

    /// Writes the files into the empty directory `dir`, which is not the layer's, and commits nothing.
    pub fn write_into(mut self, dir: BorrowedFd<'_>) -> Result<(), OpError> {
        self.join_inodes();
        let (mut entries, contents) = apart(self.nodes);
        entries.sort_by(|a, b| path_cmp(&a.path, &b.path));
        write::write(dir, &mut entries, &contents)
    }

    /// Brings the directories above `path` into the layer, with what they are below.
    fn adopt_parents(&mut self, path: &[u8]) -> Result<(), OpError> {
        let mut parent = split(path).0;
        let mut missing = Vec::new();
        while !parent.is_empty() && !self.nodes.contains_key(parent) {
            missing.push(parent);
            parent = split(parent).0;
        }
        if !parent.is_empty()
            && !self
                .nodes
                .get(parent)
                .is_some_and(|node| node.entry.is_dir())
        {
            return Err(not_a_directory(parent));
        }
        for path in missing.into_iter().rev() {
            match self.get(path) {
                Some(mut entry) if entry.is_dir() => {
                    entry.kind = Kind::Dir { opaque: false };
                    self.nodes.insert(
                        path.to_vec(),
                        Node {
                            entry,
                            content: Content::Nothing,
                            inode: None,
                        },
                    );
                }
                _ => return Err(not_a_directory(path)),
            }
        }
        Ok(())
    }

    /// Takes what is in the directory at `path` out of the layer.
    fn forget_within(&mut self, path: &[u8]) {
        let first = join(path, b"\0");
        let gone: Vec<Vec<u8>> = self
            .nodes
            .range(first..)
            .map(|(path, _)| path)
            .take_while(|inside| is_within(inside, path))
            .cloned()
            .collect();
        for path in gone {
            self.nodes.remove(&path);
        }
    }

    /// Names each hard-linked group by its first path, as an index wants it.
    fn join_inodes(&mut self) {
        let mut groups: BTreeMap<Inode, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, node) in &self.nodes {
            if let Some(inode) = node.inode {
                groups.entry(inode).or_default().push(path.clone());
            }
        }
        for mut paths in groups.into_values() {
            paths.sort_by(|a, b| path_cmp(a, b));
            let first = (paths.len() > 1).then(|| paths[0].clone());
            for path in paths {
                if let Some(node) = self.nodes.get_mut(&path)
                    && let Kind::File { link, .. } = &mut node.entry.kind
                {
                    link.clone_from(&first);
                }
            }
        }
    }
}

/// Entries, and where the bytes of each path come from.
fn apart(nodes: BTreeMap<Vec<u8>, Node>) -> (Vec<Entry>, Contents) {
    let mut entries = Vec::with_capacity(nodes.len());
    let contents = nodes
        .into_iter()
        .map(|(path, node)| {
            entries.push(node.entry);
            (path, node.content)
        })
        .collect();
    (entries, contents)
}

impl Making {
    fn entry(&self, path: &[u8]) -> Entry {
        Entry {
            uid: self.owner.uid,
            gid: self.owner.gid,
            mtime: self.mtime.0,
            time: self.mtime.1,
            ..Entry::dir(path, self.mode)
        }
    }
}

/// The error for a path that should be a directory.
pub fn not_a_directory(path: &[u8]) -> OpError {
    OpError::NotADirectory {
        path: String::from_utf8_lossy(path).into_owned(),
    }
}

/// The error for a directory in the place of a file.
pub fn is_a_directory(path: &[u8]) -> OpError {
    OpError::IsADirectory {
        path: String::from_utf8_lossy(path).into_owned(),
    }
}
