//! `stop`.

use crate::cli::container::StopArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &StopArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("stop")
}
