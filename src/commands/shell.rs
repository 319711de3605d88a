//! `completions` and `man`: what shells and man(1) want to know of the arguments.

use std::io::Write;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::store::{CompletionsArgs, ManArgs};

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rbuild", &mut script);
    std::io::stdout()
        .write_all(&script)
        .context("cannot write the script")?;
    Ok(0)
}

/// Prints rbuild(1), or writes the pages of all commands.
pub fn man(args: &ManArgs) -> anyhow::Result<u8> {
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
            clap_mangen::generate_to(Cli::command(), dir)
                .with_context(|| format!("cannot write pages to {}", dir.display()))?;
        }
        None => {
            clap_mangen::Man::new(Cli::command())
                .render(&mut std::io::stdout())
                .context("cannot write the page")?;
        }
    }
    Ok(0)
}
