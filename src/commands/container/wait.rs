//! `wait`.

use crate::cli::container::NamesArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &NamesArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("wait")
}
