//! `rename`.

use crate::cli::container::RenameArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &RenameArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("rename")
}
