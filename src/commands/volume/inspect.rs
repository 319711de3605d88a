//! `volume inspect`: everything that is known of volumes.

use crate::cli::images::InspectArgs;
use crate::cli::volume::VolumeInspectArgs;
use crate::home::Home;

/// Shows volumes alone.
pub fn run(args: VolumeInspectArgs, home: &Home) -> anyhow::Result<u8> {
    let args = InspectArgs {
        objects: args.volumes,
        format: args.format,
        size: false,
        kind: Some("volume".to_owned()),
    };
    crate::commands::inspect::run(&args, home)
}
