//! The arguments, grouped as `--help` shows them. Nothing here acts.

pub mod build;
pub mod call;
pub mod check;
pub mod container;
pub mod context;
pub mod graph;
pub mod image;
pub mod images;
pub mod network;
pub mod plan;
pub mod store;
pub mod system;
mod usage;
pub mod value;
pub mod volume;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use build::BuildArgs;
pub use usage::parse;

const EXAMPLES: &str = "\
Examples:
  rbuild .                            build the Dockerfile of this directory
  rbuild -t app:1 -f deploy/Dockerfile .
  rbuild https://example.org/app.git#v1:deploy
  rbuild graph .                      draw the plan, and what of it is cached
  rbuild why                          say why each step of the last build ran again
  rbuild run --rm app:1               start what came out
  rbuild . -o type=oci,dest=app.tar   write an OCI archive

`rbuild .`, `rbuild PATH` and `rbuild build PATH` are one thing.";

/// Builds container images from Dockerfiles and runs them: one binary, no daemon.
#[derive(Debug, Parser)]
#[command(name = "rbuild", version, after_help = EXAMPLES, disable_help_subcommand = true, disable_version_flag = true, arg_required_else_help = true, args_override_self = true)]
pub struct Cli {
    /// Print version
    #[arg(short = 'V', short_alias = 'v', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,

    /// State directory [default: /var/lib/rbuild, or $XDG_DATA_HOME/rbuild when rootless]
    #[arg(
        long,
        global = true,
        env = "RBUILD_ROOT",
        value_name = "DIR",
        hide_env = true,
        help_heading = "Everywhere",
        display_order = 900
    )]
    pub root: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image from a Dockerfile
    Build(Box<BuildArgs>),
    /// Say what is legal and yet not right in a Dockerfile, and what its build would fail of
    Check(check::CheckArgs),
    /// Draw the plan of a build, with what of it is in the cache; nothing is built
    Graph(Box<graph::GraphArgs>),
    /// Say why a step of the last build ran instead of coming from the cache
    Why(store::WhyArgs),
    /// Commands about containers.
    #[command(flatten)]
    Verb(container::ContainerVerb),
    /// List containers
    Ps(container::ListArgs),
    /// Commands about containers
    Container(container::ContainerArgs),
    /// Commands about contexts
    Context(context::ContextArgs),
    /// Commands about images
    Image(image::ImageArgs),
    /// Commands about networks
    Network(network::NetworkArgs),
    /// Commands about volumes
    Volume(volume::VolumeArgs),
    /// List images
    Images(images::ImagesArgs),
    /// Give an image another name
    Tag(images::TagArgs),
    /// Remove images
    Rmi(images::RmiArgs),
    /// Show how an image was made
    History(images::HistoryArgs),
    /// Show everything that is known of containers, images and volumes
    Inspect(images::InspectArgs),
    /// Make an image from a root file system tar
    Import(images::ImportArgs),
    /// Write images to an archive that docker and OCI tools load
    Save(images::SaveArgs),
    /// Read images from an archive
    Load(images::LoadArgs),
    /// Fetch an image from a registry
    Pull(images::PullArgs),
    /// Send an image to a registry
    Push(images::PushArgs),
    /// Show what the store holds and how large it is
    Du(store::DuArgs),
    /// Remove what is no longer needed from the store
    Prune(store::PruneArgs),
    /// Say what of this machine rbuild can use, and how to get what is missing
    Doctor(store::DoctorArgs),
    /// Look after the store as a whole
    System(system::SystemArgs),
    /// Show what there is, and what this machine can do
    Info(system::InfoArgs),
    /// Show which rbuild this is
    Version(system::VersionArgs),
    /// Print a completion script for a shell
    Completions(store::CompletionsArgs),
    /// Print the manual page, or write all of them to a directory
    Man(store::ManArgs),
}

/// Words that cannot be a context: `rbuild run` is the command, `rbuild ./run` the directory.
fn names_a_command(all: &clap::Command, word: &str) -> bool {
    all.get_subcommands().any(|command| {
        command.get_name() == word || command.get_all_aliases().any(|alias| alias == word)
    })
}

/// A typing error of a command, and nothing that could be a context. Such a word stands alone:
/// clap then says which command is similar.
fn nearly_names_a_command(all: &clap::Command, word: &str) -> bool {
    let is_word = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_word || std::path::Path::new(word).exists() {
        return false;
    }
    let names = all.get_subcommands().map(clap::Command::get_name);
    frontend::suggest::nearest(word, names).is_some()
}

/// Puts `build` in front of arguments that name no command of `all`, so that `rbuild .` is
/// `rbuild build .`.
pub fn with_default_command(arguments: Vec<OsString>, all: &clap::Command) -> Vec<OsString> {
    let mut position = 1;
    while let Some(argument) = arguments.get(position) {
        match argument.to_str() {
            Some("--help" | "-h" | "--version" | "-V" | "-v") => return arguments,
            Some("--root") => position += 2,
            Some(text) if text.starts_with("--root=") => position += 1,
            Some(text) if names_a_command(all, text) || nearly_names_a_command(all, text) => {
                return arguments;
            }
            _ => break,
        }
    }
    if arguments.len() <= 1 {
        return arguments;
    }
    let mut completed = arguments;
    completed.insert(position.min(completed.len()), "build".into());
    completed
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn completed(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        with_default_command(words, &Cli::command())
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn build_is_the_default_command() {
        for (written, meant) in [
            ("rbuild .", "rbuild build ."),
            ("rbuild -t x .", "rbuild build -t x ."),
            ("rbuild --root r .", "rbuild --root r build ."),
            ("rbuild --root=r images", "rbuild --root=r images"),
            ("rbuild run x", "rbuild run x"),
            ("rbuild ./run", "rbuild build ./run"),
            ("rbuild --help", "rbuild --help"),
            ("rbuild", "rbuild"),
        ] {
            assert_eq!(completed(written), meant);
        }
    }
}
