//! Which files of a tree a step uses, and their digest.
//!
//! COPY's rules for sources are here, once for contexts and snapshots: patterns, links in the
//! path, `--parents` and its pivot, `--exclude`, directories that give their contents. Where the
//! files go is not known here.

mod choose;
#[cfg(test)]
mod tests;
pub(crate) mod tree;

use std::collections::HashMap;

use solver::digest::Encoder;
use solver::pattern::{Pattern, PatternError, PatternList};
use solver::selector::Purpose;
use solver::{Selector, TreeDigest};

use crate::context::{Context, ContextError};
use crate::layer::entry::{is_within, path_cmp, split};
use crate::layer::{Entry, Kind, LayerError};
use crate::snapshot::View;
use crate::snapshot::resolve::resolve;
use choose::choose;
use tree::{Inode, Tree, shown};

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
    /// Name that a file gets in a destination directory. Empty with `--parents`, whose root is the
    /// directory before the pivot: names keep the directories after it.
    pub name: Vec<u8>,
    /// Whether it is a directory (after links in the path were followed), which gives its contents.
    pub is_dir: bool,
    /// The directory's own entry and everything in it, or the file alone; parents first.
    pub entries: Vec<SelectedEntry>,
}

/// One file, directory or link to be copied.
#[derive(Debug, Clone)]
pub struct SelectedEntry {
    /// Path in the tree it comes from.
    pub source: Vec<u8>,
    /// What it is, its path being relative to the root of the selection: empty for the directory
    /// itself or the file. Owner 0:0 and no attributes from a context, those of
    /// the stage from a snapshot. Hard links are those among the selected files of one root, named
    /// by the first path.
    pub entry: Entry,
}

impl SelectedEntry {
    /// Its path relative to the root of the selection.
    pub fn relative(&self) -> &[u8] {
        &self.entry.path
    }
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
    #[error(
        "\"/{path}\": not found: it is in the context, but the ignore file leaves it out by `{rule}`"
    )]
    Ignored {
        /// The path, as the selector has it.
        path: String,
        /// The rule that leaves it out, as it is written.
        rule: String,
    },
    /// A pattern that is none.
    #[error("`{pattern}` is not a pattern")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: PatternError,
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
    select(view, selector)
}

/// Selects from a context: scans what the selector can reach and hashes what is not known.
pub fn from_context(context: &Context, selector: &Selector) -> Result<Selected, SelectError> {
    select(context, selector)
}

/// A selector's lists of patterns.
struct Lists {
    include: Option<PatternList>,
    exclude: PatternList,
}

fn select<T: Tree>(tree: &T, selector: &Selector) -> Result<Selected, SelectError>
where
    SelectError: From<T::Error>,
{
    let exclude = PatternList::new(&selector.excludes).map_err(|source| SelectError::Pattern {
        pattern: selector.excludes.join(", "),
        source,
    })?;
    let mut lists = Lists {
        include: None,
        exclude,
    };
    let mut roots = Vec::new();
    if selector.parents && selector.purpose == Purpose::Copy {
        let (base, pattern) = match selector.path.split_once("/./") {
            Some((base, pattern)) => (base, pattern),
            None => ("", selector.path.as_str()),
        };
        let pattern = pattern.trim_start_matches("./").trim_matches('/');
        let literal = !has_wildcard(base) && !has_wildcard(pattern);
        if literal && !is_there(tree, &selector.path)? {
            return Err(tree.not_found(shown(selector.path.as_bytes()).as_str()));
        }
        // of the root itself, everything is asked for
        if !matches!(pattern, "" | ".") {
            lists.include = Some(list(pattern)?);
        }
        for source in sources(tree, base, has_wildcard(base))? {
            let mut root = read(tree, &source, &source, &lists)?;
            root.name.clear();
            roots.push(root);
        }
    } else {
        for source in sources(tree, &selector.path, selector.pattern)? {
            let path = shown(&source);
            roots.push(read(tree, &source, path.as_bytes(), &lists)?);
        }
    }
    Ok(Selected {
        digest: digest(&roots, selector.purpose),
        roots,
    })
}

/// Whether the path `written`, without wildcards, is there. Its directories will be those of the
/// destination, so none of them can be a link; what is at its end can.
fn is_there<T: Tree>(tree: &T, written: &str) -> Result<bool, SelectError>
where
    SelectError: From<T::Error>,
{
    let path = names(written).join("/").into_bytes();
    let dir = split(&path).0;
    Ok(resolve(tree, dir, true)?.0 == dir && resolve(tree, &path, true)?.1.is_some())
}

/// The names that a path is made of.
fn names(path: &str) -> Vec<&str> {
    let names = path.split('/');
    names.filter(|name| !matches!(*name, "" | ".")).collect()
}

