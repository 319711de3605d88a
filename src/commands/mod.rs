//! One file for each command, or for a few that are one idea.

mod archives;
mod build;
mod check;
mod container;
mod context;
mod doctor;
mod graph;
mod image_prune;
mod images;
mod import;
mod inspect;
mod network;
mod registries;
mod shell;
mod store;
mod system;
mod volume;

use crate::cli::image::ImageCommand;
use crate::cli::{Cli, Command};
use crate::home::Home;

/// Does what the arguments ask for; gives the exit code.
pub fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    let home = Home::find(cli.root)?;
    match cli.command {
        Command::Build(args) => build::run(&args, &home),
        Command::Check(args) => check::run(&args, &home),
        Command::Graph(args) => graph::run(&args, &home),
        Command::Why(args) => store::why(&args, &home),
        Command::Verb(verb) => container::verb(verb, &home),
        Command::Ps(args) => container::list(&args, &home),
        Command::Container(args) => container::command(args.command, &home),
        Command::Context(args) => context::command(&args.command),
        Command::Network(args) => network::command(args.command, &home),
        Command::Volume(args) => volume::command(args.command, &home),
        Command::Image(args) => image(args.command, &home),
        Command::Import(args) => import::run(&args, &home),
        Command::Du(args) => store::du(&args, &home),
        Command::Prune(args) => store::prune(&args, &home),
        Command::Doctor(args) => doctor::run(&args, &home),
        Command::System(args) => system::command(&args, &home),
        Command::Info(args) => system::info(&args, &home),
        Command::Version(args) => system::version(&args, &home),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        Command::Images(args) => images::list(&args, &home),
        Command::Tag(args) => images::tag(&args, &home),
        Command::Rmi(args) => images::remove(&args, &home),
        Command::History(args) => images::history(&args, &home),
        Command::Inspect(args) => inspect::run(&args, &home),
        Command::Save(args) => archives::save(&args, &home),
        Command::Load(args) => archives::load(&args, &home),
        Command::Pull(args) => registries::pull(&args, &home),
        Command::Push(args) => registries::push(&args, &home),
    }
}

/// The commands under `image`: those of the top level by other names.
fn image(command: ImageCommand, home: &Home) -> anyhow::Result<u8> {
    match command {
        ImageCommand::Build(args) => build::run(&args, home),
        ImageCommand::History(args) => images::history(&args, home),
        ImageCommand::Import(args) => import::run(&args, home),
        ImageCommand::Inspect(args) => {
            inspect::of_kind("image", args.images, args.format, false, home)
        }
        ImageCommand::Load(args) => archives::load(&args, home),
        ImageCommand::Ls(args) => images::list(&args, home),
        ImageCommand::Prune(args) => image_prune::run(&args, home),
        ImageCommand::Pull(args) => registries::pull(&args, home),
        ImageCommand::Push(args) => registries::push(&args, home),
        ImageCommand::Rm(args) => images::remove(&args, home),
        ImageCommand::Save(args) => archives::save(&args, home),
        ImageCommand::Tag(args) => images::tag(&args, home),
    }
}
