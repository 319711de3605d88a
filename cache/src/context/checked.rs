//! Files of a context while they are copied: nothing is recorded under a digest that was not true
//! of the copy.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use rustix::fs::FileType;
use solver::ContentDigest;

use super::listing::NodeStat;
use super::{Context, ContextError};
use crate::disk;
use crate::layer::Kind;
use crate::layer::entry::split;
use crate::select::SelectedEntry;

/// A file of a context that is being copied.
#[derive(Debug)]
pub struct Checked {
    /// To read from.
    pub file: File,
    path: PathBuf,
    size: u64,
    content: ContentDigest,
    /// What it was when its digest was made; none when a change would not show in it.
    expected: Option<NodeStat>,
}

impl Context {
    /// Opens the selected regular file for reading, to be [verified](Checked::verify) when it is
    /// copied. Never follows a link, never waits for a named pipe's other side.
    pub fn open_checked(&self, selected: &SelectedEntry) -> Result<Checked, ContextError> {
        let path = self.root.join(&selected.source);
        let Kind::File { size, content, .. } = selected.entry.kind else {
            return Err(ContextError::Changed { path });
        };
        let fail = |action| ContextError::io(action, &path);
        let opened = self
            .root
            .dir()
            .and_then(|dir| disk::open_file(dir, &selected.source));
        let file = match opened {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ContextError::Changed { path });
            }
            file => file.map_err(fail("open"))?,
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| fail("read")(e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(ContextError::Changed { path });
        }
        let (dir, name) = split(&selected.source);
        let stat = NodeStat::of(&stat);
        let listing = self.find_dir(dir)?;
        let node = listing.as_ref().and_then(|listing| listing.child(name));
        let lasting = node.is_some_and(|node| {
            node.stat == stat && node.digest.get().is_some_and(|digested| digested.lasting)
        });
        let expected = lasting.then_some(stat);
        Ok(Checked {
            file,
            path,
            size,
            content,
            expected,
        })
    }
}

impl Checked {
    /// Called when all was copied into `copy` (readable): makes sure that the file did not change
    /// meanwhile, and if that cannot be said, that the copy is what the key says.
    pub fn verify(self, copy: &File) -> Result<(), ContextError> {
        if self.is_unchanged()? {
            return Ok(());
        }
        let mut copy = copy;
        let fail = || ContextError::io("read the copy of", &self.path);
        copy.seek(SeekFrom::Start(0)).map_err(fail())?;
        let digested = disk::digest(copy, self.size).map_err(fail())?;
        self.compare(digested)
    }

    /// As [`verify`](Self::verify), for those who digested what they wrote: digest and size.
    pub fn verify_digest(self, content: ContentDigest, size: u64) -> Result<(), ContextError> {
        self.compare((content, size))
    }

    fn is_unchanged(&self) -> Result<bool, ContextError> {
        let Some(expected) = self.expected else {
            return Ok(false);
        };
        let stat = rustix::fs::fstat(&self.file)
            .map_err(|e| ContextError::io("read", &self.path)(e.into()))?;
        Ok(NodeStat::of(&stat) == expected)
    }

    fn compare(&self, found: (ContentDigest, u64)) -> Result<(), ContextError> {
        if found == (self.content, self.size) {
            Ok(())
        } else {
            Err(ContextError::Changed {
                path: self.path.clone(),
            })
        }
    }
}
