//! `commit`.

use crate::cli::container::CommitArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &CommitArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("commit")
}
