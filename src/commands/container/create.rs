//! `create`.

use crate::cli::container::CreateArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &CreateArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("create")
}
