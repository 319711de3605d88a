//! WORKDIR: makes a directory and what is missing above it, for the current user.

use std::sync::Arc;

use cache::{Snapshot, TimeRule, Timestamp};
use solver::Job;
use solver::op::{MakeDirOp, Op};

use super::error::OpError;
use super::owner::look_up;
use super::tree::{Making, Tree};
use super::{Executor, input};

/// Runs one WORKDIR. One that is there already stays as it is, and gives an empty layer.
pub(super) fn run(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    op: &MakeDirOp,
) -> Result<Snapshot, OpError> {
    let below = input(job, 0)?;
    let view = Arc::new(executor.store().view(below)?);
    let empty = job
        .input_vertices
        .first()
        .is_some_and(|vertex| vertex.op == Op::Scratch);
    let owner = look_up(&op.owner, (!empty).then_some(&*view))?;
    let layer = executor.store().new_layer()?;
    let mtime = match op.epoch {
        Some(epoch) => (Timestamp::seconds(epoch), TimeRule::Exact),
        None => (layer.now()?, TimeRule::Now),
    };
    let making = Making {
        mode: op.mode & 0o777,
        owner,
        mtime,
    };
    let mut tree = Tree::new(view, layer);
    tree.make_dirs(op.path.as_bytes(), making)?;
    Ok(super::on_top(below, &tree.commit(None)?))
}
