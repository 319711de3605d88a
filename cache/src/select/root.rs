//! One source path of a selection, chosen and not yet copied: its digest needs no entry of its own for
//! each file, and most builds need no more than that.

use std::collections::HashMap;

use solver::digest::Encoder;

use super::choose::choose;
use super::tree::{Inode, Tree, Walk, shown};
use super::{Lists, SelectError, SelectedEntry, SelectedRoot, relative};
use crate::layer::entry::split;
use crate::layer::{Entry, Kind};
use crate::snapshot::resolve::resolve;

/// What a source path led to.
pub(super) struct Root<'t, T: Tree> {
    tree: &'t T,
    /// As [`SelectedRoot::name`].
    pub name: Vec<u8>,
    pub is_dir: bool,
    /// The path, links followed.
    base: Vec<u8>,
    walk: T::Walk,
    /// Positions of the walk.
    chosen: Vec<usize>,
    /// Of files that are the same inode, by position: the relative path of the first.
    links: HashMap<usize, Vec<u8>>,
}

impl<'t, T: Tree> Root<'t, T>
where
    SelectError: From<T::Error>,
{
    /// Looks at one source: follows links, chooses, and reads what is not known.
    pub fn find(tree: &'t T, source: &[u8], lists: &Lists) -> Result<Self, SelectError> {
        let (base, found) = resolve(tree, source, true)?;
        if found.is_none() {
            return Err(tree.not_found(&shown(source)));
        }
        let enter = |dir: &[u8]| {
            let dir = relative(dir, &base);
            dir.is_empty() || lists.exclude.has_negations() || !lists.exclude.matches_or_parent(dir)
        };
        let walk = tree.walk(&base, &enter)?;
        let chosen = choose(&walk, &base, lists.include.as_ref(), &lists.exclude);
        if source.is_empty() && (lists.include.is_some() || !lists.exclude.is_empty()) {
            must_lead(tree, &walk, &chosen)?;
        }
        tree.read(&walk, &chosen)?;
        Ok(Self {
            tree,
            name: split(source).1.to_vec(),
            is_dir: walk.len() > 0 && walk.is_dir(0),
            links: links(&walk, &chosen, &base),
            base,
            walk,
            chosen,
        })
    }

    /// Calls `see` with the whole path and the entry of each that is chosen, the entry's path being
    /// relative to the base.
    fn each(&self, mut see: impl FnMut(&[u8], &Entry)) -> Result<(), SelectError> {
        let mut entry = Entry::dir("", 0);
        let mut source = Vec::new();
        for at in &self.chosen {
            self.tree.entry(&self.walk, *at, &mut entry)?;
            source.clear();
            source.extend_from_slice(&entry.path);
            let cut = source.len() - relative(&source, &self.base).len();
            entry.path.drain(..cut);
            if let Kind::File { link, .. } = &mut entry.kind {
                *link = self.links.get(at).cloned();
            }
            see(&source, &entry);
        }
        Ok(())
    }

    /// Adds everything about what is chosen that a step can see. The name of a directory that gives
    /// its contents is not part of it, nor that of a mount's source, which is not `named`.
    pub fn encode(&self, encoder: &mut Encoder, named: bool) -> Result<(), SelectError> {
        encoder.field(if self.is_dir { b"dir" } else { b"file" });
        let named = named && !self.is_dir;
        encoder.field(if named { &self.name } else { b"" });
        encoder.number(self.chosen.len() as u64);
        let mut buffer = Vec::new();
        self.each(|_, entry| {
            buffer.clear();
            crate::layer::change::encode(&mut buffer, entry, false);
            encoder.field(&buffer);
        })
    }

    /// The entries, for who copies them.
    pub fn select(self) -> Result<SelectedRoot, SelectError> {
        let mut entries = Vec::with_capacity(self.chosen.len());
        self.each(|source, entry| {
            entries.push(SelectedEntry {
                source: source.to_vec(),
                entry: entry.clone(),
            });
        })?;
        Ok(SelectedRoot {
            name: self.name,
            is_dir: self.is_dir,
            entries,
        })
    }
}

/// Which of the chosen are the same inode as another of them, with the relative path of the first.
fn links(walk: &impl Walk, chosen: &[usize], base: &[u8]) -> HashMap<usize, Vec<u8>> {
    let mut firsts = HashMap::<Inode, usize>::new();
    let mut links = HashMap::new();
    let mut buffer = Vec::new();
    for at in chosen {
        let Some(inode) = walk.inode(*at) else {
            continue;
        };
        let first = *firsts.entry(inode).or_insert(*at);
        if first != *at {
            let name = relative(walk.path(first, &mut buffer), base);
            links.insert(*at, name.to_vec());
            links.entry(first).or_insert_with(|| name.to_vec());
        }
    }
    links
}

/// Refuses links that lead nowhere among what is chosen of a whole tree: as with what a wildcard
/// finds, the reference's key is made of what is behind the uppermost ones.
fn must_lead<T: Tree>(tree: &T, walk: &T::Walk, chosen: &[usize]) -> Result<(), SelectError>
where
    SelectError: From<T::Error>,
{
    let mut buffer = Vec::new();
    for at in chosen {
        let path = walk.path(*at, &mut buffer);
        if !path.is_empty() && !path.contains(&b'/') && resolve(tree, path, true)?.1.is_none() {
            return Err(tree.not_found(&shown(path)));
        }
    }
    Ok(())
}
