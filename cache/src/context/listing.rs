//! What is in one directory of a context, as far as the ignore file lets it be seen.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rayon::prelude::*;
use rustix::fs::{FileType, OFlags, Stat};
use solver::ContentDigest;
use solver::pattern::Matched;

use super::known::KnownDir;
use super::{Context, ContextError};
use crate::disk::{self, Names};
use crate::layer::Timestamp;
use crate::layer::entry::join;

/// Names that one task looks at.
const NAMES: usize = 256;

/// One directory.
#[derive(Debug)]
pub(super) struct Listing {
    /// What its contents are told by the ignore file.
    pub told: Matched,
    /// What is in it, by name: what is not left out, and directories in which something may be let in again.
    pub children: Vec<Node>,
    names: Names,
    /// What was read of files for their digests, by position, until somebody copies it.
    read: Mutex<HashMap<usize, Box<[u8]>>>,
}

/// One name of a directory. There is one for each file of a context, so it is small; nothing in it
/// is allocated by itself but the target of a link.
#[derive(Debug)]
pub(super) struct Node {
    /// Position among the directory's names.
    name: u32,
    pub kind: NodeKind,
    pub stat: NodeStat,
    /// A directory that is only there if something in it is.
    pub excluded: bool,
    /// Of a regular file, once it is known.
    pub digest: OnceLock<Digested>,
}

/// What a regular file held when it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digested {
    pub content: ContentDigest,
    pub size: u64,
    /// Whether the node's stat would show if that changed.
    pub lasting: bool,
}

/// What a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NodeKind {
    Dir,
    File,
    Symlink(Box<[u8]>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Socket,
}

/// What says that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeStat {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Whether it has other names.
    pub linked: bool,
}

impl NodeStat {
    pub fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size as u64,
            mtime: disk::mtime(stat),
            ctime: disk::ctime(stat),
            mode: disk::mode(stat),
            uid: stat.st_uid,
            gid: stat.st_gid,
            linked: stat.st_nlink > 1,
        }
    }
}

impl Listing {
    /// What one of its children is called.
    pub fn name(&self, node: &Node) -> &[u8] {
        self.names.get(node.name as usize)
    }

    /// Where the child with this name is.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        let found = self
            .children
            .binary_search_by(|node| self.name(node).cmp(name));
        found.ok()
    }

    /// The child with this name.
    pub fn child(&self, name: &[u8]) -> Option<&Node> {
        Some(&self.children[self.position(name)?])
    }

    /// Keeps what was read of a child.
    pub fn keep(&self, at: usize, bytes: Box<[u8]>) {
        self.lock_read().insert(at, bytes);
    }

    /// Gives away what was read of a child.
    pub fn take(&self, at: usize) -> Option<Box<[u8]>> {
        self.lock_read().remove(&at)
    }

    fn lock_read(&self) -> MutexGuard<'_, HashMap<usize, Box<[u8]>>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// The directory at `path`, whose contents are told `told`, read once a build. None if it went away.
    pub(super) fn listing(
        &self,
        path: &[u8],
        told: &Matched,
    ) -> Result<Option<Arc<Listing>>, ContextError> {
        if let Some(listing) = self
            .listings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
        {
            return Ok(Some(Arc::clone(listing)));
        }
        let listing = match self.read_listing(path, told) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            listing => Arc::new(listing.map_err(ContextError::io("read", self.root.join(path)))?),
        };
        // of two that read it at the same time the first counts: a build sees a directory once
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::clone(
            listings.entry(path.to_vec()).or_insert(listing),
        )))
    }

    fn read_listing(&self, path: &[u8], told: &Matched) -> io::Result<Listing> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = disk::open_beneath(self.root.dir()?, path, flags)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.dir(path);
        let names = Names::read(dir.as_fd())?;
        let read = |at: Range<usize>| {
            let mut known = known;
            let mut children = Vec::with_capacity(at.len());
            for at in at {
                children.extend(self.read_node(
                    dir.as_fd(),
                    path,
                    (&names, at),
                    told,
                    &mut known,
                )?);
            }
            Ok(children)
        };
        let children: Vec<Node> = if names.len() < 2 * NAMES {
            read(0..names.len())?
        } else {
            let starts = (0..names.len().div_ceil(NAMES)).into_par_iter();
            let parts = starts.map(|part| read(part * NAMES..names.len().min((part + 1) * NAMES)));
            let parts: io::Result<Vec<Vec<Node>>> = parts.collect();
            parts?.into_iter().flatten().collect()
        };
        Ok(Listing {
            told: told.clone(),
            children,
            names,
            read: Mutex::default(),
        })
    }

    fn read_node(
        &self,
        dir: BorrowedFd<'_>,
        path: &[u8],
        (names, at): (&Names, usize),
        told: &Matched,
        known: &mut KnownDir<'_>,
    ) -> io::Result<Option<Node>> {
        let name = names.c_str(at);
        let patterns = self.options.filter.patterns();
        let whole;
        let excluded = if patterns.is_empty() {
            whole = Vec::new();
            false
        } else {
            whole = join(path, name.to_bytes());
            patterns.matches_in(told, &whole)
        };
        if excluded && !(patterns.has_negations() && patterns.may_include_below(&whole)) {
            return Ok(None);
        }
        let stat = match disk::stat(dir, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            stat => stat?,
        };
        let (major, minor) = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => NodeKind::Dir,
            _ if excluded => return Ok(None),
            FileType::RegularFile => NodeKind::File,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
                NodeKind::Symlink(target.into_bytes().into_boxed_slice())
            }
            FileType::CharacterDevice => NodeKind::CharDevice(major, minor),
            FileType::BlockDevice => NodeKind::BlockDevice(major, minor),
            FileType::Fifo => NodeKind::Fifo,
            _ => NodeKind::Socket,
        };
        let stat = NodeStat::of(&stat);
        let digest = OnceLock::new();
        if kind == NodeKind::File
            && stat.device == self.device
            && let Some(known) = known.digest(name.to_bytes(), &stat)
        {
            let _ = digest.set(Digested {
                content: known,
                size: stat.size,
                lasting: true,
            });
        }
        Ok(Some(Node {
            name: at as u32,
            kind,
            stat,
            excluded,
            digest,
        }))
    }
}
