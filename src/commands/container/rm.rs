//! `rm`.

use crate::cli::container::RemoveArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &RemoveArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("rm")
}
