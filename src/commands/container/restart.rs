//! `restart`.

use crate::cli::container::RestartArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &RestartArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("restart")
}
