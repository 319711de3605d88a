//! Which files of an input a step uses.

use serde::{Deserialize, Serialize};

/// Chooses files of a tree, as one source of COPY or ADD or one bind mount does.
///
/// The cache resolves it against a context or a snapshot and digests what it finds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Selector {
    /// Path or pattern, relative to the tree's root, cleaned, without leading `/` or `..`; `.` is
    /// the root. With `parents`, a `/./` pivot is kept as written.
    pub path: String,
    /// Whether `path` is matched as a pattern (Go's `filepath.Match`, and `**` with `parents`);
    /// no match is then no error.
    pub pattern: bool,
    /// `--parents`: names keep their directories, after the pivot.
    pub parents: bool,
    /// `--exclude` patterns, relative to the source.
    pub excludes: Vec<String>,
    /// How the result is used.
    pub purpose: Purpose,
}

/// What a selection is for, which decides the names and attributes that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// COPY or ADD: a directory gives its contents, a file its base name; links in the path are
    /// followed, the last one too.
    Copy,
    /// A bind mount: one file or directory, resolved inside the root.
    Mount,
}
