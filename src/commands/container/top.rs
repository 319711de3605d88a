//! `top`.

use crate::cli::container::TopArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &TopArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("top")
}
