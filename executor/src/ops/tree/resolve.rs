//! Where a path of a tree leads, links followed inside the root. Touches no file.

use cache::layer::entry::{join, split};
use cache::{Kind, Resolved};

use super::Tree;
use crate::ops::error::OpError;

/// Links that one path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

impl Tree {
    /// Walks `path` component by component, of this layer and below it. `..` stops at the root;
    /// what is not there is walked through by its name alone.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Resolved, OpError> {
        self.resolve_below(&[], path, follow_last)
    }

    /// As [`resolve`](Self::resolve), with the directory `root` (which has no links in it) as the
    /// root that absolute links start at and `..` stops at.
    pub fn resolve_below(
        &self,
        root: &[u8],
        path: &[u8],
        follow_last: bool,
    ) -> Result<Resolved, OpError> {
        let mut rest: Vec<Vec<u8>> = components(path);
        rest.reverse();
        let mut real = root.to_vec();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                if real.len() > root.len() {
                    real = split(&real).0.to_vec();
                }
                continue;
            }
            let next = join(&real, &name);
            let target = match self.get(&next).map(|entry| entry.kind) {
                Some(Kind::Symlink { target }) if follow_last || !rest.is_empty() => target,
                _ => {
                    real = next;
                    continue;
                }
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(OpError::TooManyLinks {
                    path: String::from_utf8_lossy(path).into_owned(),
                });
            }
            if target.first() == Some(&b'/') {
                real = root.to_vec();
            }
            rest.extend(components(&target).into_iter().rev());
        }
        if real.is_empty() {
            let root = self.get(b"");
            return Ok(Resolved::Entry(
                root.unwrap_or_else(|| cache::Entry::dir("", 0o755)),
            ));
        }
        Ok(match self.get(&real) {
            Some(entry) => Resolved::Entry(entry),
            None => Resolved::Missing(real),
        })
    }
}

/// The names of a path, without empty ones and `.`.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .collect()
}
