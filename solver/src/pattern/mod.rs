//! Path patterns: Go's `filepath.Match`, and the ignore file's lists in which the last match wins.
//!
//! Works on names alone, `/`-separated and relative, and never looks at a file. Matching takes time
//! linear in the name for a given pattern, whatever the pattern is, and never recurses.
//!
//! - [`Pattern`]: one pattern of COPY and ADD
//! - [`PatternList`]: `.dockerignore` and `--exclude`

mod glob;
mod list;

use std::borrow::Cow;

use glob::Glob;
pub use list::{Matched, PatternList};

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// An unclosed or empty `[…]`, a range that ends before it begins, or a `\` at the end.
    #[error("syntax error in pattern {pattern:?}")]
    Syntax {
        /// The pattern as given.
        pattern: String,
    },
    /// `!` with nothing behind it.
    #[error("illegal exclusion pattern: \"!\"")]
    LoneNegation,
}

/// One pattern as Go's `filepath.Match` has it: `*`, `?`, `[a-z]`, `[^a-z]` and `\c`.
#[derive(Debug, Clone)]
pub struct Pattern(Glob);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError::Syntax`].
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Glob::component(pattern).map(Self)
    }

    /// Like [`new`](Self::new), but `**` stands for any number of directories, as in
    /// `COPY --parents`.
    ///
    /// # Errors
    /// [`PatternError::Syntax`].
    pub fn with_deep_stars(pattern: &str) -> Result<Self, PatternError> {
        Glob::path(pattern).map(Self)
    }

    /// Whether the whole of `name` matches; `*` and `?` never match a `/`.
    pub fn matches(&self, name: impl AsRef<[u8]>) -> bool {
        self.0.matches(name.as_ref())
    }

    /// Whether a path below the directory `dir` may match: a walk need not enter others.
    pub fn may_match_below(&self, dir: impl AsRef<[u8]>) -> bool {
        self.0.may_match_below(dir.as_ref())
    }

    /// Whether `text` holds a character that has a meaning in patterns.
    pub fn has_meta(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }
}

/// The shortest path that means the same (Go's `path.Clean`): no empty, `.` or inner `..`
/// components; `.` for the empty path; `..` does not climb above `/`.
pub fn clean(path: &str) -> Cow<'_, str> {
    let is_absolute = path.starts_with('/');
    let mut names = path[usize::from(is_absolute)..].split('/');
    if path == "/" || !names.any(|name| matches!(name, "" | "." | "..")) {
        return Cow::Borrowed(path);
    }
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if is_absolute => {}
            name => names.push(name),
        }
    }
    Cow::Owned(match (is_absolute, names.is_empty()) {
        (true, _) => format!("/{}", names.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => names.join("/"),
    })
}
