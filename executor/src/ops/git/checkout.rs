//! Fetches a commit and takes its files into a tree.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use cache::layer::entry::join;
use cache::{Entry, Kind, TimeRule, Timestamp};
use solver::ContentDigest;
use solver::op::GitOp;

use super::program::Git;
use super::resolve::Commit;
use crate::ops::error::OpError;
use crate::ops::tree::{Content, Tree};

const DIRECTORY: &str = "checkout";

/// Checks a commit out into `root`, the directory `checkout` of where git runs; gives the time
/// that its files get, if the op wants the commit's.
pub fn check_out(
    git: &Git<'_>,
    op: &GitOp,
    commit: &Commit,
    root: &Path,
) -> Result<Option<Timestamp>, OpError> {
    let run = |arguments: &[&str]| git.run(DIRECTORY, arguments);
    fetch_into(git, commit, root)?;
    let id = commit.id.as_str();
    run(&["checkout", "-q", "--force", "--detach", id, "--"])?;
    if op.submodules && root.join(".gitmodules").is_file() {
        run(&[
            "submodule",
            "update",
            "-q",
            "--init",
            "--recursive",
            "--depth=1",
            "--force",
        ])?;
    }
    if !op.commit_mtime {
        return Ok(None);
    }
    Ok(Some(Timestamp::seconds(committed(git, id)?)))
}

/// When a commit was made, fetched into `root`, the directory `checkout` of where git runs.
pub fn time(git: &Git<'_>, commit: &Commit, root: &Path) -> Result<i64, OpError> {
    fetch_into(git, commit, root)?;
    committed(git, &commit.id)
}

/// When the fetched commit `id` was made, in seconds since 1970.
fn committed(git: &Git<'_>, id: &str) -> Result<i64, OpError> {
    let time = git.run(DIRECTORY, &["show", "-s", "--format=%ct", id, "--"])?;
    let seconds = String::from_utf8_lossy(&time).trim().parse();
    seconds.map_err(|_| git.refused(format!("{id} has no time")))
}

/// Makes the repository `root` and fetches the commit into it.
fn fetch_into(git: &Git<'_>, commit: &Commit, root: &Path) -> Result<(), OpError> {
    fs::create_dir(root).map_err(|e| OpError::io("make", root.as_os_str().as_bytes(), e))?;
    let run = |arguments: &[&str]| git.run(DIRECTORY, arguments);
    run(&["init", "-q", "--template="])?;
    run(&["remote", "add", "--", "origin", &git.url])?;
    fetch(&run, commit)
}

/// Fetches as little as the server allows: the commit, the reference, or everything.
fn fetch(
    run: &impl Fn(&[&str]) -> Result<Vec<u8>, OpError>,
    commit: &Commit,
) -> Result<(), OpError> {
    let have = format!("{}^{{commit}}", commit.id);
    let all = [
        "+refs/heads/*:refs/remotes/origin/*",
        "+refs/tags/*:refs/tags/*",
    ];
    let shallow = ["fetch", "-q", "--no-tags", "--depth=1", "--", "origin"];
    let mut attempts = vec![[&shallow[..], &[commit.id.as_str()]].concat()];
    if let Some(reference) = &commit.reference {
        attempts.push([&shallow[..], &[reference.as_str()]].concat());
        attempts.push(vec!["fetch", "-q", "--no-tags", "--", "origin", reference]);
    }
    attempts.push([&["fetch", "-q", "--", "origin"][..], &all].concat());
    let mut last = Ok(());
    for attempt in attempts {
        last = match run(&attempt) {
            Err(OpError::Cancelled) => return Err(OpError::Cancelled),
            Err(error) => Err(error),
            Ok(_) if run(&["cat-file", "-e", &have]).is_ok() => return Ok(()),
            // Fetched, and the commit is not among it: ask for more.
            Ok(_) => Ok(()),
        };
    }
    // The last error of git says best what is wrong; without one, the commit is not there.
    last.and_then(|()| run(&["cat-file", "-e", &have]).map(drop))
}

/// Takes the files of a checkout (or of its `subdir`) into the empty `tree`.
pub fn take(
    tree: &mut Tree,
    root: &Path,
    op: &GitOp,
    mtime: Option<Timestamp>,
) -> Result<(), OpError> {
    let time = match mtime {
        Some(time) => (time, TimeRule::Exact),
        None => (tree.now()?, TimeRule::Ignored),
    };
    let from = subdirectory(root, op)?;
    let mut open = vec![(from, Vec::new())];
    while let Some((directory, to)) = open.pop() {
        let io = |action, e| OpError::io(action, directory.as_os_str().as_bytes(), e);
        for found in fs::read_dir(&directory).map_err(|e| io("list", e))? {
            let found = found.map_err(|e| io("list", e))?;
            let name = found.file_name();
            if name == ".git" && !op.keep_git_dir {
                continue;
            }
            let (source, path) = (found.path(), join(&to, name.as_bytes()));
            let meta = fs::symlink_metadata(&source).map_err(|e| io("read", e))?;
            let mode = if meta.is_dir() || meta.mode() & 0o100 != 0 {
                0o755
            } else {
                0o644
            };
            let (entry, content) = if meta.is_dir() {
                open.push((source, path.clone()));
                (Entry::dir(path, mode), Content::Nothing)
            } else if meta.is_symlink() {
                let target = fs::read_link(&source).map_err(|e| io("read", e))?;
                let target = target.into_os_string().into_vec();
                (Entry::symlink(path, target), Content::Nothing)
            } else {
                let digest = digest(&source).map_err(|e| io("read", e))?;
                let content = Content::Spool(source);
                (Entry::file(path, mode, meta.len(), digest), content)
            };
            debug_assert!(!matches!(entry.kind, Kind::Whiteout));
            let entry = Entry {
                mtime: time.0,
                time: time.1,
                ..entry
            };
            tree.put(entry, content, None)?;
        }
    }
    Ok(())
}

fn digest(path: &Path) -> std::io::Result<ContentDigest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path)?)?;
    Ok(ContentDigest(*hasher.finalize().as_bytes()))
}

/// The directory that becomes the root. A link on the way is no directory: it might lead out.
fn subdirectory(root: &Path, op: &GitOp) -> Result<PathBuf, OpError> {
    let mut path = root.to_owned();
    for component in Path::new(&op.subdir).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir => continue,
            Component::ParentDir | Component::Prefix(_) => path.push(".."),
        }
        let is_dir = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
        if !is_dir || path.ends_with("..") || path.ends_with(".git") {
            return Err(OpError::Git {
                url: op.url.clone(),
                reason: format!("there is no directory {:?} in it", op.subdir),
            });
        }
    }
    Ok(path)
}
