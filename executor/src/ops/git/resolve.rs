//! Which commit a branch, a tag or nothing at all means at the remote.

use solver::op::GitOp;

use super::program::Git;
use crate::ops::error::OpError;

/// A commit, and what it can be asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// All digits of its id.
    pub id: String,
    /// The reference that led to it at the remote; none when the commit itself was named.
    pub reference: Option<String>,
}

/// Asks the remote, unless the reference is a whole commit id.
pub fn resolve(git: &Git<'_>, op: &GitOp) -> Result<Commit, OpError> {
    let wanted = op.reference.as_str();
    let commit = if is_commit(wanted) {
        Commit {
            id: wanted.to_ascii_lowercase(),
            reference: None,
        }
    } else {
        if wanted.starts_with('-') || wanted.contains(['\0', '\n', ' ', '*', ':', '?', '[']) {
            return Err(git.refused(format!("{wanted:?} is no reference")));
        }
        let name = if wanted.is_empty() { "HEAD" } else { wanted };
        let peeled = format!("{name}^{{}}");
        let listed = git.run(".", &["ls-remote", "--", &git.url, name, &peeled])?;
        choose(&String::from_utf8_lossy(&listed), name)
            .ok_or_else(|| git.refused(format!("repository does not contain ref {name}")))?
    };
    match &op.checksum {
        Some(checksum) if !commit.id.starts_with(&checksum.to_ascii_lowercase()) => Err(git
            .refused(format!(
                "expected checksum to match {checksum}, got {}",
                commit.id
            ))),
        _ => Ok(commit),
    }
}

/// Whether a text is a whole commit id, SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The best line of `git ls-remote`: branches before tags, as `git checkout` has it; an annotated
/// tag stands for its commit.
pub(in crate::ops) fn choose(listed: &str, name: &str) -> Option<Commit> {
    let lines: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(id, _)| is_commit(id))
        .collect();
    let id_of = |reference: &str| {
        let found = lines.iter().find(|(_, listed)| *listed == reference);
        found.map(|(id, _)| (*id).to_owned())
    };
    let short = name.strip_prefix("refs/").unwrap_or(name);
    let candidates = [
        format!("refs/heads/{name}"),
        format!("refs/tags/{name}"),
        format!("refs/{short}"),
        name.to_owned(),
    ];
    candidates.into_iter().find_map(|reference| {
        let id = id_of(&format!("{reference}^{{}}")).or_else(|| id_of(&reference))?;
        Some(Commit {
            id,
            reference: Some(reference),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_come_before_tags_and_tags_are_peeled() {
        let id = |digit: char| String::from(digit).repeat(40);
        let listed = format!(
            "{}\tHEAD\n{}\trefs/heads/both\n{}\trefs/tags/both\n{}\trefs/tags/noted\n{}\trefs/tags/noted^{{}}\n{}\trefs/pull/7/head\nwarning: x\n",
            id('1'),
            id('2'),
            id('3'),
            id('4'),
            id('5'),
            id('6'),
        );
        for (name, digit, reference) in [
            ("HEAD", '1', "HEAD"),
            ("both", '2', "refs/heads/both"),
            ("refs/tags/both", '3', "refs/tags/both"),
            ("tags/both", '3', "refs/tags/both"),
            ("noted", '5', "refs/tags/noted"),
            ("refs/pull/7/head", '6', "refs/pull/7/head"),
        ] {
            let commit = choose(&listed, name).unwrap();
            assert_eq!(
                (commit.id, commit.reference.as_deref()),
                (id(digit), Some(reference))
            );
        }
        assert_eq!(choose(&listed, "none"), None);
        assert_eq!(choose("", "HEAD"), None);
    }
}
