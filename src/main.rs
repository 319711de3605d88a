//! The `rbuild` binary: the only code that prints, reads the environment and picks exit codes.

mod cli;
mod progress;
mod report;

use clap::Parser;

fn main() {
    let _ = cli::Cli::parse_from(cli::with_default_command(std::env::args_os().collect()));
}
