//! `attach`.

use crate::cli::container::AttachArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &AttachArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("attach")
}
