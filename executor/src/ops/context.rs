//! Contexts that are no directory of the user's: a repository, what is behind a URL, an archive.
//!
//! Each becomes a tree in the store before a plan is made, because its Dockerfile may be in it. The
//! files are those of ADD: the same downloads, checkouts and refusals, remembered by content.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use cache::{Kind, Snapshot, View};
use image::http::masked;
use solver::{Cancel, ContentDigest, Op, Output};

use super::error::OpError;
use super::tree::Tree;
use super::{Executor, git, http};
use crate::archive::{self, Archive};

/// Where remembered archives are among the store's memos.
const MEMOS: &str = "archive v1";
const BUFFER: usize = 128 << 10;

/// What a remote context turned out to be.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// Files: of a repository, or of an archive.
    Tree(Snapshot),
    /// One file that is no archive, under the op's name for it.
    File(Snapshot),
}

impl Executor {
    /// Fetches what a `Git` or `Http` op names; an archive is unpacked. What the snapshot is made of
    /// stays as long as this executor lives.
    pub fn fetch(&self, op: &Op, cancel: &Cancel) -> Result<Fetched, OpError> {
        match op {
            Op::Git(op) => git::snapshot(self, op, cancel).map(Fetched::Tree),
            Op::Http(op) => {
                let snapshot = http::snapshot(self, op, cancel)?;
                let view = self.store().view(&snapshot)?;
                let name = op.file_name.as_bytes();
                let content = match view.get(name).map(|entry| entry.kind) {
                    Some(Kind::File { content, .. }) => content,
                    _ => return Err(OpError::NothingToRun),
                };
                let unpacked = match view.open(name)? {
                    Some(file) => self.unpack(file, content, &masked(&op.url), cancel)?,
                    None => None,
                };
                Ok(unpacked.map_or(Fetched::File(snapshot), Fetched::Tree))
            }
            _ => Err(OpError::NothingToRun),
        }
    }

    /// The tree of an archive that can be read once; none for what is no archive. `name` is for
    /// messages.
    pub fn unpack_stream(
        &self,
        mut from: impl Read,
        name: &str,
        cancel: &Cancel,
    ) -> Result<Option<Snapshot>, OpError> {
        let staging = self.store().staging("context")?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(staging.path().join("archive"));
        let keep = |error| OpError::io("keep", name.as_bytes(), error);
        let mut file = file.map_err(keep)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            if cancel.is_cancelled() {
                return Err(OpError::Cancelled);
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(OpError::io("read", name.as_bytes(), error)),
            };
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(keep)?;
        }
        file.rewind().map_err(keep)?;
        let content = ContentDigest(*hasher.finalize().as_bytes());
        self.unpack(file, content, name, cancel)
    }

    /// The tree of an archive whose bytes have the digest `content`; none for what is no archive.
    /// `name` is for messages.
    fn unpack(
        &self,
        file: File,
        content: ContentDigest,
        name: &str,
        cancel: &Cancel,
    ) -> Result<Option<Snapshot>, OpError> {
        let question = blake3::Hash::from(content.0).to_hex();
        if let Some(known) = self.remembered(MEMOS, &question)? {
            return Ok(Some(known));
        }
        let Some(archive) = Archive::detect(file, Some(content), name.as_bytes())? else {
            return Ok(None);
        };
        let layer = self.store().new_layer()?;
        let mut tree = Tree::new(Arc::new(View::new(Vec::new())), layer);
        archive::add(archive, &mut tree, b"", None, cancel)?;
        let snapshot = super::on_top(&Snapshot::empty(), &tree.commit(None)?);
        self.remember(MEMOS, &question, &snapshot)?;
        Ok(Some(snapshot))
    }
}
