//! `image`: the commands about images, under docker's newer names.

use clap::{Args, Subcommand};

use super::images::{
    HistoryArgs, ImagesArgs, ImportArgs, LoadArgs, PullArgs, PushArgs, RmiArgs, SaveArgs, TagArgs,
};

/// Arguments of `image`.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ImageCommand,
}

/// Commands under `image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(Box<super::BuildArgs>),
    /// Show how an image was made
    History(HistoryArgs),
    /// Make an image from a root file system tar
    Import(ImportArgs),
    /// Show everything that is known of images
    Inspect(ImageInspectArgs),
    /// Read images from an archive
    Load(LoadArgs),
    /// List images
    #[command(aliases = ["list"])]
    Ls(ImagesArgs),
    /// Remove images that have no name, or that no container uses
    Prune(ImagePruneArgs),
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// Send an image to a registry
    Push(PushArgs),
    /// Remove images
    #[command(aliases = ["remove"])]
    Rm(RmiArgs),
    /// Write images to an archive that docker and OCI tools load
    Save(SaveArgs),
    /// Give an image another name
    Tag(TagArgs),
}

/// Arguments of `image prune`.
#[derive(Debug, Args)]
pub struct ImagePruneArgs {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Remove only images of which this holds: until=24h, label=…, label!=… (repeatable)
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<super::value::Pair>,
    /// Ask nothing
    #[arg(short, long)]
    pub force: bool,
}

/// Arguments of `image inspect`.
#[derive(Debug, Args)]
pub struct ImageInspectArgs {
    /// A Go template, such as `{{.Config.Cmd}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
}
