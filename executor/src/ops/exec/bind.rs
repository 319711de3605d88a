//! Bind mounts: files of a stage as they are, and of a context as a layer that was made of them.
//!
//! A step never sees the user's directory itself: what it reads is what its key was made of.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cache::layer::entry::join;
use cache::{Kind, LayerId, Selected, SelectedRoot, Snapshot, TimeRule, View};
use solver::op::Op;
use solver::selector::Purpose;
use solver::{Job, Selector, TreeDigest};

use crate::ops::copy::Origin;
use crate::ops::error::OpError;
use crate::ops::tree::{Content, Tree};
use crate::ops::{self, Executor};

/// Name of a mounted directory in the layer that was made of it.
const DIRECTORY: &[u8] = b"d";
/// Name of a mounted file there.
const FILE: &[u8] = b"f";

/// Layers made of selections of contexts, by what was selected; for one build.
#[derive(Default)]
pub struct ContextLayers(Mutex<HashMap<TreeDigest, (LayerId, bool)>>);

/// The layers (relative to the store) and the path in them that a bind mount shows.
pub fn layers(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    input: usize,
    source: &str,
    digest: Option<&TreeDigest>,
) -> Result<(Vec<PathBuf>, String), OpError> {
    let store = executor.store();
    let is_context = job
        .input_vertices
        .get(input)
        .is_some_and(|vertex| matches!(vertex.op, Op::Context(_)));
    if !is_context {
        let snapshot = ops::input(job, input)?;
        let lower = store.layer_dirs(&snapshot.layers)?;
        return Ok((lower, format!("/{}", source.trim_matches('/'))));
    }
    let (id, is_dir) = context_layer(executor, job, input, source, digest)?;
    let path = if is_dir { DIRECTORY } else { FILE };
    let path = format!("/{}", String::from_utf8_lossy(path));
    Ok((store.layer_dirs(&[id])?, path))
}

fn context_layer(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    input: usize,
    source: &str,
    digest: Option<&TreeDigest>,
) -> Result<(LayerId, bool), OpError> {
    let made = &executor.context_layers.0;
    // Under the lock on purpose: two steps that mount the same files wait for one copy of them.
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = digest.and_then(|digest| made.get(digest)) {
        return Ok(known.clone());
    }
    let selector = selector(source);
    let selected = executor.selected(job, input, &selector)?;
    if digest != Some(&selected.digest) {
        executor.forget_selections();
        return Err(OpError::SelectionChanged {
            path: source.to_owned(),
        });
    }
    let origin = executor.origin(job, input)?;
    let layer = executor.store().new_layer()?;
    let mut tree = Tree::new(Arc::new(View::new(Vec::new())), layer);
    let is_dir = fill(&mut tree, &origin, &selected)?;
    let layer = tree.commit(None).inspect_err(|error| {
        if matches!(error, OpError::Context(_)) {
            executor.forget_selections();
        }
    })?;
    made.insert(selected.digest, (layer.id.clone(), is_dir));
    Ok((layer.id, is_dir))
}

/// What a bind mount selects of its source.
pub fn selector(source: &str) -> Selector {
    Selector {
        path: source.to_owned(),
        pattern: false,
        parents: false,
        excludes: Vec::new(),
        purpose: Purpose::Mount,
    }
}

/// Puts the one root of a selection into an empty tree; whether it is a directory.
fn fill(tree: &mut Tree, origin: &Origin, selected: &Selected) -> Result<bool, OpError> {
    let Some(root) = selected.roots.first() else {
        return Ok(false);
    };
    let name = if root.is_dir { DIRECTORY } else { FILE };
    put_root(tree, origin, root, name)?;
    Ok(root.is_dir)
}

/// Puts one root of a selection at `name`, as it is; what is at the tree's own root is left out.
pub fn put_root(
    tree: &mut Tree,
    origin: &Origin,
    root: &SelectedRoot,
    name: &[u8],
) -> Result<(), OpError> {
    let mut inodes = HashMap::new();
    for selected in &root.entries {
        let mut entry = selected.entry.clone();
        entry.path = join(name, selected.relative());
        entry.time = TimeRule::Ignored;
        if entry.path.is_empty() {
            continue;
        }
        let inode = match &mut entry.kind {
            Kind::File { link, .. } => link
                .take()
                .map(|first| *inodes.entry(first).or_insert_with(|| tree.new_inode())),
            _ => None,
        };
        let content = if entry.is_dir() {
            Content::Nothing
        } else {
            origin.content(selected)
        };
        tree.put(entry, content, inode)?;
    }
    Ok(())
}
