//! `update`.

use crate::cli::container::UpdateArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &UpdateArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("update")
}
