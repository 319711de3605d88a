//! `volume`: volumes made, listed and removed.

mod create;
mod inspect;
mod ls;
mod prune;
mod rm;

use crate::cli::volume::VolumeCommand;
use crate::home::Home;

pub use prune::prune;

/// Does what the arguments ask for.
pub fn command(command: VolumeCommand, home: &Home) -> anyhow::Result<u8> {
    match command {
        VolumeCommand::Create(args) => create::run(args, home),
        VolumeCommand::Ls(args) => ls::run(&args, home),
        VolumeCommand::Inspect(args) => inspect::run(args, home),
        VolumeCommand::Rm(args) => rm::run(&args, home),
        VolumeCommand::Prune(args) => prune::run(&args, home),
    }
}
