//! `start`.

use crate::cli::container::StartArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &StartArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("start")
}
