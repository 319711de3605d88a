//! ADD of a URL: one file with the name, mode 0600 and the server's Last-Modified, or 1970.
//!
//! What the server said to tell versions apart is remembered with the snapshot, so that an
//! unchanged file is asked about and not fetched; with a checksum that is known, not even that.

mod client;
pub(super) mod date;

use std::path::Path;
use std::sync::Arc;

use cache::{Entry, Snapshot, TimeRule, Timestamp, View};
use image::Digest;
use image::http::split_login;
use serde::{Deserialize, Serialize};
use solver::op::HttpOp;
use solver::{Cancel, ContentDigest, Output};

use self::client::{Answer, Download, Validators};
use super::Executor;
use super::error::OpError;
use super::sources::{Question, encode};
use super::tree::{Content, Tree};
use crate::archive;

/// Where remembered downloads are among the store's memos.
const MEMOS: &str = "http v1";

/// What is remembered of a URL.
#[derive(Debug, Serialize, Deserialize)]
struct Memo {
    validators: Validators,
    sha256: Digest,
    snapshot: Snapshot,
}

/// The tree of an `Http` vertex.
pub(super) fn snapshot(
    executor: &Executor,
    op: &HttpOp,
    cancel: &Cancel,
) -> Result<Snapshot, OpError> {
    let in_build = Question::http(op)?;
    if let Some(known) = executor.sources.get(&in_build) {
        return Ok(known);
    }
    if matches!(op.file_name.as_str(), "" | "." | "..") || op.file_name.contains(['/', '\0']) {
        return Err(OpError::Http {
            url: op.url.clone(),
            reason: format!("{:?} is no name of a file", op.file_name),
        });
    }
    let question = question(op)?;
    let memo = executor.downloaded(&question)?;
    let checked = memo
        .as_ref()
        .is_some_and(|memo| op.checksum == Some(memo.sha256));
    let snapshot = match memo {
        Some(memo) if checked => memo.snapshot,
        memo => fetch(executor, op, &question, memo, cancel)?,
    };
    executor.sources.keep(in_build, &snapshot);
    Ok(snapshot)
}

/// When the file was last changed; none if neither the server nor an archive's members say so.
pub(super) fn modified(
    executor: &Executor,
    op: &HttpOp,
    cancel: &Cancel,
) -> Result<Option<i64>, OpError> {
    let snapshot = snapshot(executor, op, cancel)?;
    let said = executor
        .downloaded(&question(op)?)?
        .and_then(|memo| memo.validators.last_modified)
        .and_then(|text| date::parse(&text));
    if said.is_some() {
        return Ok(said);
    }
    let view = executor.store().view(&snapshot)?;
    let file = view.open(op.file_name.as_bytes())?;
    Ok(file.and_then(archive::newest))
}

/// What a download is remembered by: not by who asked for it, which is no business of the store's.
fn question(op: &HttpOp) -> Result<String, OpError> {
    encode(&HttpOp {
        checksum: None,
        url: split_login(&op.url).0.into_owned(),
        file_name: op.file_name.clone(),
    })
}

fn fetch(
    executor: &Executor,
    op: &HttpOp,
    question: &str,
    memo: Option<Memo>,
    cancel: &Cancel,
) -> Result<Snapshot, OpError> {
    let layer = executor.store().new_layer()?;
    let mut tree = Tree::new(Arc::new(View::new(Vec::new())), layer);
    let spool = tree.spool_path();
    let (url, login) = split_login(&op.url);
    let answer = client::get(
        Download {
            authorization: executor.http_authorization(&url)?.or(login),
            url: url.into_owned(),
            validators: memo.as_ref().map(|memo| memo.validators.clone()),
            into: spool.clone(),
        },
        cancel,
    )?;
    let (found, memo) = match (answer, memo) {
        (Answer::NotModified, Some(memo)) => (memo.sha256, memo),
        (Answer::NotModified, None) => {
            return Err(OpError::Http {
                url: op.url.clone(),
                reason: "invalid response status 304".to_owned(),
            });
        }
        (Answer::Body(body), _) => {
            check(op, body.sha256)?;
            let snapshot = commit(tree, op, &body, &spool)?;
            let memo = Memo {
                validators: body.validators,
                sha256: body.sha256,
                snapshot,
            };
            let text = encode(&memo)?;
            executor
                .store()
                .set_memo(MEMOS, question, text.as_bytes())?;
            (body.sha256, memo)
        }
    };
    check(op, found)?;
    Ok(memo.snapshot)
}

fn check(op: &HttpOp, found: Digest) -> Result<(), OpError> {
    match op.checksum {
        Some(expected) if expected != found => Err(OpError::Http {
            url: op.url.clone(),
            reason: format!("digest mismatch: got {found}, the checksum is {expected}"),
        }),
        _ => Ok(()),
    }
}

fn commit(
    mut tree: Tree,
    op: &HttpOp,
    body: &client::Body,
    spool: &Path,
) -> Result<Snapshot, OpError> {
    let seconds = body
        .validators
        .last_modified
        .as_deref()
        .and_then(date::parse)
        .unwrap_or_default();
    let entry = Entry {
        mtime: Timestamp::seconds(seconds),
        time: TimeRule::Exact,
        ..Entry::file(op.file_name.as_bytes(), 0o600, body.size, body.content)
    };
    let content = if body.content == ContentDigest::of(b"") {
        Content::Nothing
    } else {
        Content::Spool(spool.to_owned())
    };
    tree.put(entry, content, None)?;
    Ok(super::on_top(&Snapshot::empty(), &tree.commit(None)?))
}

impl Executor {
    /// What is remembered of a URL, if its layer is still there.
    fn downloaded(&self, question: &str) -> Result<Option<Memo>, OpError> {
        let memo = self
            .store()
            .memo(MEMOS, question)?
            .and_then(|memo| serde_json::from_slice::<Memo>(&memo).ok());
        let Some(memo) = memo else {
            return Ok(None);
        };
        Ok(self.pinned(&memo.snapshot)?.then_some(memo))
    }
}
