//! `diff`.

use crate::cli::container::DiffArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &DiffArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("diff")
}
