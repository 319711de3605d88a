//! `container inspect`: everything that is known of containers.

use crate::cli::container::ContainerInspectArgs;
use crate::cli::images::InspectArgs;
use crate::home::Home;

/// Shows containers alone.
pub fn run(args: &ContainerInspectArgs, home: &Home) -> anyhow::Result<u8> {
    let args = InspectArgs {
        objects: args.containers.clone(),
        format: args.format.clone(),
        size: args.size,
        kind: Some("container".to_owned()),
    };
    crate::commands::inspect::run(&args, home)
}
