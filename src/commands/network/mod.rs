//! The commands about networks, one file for each.

mod connect;
mod create;
mod ls;
mod prune;
mod rm;

use crate::cli::network::NetworkCommand;
use crate::commands::inspect;
use crate::home::Home;

pub use prune::prune;

/// Does what the arguments ask for; gives the exit code.
pub fn command(command: NetworkCommand, home: &Home) -> anyhow::Result<u8> {
    match command {
        NetworkCommand::Create(args) => create::run(&args, home),
        NetworkCommand::Inspect(args) => {
            inspect::of_kind("network", args.networks, args.format, false, home)
        }
        NetworkCommand::Ls(args) => ls::run(&args, home),
        NetworkCommand::Prune(args) => prune::run(&args, home),
        NetworkCommand::Rm(args) => rm::run(&args, home),
        NetworkCommand::Connect(args) => connect::connect(&args, home),
        NetworkCommand::Disconnect(args) => connect::disconnect(&args, home),
    }
}
