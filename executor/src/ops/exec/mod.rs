//! RUN.
pub mod hosts;
use super::{Executor, OpError};
use cache::Snapshot;
use solver::Job;
use solver::op::ExecOp;
#[derive(Default)]
pub(super) struct LazyLauncher;
pub(super) fn run(
    _e: &Executor,
    job: &Job<'_, Snapshot>,
    _op: &ExecOp,
) -> Result<Snapshot, OpError> {
    Err(OpError::Unsupported {
        what: job.vertex.meta.name.clone(),
    })
}
