//! `kill`.

use crate::cli::container::KillArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &KillArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("kill")
}
