//! `exec`.

use crate::cli::container::ExecArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &ExecArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("exec")
}
