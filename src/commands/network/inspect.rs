//! `network inspect`: everything that is known of networks.

use crate::cli::images::InspectArgs;
use crate::cli::network::NetworkInspectArgs;
use crate::home::Home;

/// Shows networks alone.
pub fn run(args: NetworkInspectArgs, home: &Home) -> anyhow::Result<u8> {
    let args = InspectArgs {
        objects: args.networks,
        format: args.format,
        size: false,
        kind: Some("network".to_owned()),
    };
    crate::commands::inspect::run(&args, home)
}
