//! Which files of a context a build asks for.
//!
//! The reference sends what the paths of all COPY, ADD and bind mounts match, and nothing else is
//! there for their patterns: neither a directory in which nothing is asked for, nor a name that a
//! pattern matches by its rules but not by those of the ignore file, which choose what is sent.

use std::collections::BTreeSet;

use solver::pattern::{Pattern, PatternList};

use super::{Context, ContextError};
use crate::snapshot::resolve::Lookup;

/// Links followed for one build's paths; what is beyond is not asked for.
const MOST_LINKS: usize = 10_000;

impl Context {
    /// Whether something asked for is at `path`, in it, or around it.
    pub(super) fn is_asked(&self, path: &[u8]) -> Result<bool, ContextError> {
        let Some(paths) = &self.options.asked else {
            return Ok(true);
        };
        let list = match self.asked.get() {
            Some(list) => list,
            None => {
                let list = self.patterns_of(paths)?;
                self.asked.get_or_init(|| list)
            }
        };
        if list.is_empty() || list.matches_or_parent(path) {
            return Ok(true);
        }
        let dirs = self.read_dirs(path, &|_| true)?;
        Ok(dirs.iter().any(|(dir, listing)| {
            let mut nodes = listing.children.iter();
            nodes.any(|node| {
                let path = crate::layer::entry::join(dir, listing.name(node));
                !node.excluded && list.matches_or_parent(path)
            })
        }))
    }

    /// The paths with every link in them followed, as one list; empty if that is everything.
    fn patterns_of(&self, paths: &[String]) -> Result<PatternList, ContextError> {
        let mut found = BTreeSet::new();
        // Taken from its end. A link is followed for the first path through it, and for no other: the
        // reference does so in the order of the paths.
        let mut rest: Vec<String> = paths.to_vec();
        rest.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = MOST_LINKS;
        while let Some(path) = rest.pop() {
            let mut here = String::new();
            let mut names = path.split('/').filter(|name| !matches!(*name, "" | "."));
            loop {
                let Some(name) = names.next() else {
                    found.insert(here);
                    break;
                };
                if name == ".." {
                    here.truncate(here.rfind('/').unwrap_or(0));
                    continue;
                }
                let above = here;
                here = inside(&above, name);
                let targets = self.links(&above, name)?;
                if targets.is_empty() {
                    continue;
                }
                if found.insert(here.clone()) {
                    let behind: Vec<&str> = names.collect();
                    let behind = behind.join("/");
                    left = left.saturating_sub(targets.len());
                    if left > 0 {
                        let targets = targets.iter().rev();
                        rest.extend(targets.map(|target| format!("{target}/{behind}")));
                    }
                }
                break;
            }
        }
        if found.contains("") {
            return Ok(PatternList::default());
        }
        // what is no pattern is refused where it is used
        let valid = found.iter().filter(|path| PatternList::new([path]).is_ok());
        Ok(PatternList::new(valid).unwrap_or_default())
    }

    /// Where the links in the directory `dir` lead that `name` means, which may be a pattern.
    fn links(&self, dir: &str, name: &str) -> Result<Vec<String>, ContextError> {
        let target = |node: &<Self as Lookup>::Node| {
            let target = String::from_utf8_lossy(self.target(node)?).into_owned();
            let is_absolute = target.starts_with('/');
            Some(if is_absolute {
                target
            } else {
                format!("{dir}/{target}")
            })
        };
        if !Pattern::has_meta(name) {
            let found = self.at(inside(dir, name).as_bytes())?;
            return Ok(found.iter().filter_map(target).collect());
        }
        let (Some(listing), Ok(pattern)) = (self.find_dir(dir.as_bytes())?, Pattern::new(name))
        else {
            return Ok(Vec::new());
        };
        let mut targets = Vec::new();
        let names = listing.children.iter().map(|node| listing.name(node));
        for name in names.filter(|name| pattern.matches(name)) {
            let path = crate::layer::entry::join(dir.as_bytes(), name);
            targets.extend(self.at(&path)?.iter().filter_map(target));
        }
        Ok(targets)
    }
}

/// `name` in the directory `dir`.
fn inside(dir: &str, name: &str) -> String {
    let slash = if dir.is_empty() { "" } else { "/" };
    format!("{dir}{slash}{name}")
}
