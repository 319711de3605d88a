//! Commands about containers, one file each.

mod attach;
mod commit;
mod cp;
mod create;
mod diff;
mod exec;
mod export;
mod kill;
mod logs;
mod ls;
mod pause;
mod port;
pub mod prune;
mod rename;
mod restart;
mod rm;
mod run;
mod start;
mod stats;
mod stop;
mod top;
mod update;
mod wait;

use crate::cli::container::{ContainerCommand, ContainerVerb, ListArgs};
use crate::commands::inspect;
use crate::home::Home;
use crate::report::{Class, Failure};

/// Commands of the top level.
pub fn verb(verb: ContainerVerb, home: &Home) -> anyhow::Result<u8> {
    match verb {
        ContainerVerb::Run(args) => run::run(&args, home),
        ContainerVerb::Create(args) => create::run(&args, home),
        ContainerVerb::Start(args) => start::run(&args, home),
        ContainerVerb::Stop(args) => stop::run(&args, home),
        ContainerVerb::Restart(args) => restart::run(&args, home),
        ContainerVerb::Kill(args) => kill::run(&args, home),
        ContainerVerb::Pause(args) => pause::run(&args, home),
        ContainerVerb::Unpause(args) => pause::undo(&args, home),
        ContainerVerb::Wait(args) => wait::run(&args, home),
        ContainerVerb::Rm(args) => rm::run(&args, home),
        ContainerVerb::Rename(args) => rename::run(&args, home),
        ContainerVerb::Update(args) => update::run(&args, home),
        ContainerVerb::Exec(args) => exec::run(&args, home),
        ContainerVerb::Attach(args) => attach::run(&args, home),
        ContainerVerb::Logs(args) => logs::run(&args, home),
        ContainerVerb::Top(args) => top::run(&args, home),
        ContainerVerb::Stats(args) => stats::run(&args, home),
        ContainerVerb::Port(args) => port::run(&args, home),
        ContainerVerb::Commit(args) => commit::run(&args, home),
        ContainerVerb::Cp(args) => cp::run(&args, home),
        ContainerVerb::Diff(args) => diff::run(&args, home),
        ContainerVerb::Export(args) => export::run(&args, home),
    }
}

/// Commands under `container`.
pub fn command(command: ContainerCommand, home: &Home) -> anyhow::Result<u8> {
    match command {
        ContainerCommand::Verb(command) => verb(command, home),
        ContainerCommand::Ls(args) => list(&args, home),
        ContainerCommand::Inspect(args) => {
            inspect::of_kind("container", args.containers, args.format, args.size, home)
        }
        ContainerCommand::Prune(args) => prune::run(&args, home),
    }
}

/// `ps`.
pub fn list(args: &ListArgs, home: &Home) -> anyhow::Result<u8> {
    ls::run(args, home)
}

/// Does something with each of the things that are named, and prints what it answers; what went
/// wrong is said afterwards, and the exit code is 1.
pub fn each(
    texts: &[String],
    mut act: impl FnMut(&str) -> Result<Option<String>, Failure>,
) -> anyhow::Result<u8> {
    let mut failures = Vec::new();
    for text in texts {
        match act(text) {
            Ok(Some(said)) => crate::output::print(&format!("{said}\n"))?,
            Ok(None) => {}
            Err(failure) => failures.push(failure),
        }
    }
    match Failure::all(failures) {
        None => Ok(0),
        Some(mut failure) => {
            if !matches!(failure.class, Class::Unread) {
                failure.class = Class::Refused;
            }
            Err(failure.into())
        }
    }
}

/// Asks before something is removed for ever.
pub fn confirmed(warning: &str) -> Result<bool, Failure> {
    crate::output::print(&format!(
        "WARNING! {warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
