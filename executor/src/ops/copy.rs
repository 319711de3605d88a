//! COPY and ADD: places selected files on a snapshot, without mounts.
//!
//! Where things go is decided here, as the reference decides it; which files a source selects is
//! the cache's business, and how they get to the disk is [`Tree`]'s.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use cache::layer::entry::{join, split};
use cache::{
    Context, Entry, Kind, Resolved, SelectedEntry, SelectedRoot, Snapshot, TimeRule, Timestamp,
    View,
};
use solver::digest::Encoder;
use solver::op::{CopyOp, CopySource, InlineFile, Op, Unpack};
use solver::{ContentDigest, Job};

use super::error::OpError;
use super::mode::Chmod;
use super::owner::{Owner, look_up};
use super::tree::{Content, Inode, Making, Tree, is_a_directory, not_a_directory};
use super::{Executor, input};
use crate::archive::{self, Archive};

/// The tree that a source's files come from.
#[derive(Clone)]
pub(super) enum Origin {
    /// A directory of the user's.
    Context(Arc<Context>),
    /// What a step left.
    View(Arc<View>),
}

impl Origin {
    /// A selected regular file for reading, and what a context's file must turn out to be.
    fn reader(
        &self,
        selected: &SelectedEntry,
    ) -> Result<Option<(File, Option<ContentDigest>)>, OpError> {
        let Kind::File { content, .. } = selected.entry.kind else {
            return Ok(None);
        };
        Ok(match self {
            Self::Context(context) => Some((context.open_checked(selected)?.file, Some(content))),
            Self::View(view) => view.open(&selected.source)?.map(|file| (file, None)),
        })
    }

    /// Where the bytes of a selected entry are.
    pub(super) fn content(&self, selected: &SelectedEntry) -> Content {
        match (&selected.entry.kind, self) {
            (Kind::File { size: 1.., .. }, Self::Context(context)) => {
                Content::Context(Arc::clone(context), Arc::new(selected.clone()))
            }
            (Kind::File { size: 1.., .. }, Self::View(view)) => {
                Content::View(Arc::clone(view), selected.source.clone())
            }
            _ => Content::Nothing,
        }
    }
}

/// Runs one COPY or ADD.
pub(super) fn run(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    op: &CopyOp,
) -> Result<Snapshot, OpError> {
    let below = input(job, 0)?;
    let view = Arc::new(executor.store().view(below)?);
    let empty = job
        .input_vertices
        .first()
        .is_some_and(|vertex| vertex.op == Op::Scratch);
    let owner = op
        .owner
        .as_deref()
        .map(|text| look_up(text, (!empty).then_some(&*view)))
        .transpose()?;
    let chmod = op.mode.as_ref().map(Chmod::parse).transpose()?;
    let layer = executor.store().new_layer()?;
    let time = match op.epoch {
        Some(epoch) => Timestamp::seconds(epoch),
        None => layer.now()?,
    };
    let mut placing = Placing {
        tree: Tree::new(view, layer),
        dest: op.dest.trim_start_matches('/').as_bytes().to_vec(),
        dest_is_dir: op.dest.ends_with('/'),
        making: Making {
            mode: chmod.as_ref().map_or(0o755, Chmod::of_made_dir),
            owner: owner.unwrap_or_default(),
            mtime: (time, TimeRule::Ignored),
        },
        owner,
        chmod,
    };
    let mut selections = job.selections.iter();
    for source in &op.sources {
        if job.cancel.is_cancelled() {
            return Err(OpError::Cancelled);
        }
        match source {
            CopySource::Inline(file) => placing.inline(file)?,
            CopySource::Files {
                input,
                selector,
                unpack,
            } => {
                let origin = executor.origin(job, *input)?;
                let selected = executor.selected(job, *input, selector)?;
                if selections.next() != Some(&selected.digest) {
                    executor.forget_selections();
                    return Err(OpError::SelectionChanged {
                        path: selector.path.clone(),
                    });
                }
                for root in &selected.roots {
                    placing.root(&origin, root, selector.parents, *unpack, job)?;
                }
            }
        }
    }
    let origin = origin_of(op, empty)?;
    let layer = placing.tree.commit(Some(origin)).inspect_err(|error| {
        if matches!(error, OpError::Context(_)) {
            executor.forget_selections();
        }
    })?;
    Ok(super::on_top(below, &layer))
}

/// Names the step, whatever it copies this time; a layer on nothing is not one on something.
fn origin_of(op: &CopyOp, empty: bool) -> Result<cache::Origin, OpError> {
    let op = serde_json::to_vec(op).map_err(|source| OpError::Encode { source })?;
    let mut encoder = Encoder::new("rbuild layer origin v1");
    encoder.field(&op);
    encoder.field(if empty { b"on nothing" } else { b"" });
    Ok(cache::Origin(encoder.finish()))
}

struct Placing {
    tree: Tree,
    /// Destination without a leading `/`.
    dest: Vec<u8>,
    /// Whether it was written as a directory.
    dest_is_dir: bool,
    /// How missing directories are made.
    making: Making,
    owner: Option<Owner>,
    chmod: Option<Chmod>,
}

