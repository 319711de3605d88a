//! A commit of a repository as a tree, fetched by the `git` program.
//!
//! Only the commit that is wanted is fetched where the server can do that. Modes are 644 and 755,
//! owners 0:0, as git itself knows no others.

mod checkout;
mod program;
pub(super) mod resolve;

use std::path::Path;
use std::sync::Arc;

use cache::{Snapshot, View};
use solver::op::GitOp;
use solver::{Cancel, Output};

use self::program::Git;
use self::resolve::Commit;
use super::Executor;
use super::error::OpError;
use super::sources::{Question, encode};
use super::tree::Tree;

/// Where remembered checkouts are among the store's memos.
const MEMOS: &str = "git v1";
/// Where the times of commits are among them.
const TIMES: &str = "git time v1";

/// The tree of a `Git` vertex: as made in this build, as remembered for the commit, or fetched.
pub(super) fn snapshot(
    executor: &Executor,
    op: &GitOp,
    cancel: &Cancel,
) -> Result<Snapshot, OpError> {
    let in_build = Question::git(op)?;
    if let Some(known) = executor.sources.get(&in_build) {
        return Ok(known);
    }
    let staging = executor.store().staging("git")?;
    let git = Git::new(&op.url, staging.path(), executor, cancel)?;
    let commit = resolve::resolve(&git, op)?;
    let question = encode(&GitOp {
        url: git.url.to_string(),
        reference: commit.id.clone(),
        checksum: None,
        ..op.clone()
    })?;
    let snapshot = match executor.remembered(MEMOS, &question)? {
        Some(known) => known,
        None => {
            let made = fetch(executor, &git, op, &commit, staging.path())?;
            executor.remember(MEMOS, &question, &made)?;
            made
        }
    };
    executor.sources.keep(in_build, &snapshot);
    Ok(snapshot)
}

/// When the commit was made.
pub(super) fn modified(executor: &Executor, op: &GitOp, cancel: &Cancel) -> Result<i64, OpError> {
    let staging = executor.store().staging("git")?;
    let git = Git::new(&op.url, staging.path(), executor, cancel)?;
    let commit = resolve::resolve(&git, op)?;
    let known = executor.store().memo(TIMES, &commit.id)?;
    let known = known.and_then(|memo| serde_json::from_slice(&memo).ok());
    if let Some(seconds) = known {
        return Ok(seconds);
    }
    let seconds = checkout::time(&git, &commit, &staging.path().join("checkout"))?;
    let answer = encode(&seconds)?;
    executor
        .store()
        .set_memo(TIMES, &commit.id, answer.as_bytes())?;
    Ok(seconds)
}

fn fetch(
    executor: &Executor,
    git: &Git<'_>,
    op: &GitOp,
    commit: &Commit,
    staging: &Path,
) -> Result<Snapshot, OpError> {
    let root = staging.join("checkout");
    let mtime = checkout::check_out(git, op, commit, &root)?;
    let layer = executor.store().new_layer()?;
    let mut tree = Tree::new(Arc::new(View::new(Vec::new())), layer);
    checkout::take(&mut tree, &root, op, mtime)?;
    Ok(super::on_top(&Snapshot::empty(), &tree.commit(None)?))
}
