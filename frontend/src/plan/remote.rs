//! Which sources of ADD are URLs or git repositories, told from their texts.

use solver::op::{GitOp, HttpOp, Op};

use super::error::PlanError;
use super::gotext::quoted;
use super::{parse_bool, paths};

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remote {
    /// In the context.
    Local,
    /// Behind a URL.
    Http,
    /// In a git repository.
    Git(GitRef),
}

/// A repository with all that its URL says about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GitRef {
    url: String,
    reference: String,
    subdir: String,
    checksum: Option<String>,
    keep_git_dir: Option<bool>,
    submodules: Option<bool>,
    commit_mtime: Option<bool>,
    fetch_by_commit: bool,
}

/// Name of the file of a context that is one file behind a URL.
const CONTEXT_FILE: &str = "context";

/// How a repository that is a context is checked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkout {
    /// Whether `.git` is kept, whatever the URL says.
    pub keep_git_dir: bool,
    /// Whether files get the commit's time, where the URL says nothing of it.
    pub commit_mtime: bool,
}

/// The op of a context that is a URL or a repository; none for a directory.
pub fn remote_context(text: &str, checkout: Checkout) -> Result<Option<Op>, PlanError> {
    Ok(match kind(text)? {
        Remote::Local => None,
        Remote::Git(mut git) => {
            if checkout.keep_git_dir {
                git.keep_git_dir = Some(true);
            }
            git.commit_mtime.get_or_insert(checkout.commit_mtime);
            Some(Op::Git(git.op(None, None)?))
        }
        Remote::Http => Some(Op::Http(HttpOp {
            url: text.to_owned(),
            checksum: None,
            file_name: CONTEXT_FILE.to_owned(),
        })),
    })
}

/// What `text` names.
pub(super) fn kind(text: &str) -> Result<Remote, PlanError> {
    let Some((remote, scheme)) = git_remote(text) else {
        let is_http = text.starts_with("http://") || text.starts_with("https://");
        return Ok(if is_http { Remote::Http } else { Remote::Local });
    };
    let (before_fragment, fragment) = text.split_once('#').unwrap_or((text, ""));
    let query = before_fragment
        .split_once('?')
        .map_or("", |(_, query)| query);
    let fragment = match scheme {
        Some(_) => decode(fragment, false),
        None => fragment.to_owned(),
    };
    let (reference, subdir) = fragment.split_once(':').unwrap_or((&fragment, ""));
    let mut git = GitRef {
        url: remote.to_owned(),
        reference: reference.to_owned(),
        subdir: relative(subdir),
        ..GitRef::default()
    };
    git.read_query(query)?;
    Ok(Remote::Git(git))
}

/// The repository part of `text`, and its scheme unless it is `user@host:path`; none when it is no
/// repository.
fn git_remote(text: &str) -> Option<(&str, Option<String>)> {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let remote = &text[..end];
    let Some((scheme, rest)) = text.split_once("://") else {
        return is_scp(remote).then_some((remote, None));
    };
    if scheme.is_empty() || !scheme.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return is_scp(remote).then_some((remote, None));
    }
    let scheme = scheme.to_lowercase();
    let is_git = match scheme.as_str() {
        "ssh" | "git" => true,
        "http" | "https" => {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            let path = rest.split_once('/').map_or("", |(_, path)| path);
            decode(path, false).ends_with(".git")
        }
        _ => false,
    };
    is_git.then_some((remote, Some(scheme)))
}

/// `user@host:path`
fn is_scp(text: &str) -> bool {
    let word = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    text.split_once('@').is_some_and(|(user, rest)| {
        rest.split_once(':')
            .is_some_and(|(host, _)| word(user, b"-_") && word(host, b"-."))
    })
}

impl GitRef {
    fn read_query(&mut self, query: &str) -> Result<(), PlanError> {
        let mut seen: Vec<String> = Vec::new();
        let (mut tag, mut branch) = (String::new(), String::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key, true), decode(value, true));
            let shown = quoted(&key);
            if seen.contains(&key) {
                return Err(PlanError::new(format!("query {shown} has multiple values")));
            }
            let flag = || {
                if value.is_empty() {
                    return Ok(true);
                }
                parse_bool(&value).ok_or_else(|| {
                    PlanError::new(format!("invalid {key} value: {}", quoted(&value)))
                })
            };
            match key.as_str() {
                "submodules" => self.submodules = Some(flag()?),
                "keep-git-dir" => self.keep_git_dir = Some(flag()?),
                "fetch-by-commit" => self.fetch_by_commit = flag()?,
                "ref" | "tag" | "branch" | "subdir" | "checksum" | "commit" | "mtime"
                    if value.is_empty() =>
                {
                    return Err(PlanError::new(format!("query {shown} has no value")));
                }
                "ref" => set(&mut self.reference, value, "ref")?,
                "tag" => tag = prefixed("refs/tags/", value),
                "branch" => branch = prefixed("refs/heads/", value),
                "subdir" => set(&mut self.subdir, relative(&value), "subdir")?,
                "checksum" | "commit" => self.checksum = Some(value),
                "mtime" => match value.as_str() {
                    "checkout" => self.commit_mtime = Some(false),
                    "commit" => self.commit_mtime = Some(true),
                    _ => {
                        return Err(PlanError::new(format!(
                            "invalid mtime value: {} (must be \"checkout\" or \"commit\")",
                            quoted(&value)
                        )));
                    }
                },
                _ => return Err(PlanError::new(format!("unexpected query {shown}"))),
            }
            seen.push(key);
        }
        if !tag.is_empty() && !branch.is_empty() {
            return Err(PlanError::new("branch conflicts with tag"));
        }
        for reference in [tag, branch] {
            if !reference.is_empty() {
                set(&mut self.reference, reference, "ref")?;
            }
        }
        Ok(())
    }

    /// The op, with what ADD's own flags say.
    pub(super) fn op(
        self,
        keep_git_dir: Option<bool>,
        checksum: Option<&str>,
    ) -> Result<GitOp, PlanError> {
        if let (Some(flag), Some(query)) = (keep_git_dir, self.keep_git_dir)
            && flag != query
        {
            return Err(PlanError::new("inconsistent keep-git-dir configuration"));
        }
        if let (Some(flag), Some(query)) = (checksum, &self.checksum)
            && flag != query
        {
            return Err(PlanError::new(format!(
                "checksum mismatch {} != {}",
                quoted(flag),
                quoted(query)
            )));
        }
        let checksum = self.checksum.or_else(|| checksum.map(str::to_owned));
        let is_commit = |text: &String| {
            matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        let reference = match &checksum {
            Some(commit) if self.fetch_by_commit && is_commit(commit) => commit.clone(),
            _ => self.reference,
        };
        Ok(GitOp {
            url: self.url,
            reference,
            subdir: self.subdir,
            checksum,
            keep_git_dir: self.keep_git_dir.or(keep_git_dir).unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
            commit_mtime: self.commit_mtime.unwrap_or(false),
        })
    }
}

