//! Commands about the whole: docker's `system`, `info` and `version`.

use clap::{Args, Subcommand};

use super::value::Pair;

/// Arguments of `system`.
#[derive(Debug, Args)]
pub struct SystemArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SystemCommand,
}

/// What to do with the store as a whole.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show how much room images, containers, volumes and the build cache take
    Df(DfArgs),
    /// Show what there is, and what this machine can do
    Info(InfoArgs),
    /// Remove containers, networks and images that nothing uses, and the build cache
    Prune(SystemPruneArgs),
    /// Remove the whole store, also what an ordinary rm cannot
    Reset,
}

/// Arguments of `system df`.
#[derive(Debug, Args)]
pub struct DfArgs {
    /// Show each image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
    /// Print `json`, or each kind by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Arguments of `info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A Go template, such as `{{.Driver}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
}

/// Arguments of `version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// A Go template, such as `{{.Client.Version}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
}

/// Arguments of `system prune`.
#[derive(Debug, Args)]
pub struct SystemPruneArgs {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub force: bool,
    /// Remove volumes that no container uses too
    #[arg(long)]
    pub volumes: bool,
    /// Remove only that of which this holds: until=24h, label=…, label!=… (repeatable)
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
}
