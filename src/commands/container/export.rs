//! `export`.

use crate::cli::container::ExportArgs;
use crate::home::Home;

/// Not there yet.
pub fn run(_args: &ExportArgs, _home: &Home) -> anyhow::Result<u8> {
    super::unfinished("export")
}
