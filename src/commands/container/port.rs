//! `port`.

use crate::cli::container::PortArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &PortArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("port")
}