impl Placing {
    /// One source path.
    fn root(
        &mut self,
        origin: &Origin,
        root: &SelectedRoot,
        parents: bool,
        unpack: Unpack,
        job: &Job<'_, Snapshot>,
    ) -> Result<(), OpError> {
        let mut inodes = HashMap::new();
        if parents {
            let dest = self.tree.make_dirs(&self.dest.clone(), self.making)?;
            // The selection brings the directories on the way, each like the source's own.
            let dest = join(&dest, &root.name);
            for selected in &root.entries {
                let path = join(&dest, selected.relative());
                self.place(origin, selected, path, &mut inodes, true)?;
            }
            return Ok(());
        }
        if root.is_dir {
            self.make_ensured()?;
            let dest = self.tree.make_dirs(&self.dest.clone(), self.making)?;
            for selected in root.entries.iter().filter(|s| !s.relative().is_empty()) {
                let path = join(&dest, selected.relative());
                self.place(origin, selected, path, &mut inodes, false)?;
            }
            return Ok(());
        }
        let Some(selected) = root.entries.first() else {
            return Ok(());
        };
        if unpack == Unpack::Archives
            && let Some((file, expected)) = origin.reader(selected)?
            && let Some(archive) = Archive::detect(file, expected, &root.name)?
        {
            // Neither the destination nor what is missing above it gets the mode of --chmod.
            let making = Making {
                mode: 0o755,
                ..self.making
            };
            let dest = self.tree.make_dirs(&self.dest.clone(), making)?;
            return archive::add(archive, &mut self.tree, &dest, self.owner, job.cancel);
        }
        let path = self.file_path(split(&root.name).1)?;
        self.place(origin, selected, path, &mut inodes, false)
    }

    /// A heredoc.
    fn inline(&mut self, file: &InlineFile) -> Result<(), OpError> {
        if file.name.contains('/') || file.name == "." {
            return Err(OpError::NoInlineDirectory {
                path: file.name.clone(),
            });
        }
        let bytes = file.data.as_bytes();
        let path = self.file_path(file.name.as_bytes())?;
        let entry = Entry {
            uid: self.making.owner.uid,
            gid: self.making.owner.gid,
            mtime: self.making.mtime.0,
            time: TimeRule::Ignored,
            ..Entry::file(
                path,
                self.mode(0o644, false),
                bytes.len() as u64,
                ContentDigest::of(bytes),
            )
        };
        self.put_file(entry, Content::Bytes(bytes.into()), None)
    }

    /// Where a single file goes: into the destination if that is a directory, else in its place.
    fn file_path(&mut self, name: &[u8]) -> Result<Vec<u8>, OpError> {
        self.make_ensured()?;
        let path = match self.tree.resolve(&self.dest, true)? {
            Resolved::Entry(entry) if entry.is_dir() => join(&entry.path, name),
            Resolved::Entry(entry) => entry.path,
            Resolved::Missing(path) => path,
        };
        // A dangling link may lead where there is not even a directory.
        self.tree.make_dirs(split(&path).0, self.making)?;
        Ok(path)
    }

    /// Makes what must be a directory by the way the destination is written: all of it before the
    /// last `/`.
    fn make_ensured(&mut self) -> Result<(), OpError> {
        let dir = if self.dest_is_dir {
            self.dest.clone()
        } else {
            split(&self.dest).0.to_vec()
        };
        self.tree.make_dirs(&dir, self.making).map(drop)
    }

    /// One file, directory or link of a source, at a path whose parent is there. `keep_dirs` says
    /// that directories which are there keep their attributes.
    fn place(
        &mut self,
        origin: &Origin,
        selected: &SelectedEntry,
        path: Vec<u8>,
        inodes: &mut HashMap<Vec<u8>, Inode>,
        keep_dirs: bool,
    ) -> Result<(), OpError> {
        let from = &selected.entry;
        let (uid, gid) = self.owned(from);
        let is_dir = from.is_dir();
        let mode = match from.kind {
            Kind::Symlink { .. } => from.mode,
            _ => self.mode(from.mode, is_dir),
        };
        let mut entry = Entry {
            path,
            uid,
            gid,
            mode,
            time: TimeRule::Ignored,
            placeholder: false,
            ..from.clone()
        };
        if is_dir {
            entry.kind = Kind::Dir { opaque: false };
            return match self.tree.get(&entry.path) {
                Some(there) if !there.is_dir() => Err(not_a_directory(&entry.path)),
                Some(_) if keep_dirs => Ok(()),
                _ => self.tree.put(entry, Content::Nothing, None),
            };
        }
        let inode = match &mut entry.kind {
            Kind::File { link, .. } => link
                .take()
                .map(|first| *inodes.entry(first).or_insert_with(|| self.tree.new_inode())),
            _ => None,
        };
        self.put_file(entry, origin.content(selected), inode)
    }

    fn put_file(
        &mut self,
        entry: Entry,
        content: Content,
        inode: Option<Inode>,
    ) -> Result<(), OpError> {
        if self
            .tree
            .get(&entry.path)
            .is_some_and(|there| there.is_dir())
        {
            return Err(is_a_directory(&entry.path));
        }
        self.tree.put(entry, content, inode)
    }

    fn owned(&self, entry: &Entry) -> (u32, u32) {
        self.owner
            .map_or((entry.uid, entry.gid), |owner| (owner.uid, owner.gid))
    }

    fn mode(&self, mode: u32, is_dir: bool) -> u32 {
        self.chmod
            .as_ref()
            .map_or(mode, |chmod| chmod.apply(mode, is_dir))
    }
}