fn set(slot: &mut String, value: String, what: &str) -> Result<(), PlanError> {
    if !slot.is_empty() && *slot != value {
        return Err(PlanError::new(format!(
            "{what} conflicts: {} vs {}",
            quoted(slot),
            quoted(&value)
        )));
    }
    *slot = value;
    Ok(())
}

fn prefixed(prefix: &str, value: String) -> String {
    if value.starts_with(prefix) {
        value
    } else {
        format!("{prefix}{value}")
    }
}

/// A directory of a repository; empty for all of it.
fn relative(path: &str) -> String {
    match paths::inside(path) {
        whole if whole == "." => String::new(),
        path => path,
    }
}

/// The checksum of a download.
pub(super) fn checksum(text: Option<&str>) -> Result<Option<image::Digest>, PlanError> {
    text.map(str::parse)
        .transpose()
        .map_err(|error| PlanError::new(format!("invalid checksum: {error}")))
}

/// The name of the file behind a URL: the last component of its path.
pub(super) fn file_name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.find('/').map_or("", |start| &rest[start..]);
    let path = decode(path, false);
    match paths::base(&path) {
        "." | "/" | ".." => "__unnamed__".to_owned(),
        name => name.to_owned(),
    }
}

/// `text` with `%41` replaced, and `+` in queries; what is not well formed stays as it is.
fn decode(text: &str, is_query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        let code = text
            .get(at + 1..at + 3)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest.nth(1);
            }
            (b'+', _) if is_query => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str) -> GitOp {
        match kind(text).unwrap() {
            Remote::Git(git) => git.op(None, None).unwrap(),
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        for text in [
            "a",
            "./git@h:p",
            "/x.git",
            "github.com/a/b",
            "ftp://x/y.git",
            "a:b",
            "C:x",
        ] {
            assert_eq!(kind(text).unwrap(), Remote::Local, "{text}");
        }
        for text in ["http://x/y", "https://x/y.git/z", "https://x/y.tar?z=.git"] {
            assert_eq!(kind(text).unwrap(), Remote::Http, "{text}");
        }
        for text in [
            "https://x/y.git",
            "git@x:y",
            "ssh://x/y",
            "git://x/y",
            "https://x/y.git#z",
        ] {
            assert!(matches!(kind(text).unwrap(), Remote::Git(_)), "{text}");
        }
    }

    #[test]
    fn fragments_and_queries_are_read() {
        let op = git("https://x/y.git#v1:/a/../b");
        assert_eq!(
            (op.url.as_str(), op.reference.as_str()),
            ("https://x/y.git", "v1")
        );
        assert_eq!(op.subdir, "b");
        assert!(op.submodules && !op.keep_git_dir);
        let op = git("git@x:y.git?tag=v1&subdir=d&submodules=0&keep-git-dir&mtime=commit");
        assert_eq!(
            (op.url.as_str(), op.reference.as_str()),
            ("git@x:y.git", "refs/tags/v1")
        );
        assert!(!op.submodules && op.keep_git_dir && op.commit_mtime);
        let commit = "0123456789012345678901234567890123456789";
        let op = git(&format!(
            "https://x/y.git?branch=m&commit={commit}&fetch-by-commit"
        ));
        assert_eq!(op.reference, commit);
        for (query, message) in [
            ("ref=a#b", "ref conflicts: \"b\" vs \"a\""),
            ("tag=a&branch=b", "branch conflicts with tag"),
            ("x=1", "unexpected query \"x\""),
            ("ref=", "query \"ref\" has no value"),
            ("ref=a&ref=b", "query \"ref\" has multiple values"),
            ("submodules=maybe", "invalid submodules value: \"maybe\""),
        ] {
            let error = kind(&format!("https://x/y.git?{query}")).unwrap_err();
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn files_are_named_by_their_paths() {
        for (url, name) in [
            ("http://x/a/b.tar.gz?q=1#f", "b.tar.gz"),
            ("http://x/a%20b", "a b"),
            ("http://x/", "__unnamed__"),
            ("http://x", "__unnamed__"),
            ("http://x/dir/", "dir"),
            ("http://x/%2e%2e", "__unnamed__"),
            ("http://x/%", "%"),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
    }
}
