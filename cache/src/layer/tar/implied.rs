//! Directories that an archive has things in but does not have itself. In the tree below they are
//! directories with attributes of their own, or links to where things really go.

use std::collections::BTreeSet;

use super::unpack::{Unpacked, dir_attributes};
use crate::disk::Root;
use crate::layer::entry::{is_within, path_cmp, split};
use crate::layer::error::lossy;
use crate::layer::place::Place;
use crate::layer::{Entry, LayerError};
use crate::snapshot::{Resolved, View};
use crate::store::Xattrs;

/// Gives implied directories what they are in the tree `below`. True if there were none: then the
/// layer is the same on any tree.
pub(in crate::layer) fn settle_implied(
    root: &Root,
    xattrs: Xattrs,
    below: &View,
    unpacked: &mut Unpacked,
) -> Result<bool, LayerError> {
    if unpacked.implied.is_empty() {
        return Ok(true);
    }
    let mut implied = std::mem::take(&mut unpacked.implied);
    implied.sort_by(|a, b| path_cmp(a, b));
    let mut settling = Settling {
        root,
        place: Place::new(root, xattrs),
        entries: &mut unpacked.entries,
        touched: BTreeSet::new(),
    };
    let mut moved = None::<Vec<u8>>;
    for path in implied {
        if moved.as_ref().is_some_and(|moved| is_within(&path, moved)) {
            continue;
        }
        settling.touched.insert(path.clone());
        match below.get(&path) {
            Some(entry) if entry.is_dir() => settling.adopt(entry),
            Some(entry) if matches!(entry.kind, crate::layer::Kind::Symlink { .. }) => {
                if let Resolved::Entry(real) = below.resolve(&path, true)?
                    && real.is_dir()
                {
                    settling.relocate(below, &path, &real.path)?;
                    moved = Some(path);
                }
            }
            _ => {}
        }
    }
    let touched = settling.touched;
    for entry in unpacked
        .entries
        .iter_mut()
        .rev()
        .filter(|entry| entry.is_dir() && touched.contains(&entry.path))
    {
        dir_attributes(root, xattrs, entry).map_err(LayerError::io(
            "set the attributes of",
            root.join(&entry.path),
        ))?;
    }
    Ok(false)
}

struct Settling<'a> {
    root: &'a Root,
    place: Place<'a>,
    entries: &'a mut Vec<Entry>,
    /// Directories whose attributes must be set again.
    touched: BTreeSet<Vec<u8>>,
}

impl Settling<'_> {
    fn adopt(&mut self, below: Entry) {
        if let Some(entry) = self
            .entries
            .iter_mut()
            .find(|entry| entry.path == below.path)
        {
            let kind = entry.kind.clone();
            *entry = Entry { kind, ..below };
        }
    }

    /// Moves what is in the directory `from` of this layer to `to`, where it is seen.
    fn relocate(&mut self, below: &View, from: &[u8], to: &[u8]) -> Result<(), LayerError> {
        let mut ancestors: Vec<&[u8]> = vec![to];
        while let Some(dir) = ancestors
            .last()
            .map(|last| split(last).0)
            .filter(|dir| !dir.is_empty())
        {
            ancestors.push(dir);
        }
        for dir in ancestors.into_iter().rev() {
            let made = below.get(dir).unwrap_or_else(|| Entry::dir(dir, 0o755));
            self.place_dir(made)?;
        }
        let (inside, rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(self.entries)
            .into_iter()
            .partition(|entry| is_within(&entry.path, from));
        *self.entries = rest;
        for entry in inside.into_iter().filter(|entry| entry.path != from) {
            let path = [to, &entry.path[from.len()..]].concat();
            let old = entry.path.clone();
            let moved = Entry { path, ..entry };
            if moved.is_dir() {
                self.place_dir(moved)?;
                continue;
            }
            let fail = || LayerError::io("move", self.root.join(&old));
            let (dir, name) = self.place.parent(&old).map_err(fail())?;
            let dir = rustix::io::fcntl_dupfd_cloexec(dir, 0).map_err(|e| fail()(e.into()))?;
            let (new_dir, new_name) = self.place.parent(&moved.path).map_err(fail())?;
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(dir, &name, new_dir, &new_name, flags) {
                Err(rustix::io::Errno::EXIST) => {
                    return Err(LayerError::Path {
                        path: lossy(&old),
                        reason: "through a link of the image it is the same as another path of the layer",
                    });
                }
                renamed => renamed.map_err(|e| fail()(e.into()))?,
            }
            self.entries.push(moved);
        }
        self.place.forget();
        let whole = self.root.join(from);
        std::fs::remove_dir_all(&whole).map_err(LayerError::io("remove", whole))?;
        self.touched.insert(split(from).0.to_vec());
        self.entries.sort_by(|a, b| path_cmp(&a.path, &b.path));
        Ok(())
    }

    /// Makes a directory, or leaves the one that the layer has there.
    fn place_dir(&mut self, entry: Entry) -> Result<(), LayerError> {
        self.touched.insert(entry.path.clone());
        if self.entries.iter().any(|there| there.path == entry.path) {
            return Ok(());
        }
        self.place
            .dir(&entry)
            .map_err(LayerError::io("make", self.root.join(&entry.path)))?;
        self.entries.push(entry);
        Ok(())
    }
}
