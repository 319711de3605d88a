//! `context`: what a build could see.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `context`.
#[derive(Debug, Args)]
pub struct ContextArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ContextCommand,
}

/// Commands under `context`.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List what COPY can see of a directory, and what the ignore file leaves out by which rule
    Ls(ContextListArgs),
}

/// Arguments of `context ls`.
#[derive(Debug, Args)]
pub struct ContextListArgs {
    /// The directory
    #[arg(value_name = "PATH", default_value = ".")]
    pub context: PathBuf,

    /// Dockerfile, whose own ignore file comes before the directory's [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// table, json, or a template with .Path, .Seen, .Rule and .Line
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}
