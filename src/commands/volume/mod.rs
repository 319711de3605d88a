//! `volume`: volumes made, listed and removed.

mod create;
mod ls;
mod prune;
mod rm;

use crate::cli::volume::VolumeCommand;
use crate::commands::inspect;
use crate::home::Home;

pub use prune::prune;

/// Does what the arguments ask for.
pub fn command(command: VolumeCommand, home: &Home) -> anyhow::Result<u8> {
    match command {
        VolumeCommand::Create(args) => create::run(args, home),
        VolumeCommand::Ls(args) => ls::run(&args, home),
        VolumeCommand::Inspect(args) => {
            inspect::of_kind("volume", args.volumes, args.format, false, home)
        }
        VolumeCommand::Rm(args) => rm::run(&args, home),
        VolumeCommand::Prune(args) => prune::run(&args, home),
    }
}
