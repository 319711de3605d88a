//! Selecting from a context: a walk over listings that refers to them and copies nothing.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use solver::ContentDigest;

use super::listing::{Listing, Node, NodeKind};
use super::{Context, ContextError};
use crate::disk;
use crate::layer::entry::{join_in, split};
use crate::layer::{Entry, Kind};
use crate::select::SelectError;
use crate::select::tree::{Inode, Tree, Walk};

/// What a walk came by.
#[derive(Default)]
pub(crate) struct Walked {
    dirs: Vec<(Vec<u8>, Arc<Listing>)>,
    found: Vec<Place>,
}

/// A child of one of the directories.
#[derive(Clone, Copy)]
struct Place {
    dir: u32,
    child: u32,
}

/// The context's own directory, which is in none.
const TOP: Place = Place {
    dir: u32::MAX,
    child: 0,
};

impl Walked {
    /// The directory that the one at `at` is in, and where there; none for the context's own.
    fn place(&self, at: usize) -> Option<(&[u8], &Listing, usize)> {
        let place = self.found[at];
        let (path, listing) = self.dirs.get(place.dir as usize)?;
        Some((path, listing, place.child as usize))
    }

    fn node(&self, at: usize) -> Option<&Node> {
        let (_, listing, child) = self.place(at)?;
        Some(&listing.children[child])
    }
}

impl Walk for Walked {
    fn len(&self) -> usize {
        self.found.len()
    }

    fn path<'p>(&'p self, at: usize, buffer: &'p mut Vec<u8>) -> &'p [u8] {
        match self.place(at) {
            Some((dir, listing, child)) => {
                join_in(buffer, dir, listing.name(&listing.children[child]));
            }
            None => buffer.clear(),
        }
        buffer
    }

    fn is_dir(&self, at: usize) -> bool {
        self.node(at).is_none_or(|node| node.kind == NodeKind::Dir)
    }

    fn inode(&self, at: usize) -> Option<Inode> {
        let node = self.node(at)?;
        let is_linked = node.stat.linked && node.kind == NodeKind::File;
        is_linked.then(|| (node.stat.device, node.stat.inode.to_le_bytes().to_vec()))
    }
}

impl Tree for Context {
    type Walk = Walked;

    fn walk(
        &self,
        path: &[u8],
        enter: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Walked, SelectError> {
        let mut walked = Walked::default();
        let Some(root) = self.find(path)? else {
            return Ok(walked);
        };
        match root.0 {
            None => walked.found.push(TOP),
            Some((listing, child)) => {
                let dir = split(path).0.to_vec();
                let is_dir = listing.children[child].kind == NodeKind::Dir;
                walked.dirs.push((dir, listing));
                walked.found.push(Place {
                    dir: 0,
                    child: child as u32,
                });
                if !is_dir {
                    return Ok(walked);
                }
            }
        }
        let mut read = if enter(path) {
            self.read_dirs(path, enter)?
        } else {
            HashMap::new()
        };
        // directories that are there only if something in them is, around the one looked at, each
        // with how deep it is
        let mut waiting: Vec<(usize, Place)> = Vec::new();
        // directories that the walk is in, and how far
        let mut stack: Vec<(u32, u32)> = Vec::new();
        let mut inside = path.to_vec();
        if let Some(listing) = read.remove(path) {
            stack.push((walked.enter(inside.clone(), listing), 0));
        }
        while let Some((dir, next)) = stack.last_mut() {
            let place = Place {
                dir: *dir,
                child: *next,
            };
            *next += 1;
            let depth = stack.len();
            let (path, listing) = &walked.dirs[place.dir as usize];
            let Some(node) = listing.children.get(place.child as usize) else {
                stack.pop();
                continue;
            };
            while waiting.last().is_some_and(|(outer, _)| *outer >= depth) {
                waiting.pop();
            }
            let (is_dir, excluded) = (node.kind == NodeKind::Dir, node.excluded);
            if is_dir {
                join_in(&mut inside, path, listing.name(node));
                if let Some(listing) = read.remove(&inside) {
                    stack.push((walked.enter(inside.clone(), listing), 0));
                }
            }
            if excluded {
                waiting.push((depth, place));
            } else {
                walked
                    .found
                    .extend(waiting.drain(..).map(|(_, place)| place));
                walked.found.push(place);
            }
        }
        Ok(walked)
    }

    fn read(&self, walked: &Walked, chosen: &[usize]) -> Result<(), SelectError> {
        let unknown = |at: &&usize| {
            let node = walked.node(**at);
            node.is_some_and(|node| node.kind == NodeKind::File && node.digest.get().is_none())
        };
        let unknown: Vec<&usize> = chosen.iter().filter(unknown).collect();
        let read: Result<(), ContextError> =
            unknown
                .into_par_iter()
                .with_min_len(32)
                .try_for_each(|at| match walked.place(*at) {
                    Some((_, listing, child)) => {
                        self.digest(walked.path(*at, &mut Vec::new()), listing, child)
                    }
                    None => Ok(()),
                });
        Ok(read?)
    }

    fn entry(&self, walked: &Walked, at: usize, entry: &mut Entry) -> Result<(), SelectError> {
        let mut path = std::mem::take(&mut entry.path);
        walked.path(at, &mut path);
        let Some(node) = walked.node(at) else {
            let stat = self.root.dir().and_then(|dir| Ok(rustix::fs::fstat(dir)?));
            let stat = stat.map_err(ContextError::io("read", self.root.path()))?;
            *entry = Entry {
                mtime: disk::mtime(&stat),
                ..Entry::dir(path, disk::mode(&stat))
            };
            return Ok(());
        };
        let (kind, mode) = (kind(node), node.stat.mode);
        let mode = if matches!(kind, Kind::Symlink { .. }) {
            0o777
        } else {
            mode
        };
        *entry = Entry {
            mtime: node.stat.mtime,
            ..Entry::new(path, kind, mode)
        };
        Ok(())
    }

    fn shows(&self, path: &[u8]) -> Result<bool, SelectError> {
        Ok(self.is_asked(path)?)
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

impl Walked {
    /// Takes a directory, and gives its position.
    fn enter(&mut self, path: Vec<u8>, listing: Arc<Listing>) -> u32 {
        self.dirs.push((path, listing));
        (self.dirs.len() - 1) as u32
    }
}

/// What a node is as COPY writes it.
fn kind(node: &Node) -> Kind {
    match &node.kind {
        NodeKind::Dir => Kind::Dir { opaque: false },
        NodeKind::File => {
            let digested = node.digest.get();
            let digested = digested.expect("a file is read before its entry is asked for");
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
            target: target.to_vec(),
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
    }
}
