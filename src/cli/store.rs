//! Commands about the store and the machine.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// Step: its number, or a part of its text [default: every step that ran]
    #[arg(value_name = "STEP")]
    pub step: Option<String>,
    /// Build to look at, by its id [default: the last one]
    #[arg(long, value_name = "ID")]
    pub build: Option<String>,
}

/// Arguments of `du`.
#[derive(Debug, Args)]
pub struct DuArgs {
    /// Show every record
    #[arg(short, long)]
    pub verbose: bool,
    /// Print `json`
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub format: Option<String>,
}

/// Arguments of `prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Remove all records, not only those that nothing uses
    #[arg(short, long)]
    pub all: bool,
    /// Only what this says: until=24h, type=exec.cachemount|regular|source.local, id=… (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<super::value::Pair>,
    /// Keep this much of the most recently used
    #[arg(long, value_name = "BYTES", value_parser = super::value::size, alias = "reserved-space")]
    pub keep_storage: Option<u64>,
    /// Say what would go, and keep it
    #[arg(long)]
    pub dry_run: bool,
    /// Ask nothing (nothing is asked anyway)
    #[arg(short, long, hide = true)]
    pub force: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print `json`
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub format: Option<String>,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory for the pages of all commands [default: print rbuild(1)]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
