//! Which files of a tree a step uses, and their digest.
//!
//! COPY's rules for sources are here, once for contexts and snapshots: patterns, links in the
//! path, `--parents` and its pivot, `--exclude`, directories that give their contents. Where the
//! files go is not known here.

mod choose;
mod root;
#[cfg(test)]
mod tests;
pub(crate) mod tree;

use solver::digest::Encoder;
use solver::pattern::{Pattern, PatternError, PatternList};
use solver::selector::Purpose;
use solver::{Selector, TreeDigest};

use crate::context::{Context, ContextError};
use crate::layer::entry::{is_within, path_cmp, split};
use crate::layer::{Entry, LayerError};
use crate::snapshot::View;
use crate::snapshot::resolve::resolve;
use root::Root;
use tree::{Tree, Walk, shown};

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
    /// No file matches a pattern, nor is anything else asked for in the directory before its first
    /// wildcard: the reference has no such directory then.
    #[error("lstat /{path}: no such file or directory: nothing in it matches `{pattern}`")]
    NoMatch {
        /// The directory.
        path: String,
        /// The pattern.
        pattern: String,
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
    Choice::of(view, selector)?.select()
}

/// Selects from a context: scans what the selector can reach and hashes what is not known.
pub fn from_context(context: &Context, selector: &Selector) -> Result<Selected, SelectError> {
    Choice::of(context, selector)?.select()
}

/// The digest of a selection from a snapshot; the selection too where `wanted` says so of its digest.
pub fn digest_from_view(
    view: &View,
    selector: &Selector,
    wanted: impl Fn(&TreeDigest) -> bool,
) -> Result<(TreeDigest, Option<Selected>), SelectError> {
    Choice::of(view, selector)?.select_if(wanted)
}

/// The digest of a selection from a context; the selection too where `wanted` says so of its digest.
/// It takes several times the memory of the scan, and a build with nothing to do needs none of it.
pub fn digest_from_context(
    context: &Context,
    selector: &Selector,
    wanted: impl Fn(&TreeDigest) -> bool,
) -> Result<(TreeDigest, Option<Selected>), SelectError> {
    Choice::of(context, selector)?.select_if(wanted)
}

/// A selector's lists of patterns.
struct Lists {
    include: Option<PatternList>,
    exclude: PatternList,
}

/// What a selector chose of a tree, with its digest.
struct Choice<'t, T: Tree> {
    digest: TreeDigest,
    roots: Vec<Root<'t, T>>,
}

impl<'t, T: Tree> Choice<'t, T>
where
    SelectError: From<T::Error>,
{
    fn of(tree: &'t T, selector: &Selector) -> Result<Self, SelectError> {
        let roots = roots(tree, selector)?;
        let mut encoder = Encoder::new("rbuild tree v1");
        for root in &roots {
            root.encode(&mut encoder, selector.purpose == Purpose::Copy)?;
        }
        let digest = TreeDigest(encoder.finish());
        Ok(Self { digest, roots })
    }

    fn select(self) -> Result<Selected, SelectError> {
        let roots: Result<_, SelectError> = self.roots.into_iter().map(Root::select).collect();
        Ok(Selected {
            digest: self.digest,
            roots: roots?,
        })
    }

    fn select_if(
        self,
        wanted: impl Fn(&TreeDigest) -> bool,
    ) -> Result<(TreeDigest, Option<Selected>), SelectError> {
        let digest = self.digest;
        let selected = wanted(&digest).then(|| self.select()).transpose()?;
        Ok((digest, selected))
    }
}

fn roots<'t, T: Tree>(tree: &'t T, selector: &Selector) -> Result<Vec<Root<'t, T>>, SelectError>
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
        // Nothing is a pattern that matches nothing: the reference never finds the root itself.
        let is_root = matches!(pattern, "" | ".");
        if literal && is_root {
            return Err(tree.not_found(&shown(base.as_bytes())));
        }
        if literal && !is_there(tree, &selector.path)? {
            return Err(tree.not_found(&shown(selector.path.as_bytes())));
        }
        lists.include = Some(list(if is_root { "" } else { pattern })?);
        for source in sources(tree, base, has_wildcard(base))? {
            let mut root = Root::find(tree, &source, &lists)?;
            if root.is_dir {
                root.name.clear();
            }
            roots.push(root);
        }
    } else {
        for source in sources(tree, &selector.path, selector.pattern)? {
            roots.push(Root::find(tree, &source, &lists)?);
        }
    }
    Ok(roots)
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
    let walk = tree.walk(&base, &enter)?;
    let mut matches: Vec<Vec<u8>> = Vec::new();
    let mut buffer = Vec::new();
    for at in 0..walk.len() {
        let path = walk.path(at, &mut buffer);
        if path != base && pattern.matches(within(path)) && tree.shows(path)? {
            matches.push(path.to_vec());
        }
    }
    if matches.is_empty() && !base.is_empty() && !tree.shows(&base)? {
        return Err(SelectError::NoMatch {
            path: written,
            pattern: path.to_owned(),
        });
    }
    // a directory that matched is not looked into
    matches.sort_by(|a, b| path_cmp(a, b));
    matches.dedup_by(|later, earlier| is_within(later, earlier));
    Ok(matches)
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
