//! `logs`.

use crate::cli::container::LogsArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &LogsArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("logs")
}
