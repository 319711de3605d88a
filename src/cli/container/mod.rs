//! Commands about containers: docker's names, at the top level and under `container`.

mod files;
mod flags;
mod life;
mod list;
mod talk;

use clap::{Args, Subcommand};

pub use files::{CommitArgs, CopyArgs, DiffArgs, ExportArgs};
pub use flags::{Flags, HealthFlags, LimitFlags, Whole};
pub use life::{
    CreateArgs, KillArgs, NamesArgs, RemoveArgs, RenameArgs, RunArgs, StartArgs, StopArgs,
    UpdateArgs,
};
pub use list::{ContainerInspectArgs, ContainerPruneArgs, ListArgs, PortArgs};
pub use talk::{AttachArgs, ExecArgs, LogsArgs, StatsArgs, TopArgs};

/// Commands that are found at the top level and under `container`.
#[derive(Debug, Subcommand)]
pub enum ContainerVerb {
    /// Make a container from an image and start it
    Run(Box<RunArgs>),
    /// Make a container from an image
    Create(Box<CreateArgs>),
    /// Start containers
    Start(StartArgs),
    /// Stop containers
    Stop(StopArgs),
    /// Stop containers and start them again
    Restart(StopArgs),
    /// Send a signal to containers
    Kill(KillArgs),
    /// Let all processes of containers stand still
    Pause(NamesArgs),
    /// Let them go on
    Unpause(NamesArgs),
    /// Wait until containers end, and print their exit codes
    Wait(NamesArgs),
    /// Remove containers
    Rm(RemoveArgs),
    /// Give a container another name
    Rename(RenameArgs),
    /// Change limits and restart policy of containers
    Update(Box<UpdateArgs>),
    /// Start another process in a running container
    Exec(Box<ExecArgs>),
    /// Join a running container's input and output
    Attach(AttachArgs),
    /// Show what a container wrote
    Logs(LogsArgs),
    /// Show the processes of a container
    Top(TopArgs),
    /// Show what containers use
    Stats(StatsArgs),
    /// Show the published ports of a container
    Port(PortArgs),
    /// Make an image of what a container changed
    Commit(CommitArgs),
    /// Copy files between a container and the host
    Cp(CopyArgs),
    /// Show which files a container changed
    Diff(DiffArgs),
    /// Write all files of a container to a tar
    Export(ExportArgs),
}

/// Arguments of `container`.
#[derive(Debug, Args)]
pub struct ContainerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ContainerCommand,
}

/// Commands under `container`.
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Those of the top level.
    #[command(flatten)]
    Verb(ContainerVerb),
    /// List containers
    #[command(aliases = ["ps", "list"])]
    Ls(ListArgs),
    /// Show everything that is known of containers
    Inspect(ContainerInspectArgs),
    /// Remove all containers that do not run
    Prune(ContainerPruneArgs),
}
