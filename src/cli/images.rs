//! Commands about images: docker's names.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `images`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Show only images of this name
    #[arg(value_name = "NAME[:TAG]")]
    pub name: Option<String>,
    /// Show all, as is done anyway: there are no images in between
    #[arg(short, long)]
    pub all: bool,
    /// Print ids alone
    #[arg(short, long)]
    pub quiet: bool,
    /// Show manifest digests
    #[arg(long)]
    pub digests: bool,
    /// Do not cut ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Show only images of which this holds: dangling=…, reference=…, label=…, before=…, since=… (repeatable)
    #[arg(short, long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<super::value::Pair>,
    /// Print `json`, or each image by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Arguments of `tag`.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Image
    pub source: String,
    /// New name
    pub target: String,
}

/// Arguments of `rmi`.
#[derive(Debug, Args)]
pub struct RmiArgs {
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Remove an id that has several names
    #[arg(short, long)]
    pub force: bool,
    /// Keep parents without a name, as is done anyway: there are none
    #[arg(long)]
    pub no_prune: bool,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Image
    pub image: String,
    /// Do not cut commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Print sizes and times as people read them
    #[arg(short = 'H', long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub human: bool,
    /// Print ids alone
    #[arg(short, long)]
    pub quiet: bool,
    /// Print `json`, or each line by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Names or ids of containers, images, volumes or networks
    #[arg(required = true, value_name = "NAME|ID")]
    pub objects: Vec<String>,
    /// A Go template, such as `{{.Config.Cmd}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Say how much the files of containers take
    #[arg(short, long)]
    pub size: bool,
    /// Look only among these: container, image, volume or network
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A root file system: a tar (plain or compressed), its URL, a directory, or `-` for standard input
    #[arg(value_name = "FILE|URL|DIR|-")]
    pub source: PathBuf,
    /// Name of the image
    #[arg(value_name = "NAME[:TAG]")]
    pub name: Option<String>,
    /// A Dockerfile instruction for the configuration (repeatable)
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub changes: Vec<String>,
    /// Comment in the history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Machine that the image is for
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
}

/// Arguments of `save`.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Images
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// File [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// File [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `pull`.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Image
    pub image: String,
    /// Machine that the image is for
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Print the name alone
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `push`.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Image
    pub image: String,
    /// Where it goes, if not where its name says
    #[arg(value_name = "NAME[:TAG]")]
    pub remote: Option<String>,
    /// Print the name alone
    #[arg(short, long)]
    pub quiet: bool,
}
