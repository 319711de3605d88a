//! `inspect`.

use crate::cli::container::ContainerInspectArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &ContainerInspectArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("inspect")
}
