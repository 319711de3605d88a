//! `stats`.

use crate::cli::container::StatsArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &StatsArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("stats")
}
