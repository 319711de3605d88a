//! `volume`: docker's names.

use clap::{Args, Subcommand};

use super::value::Pair;

/// Arguments of `volume`.
#[derive(Debug, Args)]
pub struct VolumeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: VolumeCommand,
}

/// Commands under `volume`.
#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Make a volume
    Create(VolumeCreateArgs),
    /// List volumes
    #[command(alias = "list")]
    Ls(VolumeListArgs),
    /// Show everything that is known of volumes
    Inspect(VolumeInspectArgs),
    /// Remove volumes
    #[command(alias = "remove")]
    Rm(VolumeRemoveArgs),
    /// Remove all volumes that no container uses
    Prune(VolumePruneArgs),
}

/// Arguments of `volume create`.
#[derive(Debug, Args)]
pub struct VolumeCreateArgs {
    /// Driver: local
    #[arg(
        short,
        long,
        default_value = "local",
        hide_default_value = true,
        value_name = "DRIVER"
    )]
    pub driver: String,
    /// What is said of the volume (repeatable)
    #[arg(long = "label", value_name = "NAME[=VALUE]")]
    pub labels: Vec<String>,
    /// An option of the driver: not done, refused
    #[arg(short, long = "opt", value_name = "NAME=VALUE", hide = true)]
    pub options: Vec<String>,
    /// Name, as it was said before it was an argument
    #[arg(long, value_name = "NAME", hide = true)]
    pub name: Option<String>,
    /// Name [default: random digits]
    #[arg(value_name = "NAME")]
    pub volume: Option<String>,
}

/// Arguments of `volume ls`.
#[derive(Debug, Args)]
pub struct VolumeListArgs {
    /// Show only volumes of which this holds: name=…, label=…, driver=…, dangling=… (repeatable)
    #[arg(short, long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
    /// Print `json`, or each volume by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print names alone
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `volume inspect`.
#[derive(Debug, Args)]
pub struct VolumeInspectArgs {
    /// A Go template, such as `{{.Mountpoint}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Names
    #[arg(required = true, value_name = "VOLUME")]
    pub volumes: Vec<String>,
}

/// Arguments of `volume rm`.
#[derive(Debug, Args)]
pub struct VolumeRemoveArgs {
    /// What is not there is no error
    #[arg(short, long)]
    pub force: bool,
    /// Names
    #[arg(required = true, value_name = "VOLUME")]
    pub volumes: Vec<String>,
}

/// Arguments of `volume prune`.
#[derive(Debug, Args)]
pub struct VolumePruneArgs {
    /// Remove volumes that somebody named too, as is done anyway
    #[arg(short, long)]
    pub all: bool,
    /// Ask nothing
    #[arg(short, long)]
    pub force: bool,
    /// Remove only volumes of which this holds: label=…, label!=… (repeatable)
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
}
