//! Which files of a tree a step uses, and their digest.
//!
//! COPY's rules for sources are here, once for contexts and snapshots: patterns, links in the
//! path, `--parents` and its pivot, `--exclude`, directories that give their contents.

use solver::{Selector, TreeDigest};

use crate::context::Context;
use crate::layer::Entry;
use crate::snapshot::View;
use crate::store::StoreError;

/// What a selector chose.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Digest of the names, attributes and contents below, as COPY would write them; no times.
    pub digest: TreeDigest,
    /// One for each source path that the selector's path or pattern led to, in order.
    pub roots: Vec<SelectedRoot>,
}

/// One source path: a file, or a directory with what is in it.
#[derive(Debug, Clone)]
pub struct SelectedRoot {
    /// Name that a file gets in a destination directory; with `--parents` the path after the pivot.
    pub name: Vec<u8>,
    /// Whether it is a directory (after links in the path were followed), which gives its contents.
    pub is_dir: bool,
    /// The directory's own entry and everything in it, or the file alone; parents first.
    pub entries: Vec<SelectedEntry>,
}

/// One file, directory or link to be copied.
#[derive(Debug, Clone)]
pub struct SelectedEntry {
    /// Path relative to the root of the selection: empty for the directory itself or the file.
    pub relative: Vec<u8>,
    /// Path in the tree it comes from.
    pub source: Vec<u8>,
    /// What it is; owner 0:0 from a context, the stage's owner from a snapshot.
    pub entry: Entry,
}

/// Selects from a snapshot.
pub fn from_view(view: &View, selector: &Selector) -> Result<Selected, StoreError> {
    let _ = (view, selector);
    todo!()
}

/// Selects from a context: scans what the selector can reach and hashes what is not known.
pub fn from_context(context: &Context, selector: &Selector) -> Result<Selected, StoreError> {
    let _ = (context, selector);
    todo!()
}