/// The source paths that a path or pattern means, links not followed in the last component.
fn sources<T: Tree>(tree: &T, path: &str, is_pattern: bool) -> Result<Vec<Vec<u8>>, SelectError>
where
    SelectError: From<T::Error>,
{
    let names = names(path);
    let wild = names
        .iter()
        .position(|name| has_wildcard(name))
        .filter(|_| is_pattern);
    let Some(wild) = wild else {
        return Ok(vec![names.join("/").into_bytes()]);
    };
    let written = names[..wild].join("/");
    let (base, found) = resolve(tree, written.as_bytes(), true)?;
    if found.is_none() {
        return Err(tree.not_found(&written));
    }
    let text = names[wild..].join("/");
    let pattern = Pattern::new(&text).map_err(|source| SelectError::Pattern {
        pattern: text.clone(),
        source,
    })?;
    let within = |path: &[u8]| relative(path, &base).to_vec();
    let enter = |dir: &[u8]| dir == base || pattern.may_match_below(within(dir));
    let mut matches: Vec<Vec<u8>> = tree
        .walk(&base, &enter)?
        .iter()
        .map(|item| tree.path(item))
        .filter(|path| *path != base && pattern.matches(within(path)))
        .map(<[u8]>::to_vec)
        .collect();
    // a directory that matched is not looked into
    matches.sort_by(|a, b| path_cmp(a, b));
    matches.dedup_by(|later, earlier| is_within(later, earlier));
    Ok(matches)
}

/// Reads one source: follows links, chooses, digests.
fn read<T: Tree>(
    tree: &T,
    source: &[u8],
    named: &[u8],
    lists: &Lists,
) -> Result<SelectedRoot, SelectError>
where
    SelectError: From<T::Error>,
{
    let (base, found) = resolve(tree, source, true)?;
    if found.is_none() {
        return Err(tree.not_found(&shown(named)));
    }
    let enter = |dir: &[u8]| {
        let dir = relative(dir, &base);
        dir.is_empty() || lists.exclude.has_negations() || !lists.exclude.matches_or_parent(dir)
    };
    let items = tree.walk(&base, &enter)?;
    let is_dir = items.first().is_some_and(|item| tree.is_dir(item));
    let items = choose(tree, items, &base, lists.include.as_ref(), &lists.exclude);
    let mut entries: Vec<SelectedEntry> = Vec::with_capacity(items.len());
    let mut firsts = HashMap::<Inode, usize>::new();
    for (mut entry, inode) in tree.read(items)? {
        let relative = relative(&entry.path, &base).to_vec();
        let source = std::mem::replace(&mut entry.path, relative);
        if let Kind::File { link, .. } = &mut entry.kind {
            *link = None;
        }
        let at = entries.len();
        if let Some(first) = inode
            .map(|inode| *firsts.entry(inode).or_insert(at))
            .filter(|first| *first != at)
        {
            let name = entries[first].entry.path.clone();
            for entry in [&mut entries[first].entry, &mut entry] {
                if let Kind::File { link, .. } = &mut entry.kind {
                    *link = Some(name.clone());
                }
            }
        }
        entries.push(SelectedEntry { source, entry });
    }
    Ok(SelectedRoot {
        name: split(source).1.to_vec(),
        is_dir,
        entries,
    })
}

/// `path`, which is in `base`, as seen from there.
fn relative<'p>(path: &'p [u8], base: &[u8]) -> &'p [u8] {
    let rest = path.get(base.len()..).unwrap_or_default();
    rest.strip_prefix(b"/").unwrap_or(rest)
}

fn list(pattern: &str) -> Result<PatternList, SelectError> {
    PatternList::new([pattern]).map_err(|source| SelectError::Pattern {
        pattern: pattern.to_owned(),
        source,
    })
}

/// Whether `text` holds a wildcard that is not escaped.
fn has_wildcard(text: &str) -> bool {
    let mut escaped = false;
    text.bytes().any(|byte| {
        let found = !escaped && matches!(byte, b'*' | b'?' | b'[');
        escaped = !escaped && byte == b'\\';
        found
    })
}

/// Everything about what is selected that a step can see. The name of a directory that gives its
/// contents is not part of it, nor that of a mount's source.
fn digest(roots: &[SelectedRoot], purpose: Purpose) -> TreeDigest {
    let mut encoder = Encoder::new("rbuild tree v1");
    let mut buffer = Vec::new();
    for root in roots {
        encoder.field(if root.is_dir { b"dir" } else { b"file" });
        let named = !root.is_dir && purpose == Purpose::Copy;
        encoder.field(if named { &root.name } else { b"" });
        encoder.number(root.entries.len() as u64);
        for selected in &root.entries {
            buffer.clear();
            crate::layer::change::encode(&mut buffer, &selected.entry, false);
            encoder.field(&buffer);
        }
    }
    TreeDigest(encoder.finish())
}
