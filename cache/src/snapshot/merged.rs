//! The merged tree of a stack, given away: as an archive, or as files in a directory of the user's.
//! Knows no platforms and no exporters.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use image::tar::{Time, Writer};
use rayon::prelude::*;

use super::destination::Destination;
use super::{Resolved, View};
use crate::layer::entry::join;
use crate::layer::tar::write::{BATCH, append_entry, header, read_small};
use crate::layer::{Entry, Kind, LayerError, LayerId, TarOptions, Timestamp};

/// A tree to be given away.
#[derive(Debug)]
pub struct MergedTree<'v> {
    view: &'v View,
    epoch: Option<i64>,
}

/// What could not be made in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Paths of device nodes that this process may not make.
    pub devices: Vec<Vec<u8>>,
}

impl<'v> MergedTree<'v> {
    /// The tree of `view`. With an `epoch`, in seconds since 1970, all its files are of that time.
    pub const fn new(view: &'v View, epoch: Option<i64>) -> Self {
        Self { view, epoch }
    }

    /// Writes it to an archive that may hold others, every path in the directory `prefix`. Owners
    /// are those in the image. `stopped` is asked now and then; once it says so, the archive is
    /// left as it is and `false` is the answer.
    pub fn write_tar<W: Write>(
        &self,
        tar: &mut Writer<W>,
        prefix: &[u8],
        stopped: &dyn Fn() -> bool,
    ) -> Result<bool, LayerError> {
        if !prefix.is_empty() {
            let root = self.at_epoch(Entry::dir(prefix, 0o755));
            let root = header(&root, TarOptions::default());
            tar.append(&root, &mut std::io::empty())?;
        }
        let mut entries = self.entries().peekable();
        while entries.peek().is_some() {
            if stopped() {
                return Ok(false);
            }
            let batch: Vec<(usize, Entry)> = entries.by_ref().take(BATCH).collect();
            let contents: Result<Vec<Option<Vec<u8>>>, LayerError> = batch
                .par_iter()
                .map(|(layer, entry)| read_small(&self.view.layers()[*layer], entry))
                .collect();
            for ((layer, entry), content) in batch.iter().zip(contents?) {
                let mut header = header(entry, TarOptions::default());
                header.path = join(prefix, &header.path);
                if let image::tar::Kind::HardLink { target } = &mut header.kind {
                    *target = join(prefix, target);
                }
                if let Some(seconds) = self.epoch {
                    header.mtime = Time { seconds, nanos: 0 };
                }
                append_entry(&self.view.layers()[*layer], tar, entry, &header, content)?;
            }
        }
        Ok(true)
    }

    /// Writes its files into the directory `dir`, which is there, as the caller's own: modes and
    /// times are kept, owners are not, and what is there under the same names is replaced. No link
    /// in `dir` is followed, not even one that is made meanwhile. `stopped` is asked now and then;
    /// once it says so, what was written stays.
    pub fn write_to(&self, dir: &Path, stopped: &dyn Fn() -> bool) -> Result<Skipped, LayerError> {
        let mut place = Destination::open(dir)?;
        for (number, (layer, entry)) in self.entries().enumerate() {
            if number % BATCH == 0 && stopped() {
                break;
            }
            place.put(&self.view.layers()[layer], self.at_epoch(entry))?;
        }
        place.finish()
    }

    /// Copies what is in the directory `path` (links in it are followed inside the tree) into the
    /// directory `dir`, which is there, with owners, modes and times, those of `path` itself
    /// included: a new volume. Nothing happens when `path` is no directory of the tree; whether it is
    /// one is the answer.
    pub fn fill_volume(&self, path: &[u8], dir: &Path) -> Result<bool, LayerError> {
        let Resolved::Entry(top) = self.view.resolve(path, true)? else {
            return Ok(false);
        };
        if !top.is_dir() {
            return Ok(false);
        }
        let mut place = Destination::open(dir)?.with_owners();
        let within = |path: &[u8]| path.get(top.path.len()..).map(<[u8]>::to_vec);
        let relative = |path: &[u8]| {
            within(path).map(|rest| rest.strip_prefix(b"/").map(<[u8]>::to_vec).unwrap_or(rest))
        };
        let mut firsts = HashMap::<(LayerId, Vec<u8>), Vec<u8>>::new();
        place.root(top.clone());
        for (layer, entry) in self.view.walk(&top.path) {
            let source = entry.path.clone();
            let Some(path) = relative(&source).filter(|path| !path.is_empty()) else {
                continue;
            };
            let layer = &self.view.layers()[layer];
            let mut entry = Entry { path, ..entry };
            if let Kind::File {
                link: Some(first), ..
            } = &mut entry.kind
            {
                let group = (layer.id.clone(), first.clone());
                first.clone_from(firsts.entry(group).or_insert_with(|| entry.path.clone()));
            }
            place.put_from(layer, entry, &source)?;
        }
        place.finish()?;
        Ok(true)
    }

    /// Paths of everything in it that is no directory, in order.
    pub fn leaves(&self) -> impl Iterator<Item = Vec<u8>> {
        self.entries()
            .filter(|(_, entry)| !entry.is_dir())
            .map(|(_, entry)| entry.path)
    }

    /// Its entries without the root, each with the layer it is in. Of hard links to one file the
    /// first that can be seen stands for the others: the first of the layer may be hidden.
    fn entries(&self) -> impl Iterator<Item = (usize, Entry)> {
        let mut firsts = HashMap::<(LayerId, Vec<u8>), Vec<u8>>::new();
        let layers = self.view.layers();
        self.view
            .walk(b"")
            .filter(|(_, entry)| !entry.path.is_empty())
            .map(move |(layer, mut entry)| {
                if let Kind::File {
                    link: Some(first), ..
                } = &mut entry.kind
                {
                    let group = (layers[layer].id.clone(), first.clone());
                    first.clone_from(firsts.entry(group).or_insert_with(|| entry.path.clone()));
                }
                (layer, entry)
            })
    }

    fn at_epoch(&self, entry: Entry) -> Entry {
        match self.epoch {
            Some(epoch) => Entry {
                mtime: Timestamp::seconds(epoch),
                ..entry
            },
            None => entry,
        }
    }
}

#[cfg(test)]
mod tests;
