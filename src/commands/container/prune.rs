//! `prune`.

use crate::cli::container::ContainerPruneArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &ContainerPruneArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("prune")
}
