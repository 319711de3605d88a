//! `cp`.

use crate::cli::container::CopyArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &CopyArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("cp")
}
