//! `rbuild check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::Pair;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where the files that COPY and ADD can see are: a directory, an archive, a git repository
    /// (https://HOST/REPO.git#REF:DIRECTORY), an http or https URL of an archive or a Dockerfile, or
    /// - for one of both on standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub context: String,

    /// Dockerfile: a file, an http or https URL, or - for standard input [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Check only what this stage needs [default: all stages]
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,

    /// Value of an ARG; without `=` it comes from the environment (repeatable)
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub build_args: Vec<String>,

    /// A further context, as for a build (repeatable)
    #[arg(long = "build-context", value_name = "NAME=VALUE")]
    pub build_contexts: Vec<Pair>,

    /// Machine that the image would be for
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    pub platforms: Vec<String>,

    /// Ask the registry again which image each name stands for
    #[arg(long)]
    pub pull: bool,

    /// Rewrite what can be rewritten without changing what a build makes; a Dockerfile from standard
    /// input is written to standard output
    #[arg(long)]
    pub fix: bool,

    /// With --fix: write nothing, print what would change as a unified diff
    #[arg(long, requires = "fix")]
    pub dry_run: bool,

    /// The same as --fix --dry-run
    #[arg(long)]
    pub diff: bool,

    /// How findings are shown
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines of the file and a summary
    Text,
    /// BuildKit's fields
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}
