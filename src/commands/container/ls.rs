//! `ls`.

use crate::cli::container::ListArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &ListArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("ls")
}
