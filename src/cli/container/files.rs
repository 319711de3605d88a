//! Files that go into containers and come out of them.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `commit`.
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Who made the image
    #[arg(short, long, value_name = "TEXT")]
    pub author: Option<String>,
    /// A Dockerfile instruction for the configuration (repeatable)
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub changes: Vec<String>,
    /// Comment in the history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Let the container stand still meanwhile
    #[arg(short, long, default_value_t = true, hide_default_value = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub pause: bool,
    /// Name or id
    pub container: String,
    /// Name of the image
    #[arg(value_name = "NAME[:TAG]")]
    pub name: Option<String>,
}

/// Arguments of `cp`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Keep owner and group
    #[arg(short, long)]
    pub archive: bool,
    /// Follow the link that the source is
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// CONTAINER:PATH, PATH, or - for a tar on standard input
    #[arg(allow_hyphen_values = true)]
    pub source: String,
    /// CONTAINER:PATH, PATH, or - for a tar on standard output
    #[arg(allow_hyphen_values = true)]
    pub destination: String,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Name or id
    pub container: String,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// File [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Name or id
    pub container: String,
}
