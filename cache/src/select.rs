//! Which files of a tree a step uses, and their digest.
//!
//! COPY's rules for sources are here, once for contexts and snapshots: patterns, links in the
//! path, `--parents` and its pivot, `--exclude`, directories that give their contents.

use solver::{Selector, TreeDigest};

use crate::context::{Context, ContextError};
use crate::layer::{Entry, LayerError};
use crate::snapshot::View;

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
    /// What it is, its path being `source`; owner 0:0 and no attributes from a context, those of
    /// the stage from a snapshot. Hard links are those among the selected files of one root.
    pub entry: Entry,
}

/// Why a selection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// A path without wildcards is not there.
    #[error("\"/{path}\": not found")]
    NotFound {
        /// The path, as the selector has it.
        path: String,
    },
    /// A path is in the context, but the ignore file leaves it out.
    #[error("\"/{path}\": not found: it is in the context, but excluded by `{rule}`")]
    Ignored {
        /// The path, as the selector has it.
        path: String,
        /// The rule that leaves it out, as it is written.
        rule: String,
    },
    /// A pattern that is none.
    #[error("`{pattern}` is not a pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The snapshot could not be read.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The context could not be read.
    #[error(transparent)]
    Context(#[from] ContextError),
}

/// Selects from a snapshot.
pub fn from_view(view: &View, selector: &Selector) -> Result<Selected, SelectError> {
    let _ = (view, selector);
    todo!()
}

/// Selects from a context: scans what the selector can reach and hashes what is not known.
pub fn from_context(context: &Context, selector: &Selector) -> Result<Selected, SelectError> {
    let _ = (context, selector);
    todo!()
}
