//! `rbuild build`: docker's and buildx's names.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::call::Call;
use super::value::{ExtraHost, Output, Pair, SecretSource, SshAgent};

/// Arguments of a build.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Where the files that COPY and ADD can see are: a directory, a git repository
    /// (https://HOST/REPO.git#REF:DIRECTORY), an http or https URL of an archive or a Dockerfile, or
    /// - for one of both on standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub context: String,

    /// Name of the image (repeatable)
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    pub tags: Vec<String>,

    /// Dockerfile, - for standard input [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Stage to build [default: the last one]
    #[arg(help_heading = "What is built", long, value_name = "STAGE")]
    pub target: Option<String>,

    /// Value of an ARG; without `=` it comes from the environment (repeatable)
    #[arg(
        help_heading = "What is built",
        long = "build-arg",
        value_name = "NAME[=VALUE]"
    )]
    pub build_args: Vec<String>,

    /// A further context: a directory, a git repository, an http or https URL, docker-image://NAME or
    /// oci-layout://DIRECTORY (repeatable)
    #[arg(
        help_heading = "What is built",
        long = "build-context",
        value_name = "NAME=VALUE"
    )]
    pub build_contexts: Vec<Pair>,

    /// A secret for RUN --mount=type=secret (repeatable)
    #[arg(
        help_heading = "RUN",
        long = "secret",
        value_name = "id=ID[,src=FILE|,env=NAME]"
    )]
    pub secrets: Vec<SecretSource>,

    /// An SSH agent for RUN --mount=type=ssh (repeatable)
    #[arg(help_heading = "RUN", long = "ssh", value_name = "default|ID[=SOCKET]")]
    pub ssh: Vec<SshAgent>,

    /// A label of the image (repeatable)
    #[arg(
        help_heading = "What is built",
        long = "label",
        value_name = "NAME=VALUE"
    )]
    pub labels: Vec<Pair>,

    /// Machine that the image is for, such as linux/arm64
    #[arg(
        help_heading = "What is built",
        long = "platform",
        value_name = "OS/ARCH",
        value_delimiter = ',',
        env = "DOCKER_DEFAULT_PLATFORM",
        hide_env = true
    )]
    pub platforms: Vec<String>,

    /// Network of RUN
    #[arg(help_heading = "RUN", long, value_name = "MODE", default_value = "default", value_parser = ["default", "none", "host"])]
    pub network: String,

    /// A line of /etc/hosts in RUN (repeatable)
    #[arg(help_heading = "RUN", long = "add-host", value_name = "HOST:ADDRESS")]
    pub extra_hosts: Vec<ExtraHost>,

    /// Take nothing from the cache
    #[arg(help_heading = "Cache", long)]
    pub no_cache: bool,

    /// Take nothing from the cache for these stages
    #[arg(
        help_heading = "Cache",
        long,
        value_name = "STAGE",
        value_delimiter = ','
    )]
    pub no_cache_filter: Vec<String>,

    /// Ask the registry again which image each name stands for
    #[arg(help_heading = "Cache", long)]
    pub pull: bool,

    /// Where the result goes: type=oci|docker|local|tar|registry[,dest=…], or a directory (repeatable)
    #[arg(help_heading = "Result", short, long = "output", value_name = "SPEC")]
    pub outputs: Vec<Output>,

    /// Keep the image in the store (as every build with a name does)
    #[arg(help_heading = "Result", long)]
    pub load: bool,

    /// Send the image to the registry of its name
    #[arg(help_heading = "Result", long)]
    pub push: bool,

    /// How progress is shown: auto (tty on a terminal, else plain), tty (running steps with their
    /// last lines), plain (a line for each thing that happens), json (an object a line) or quiet
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        hide_possible_values = true,
        env = "BUILDKIT_PROGRESS",
        hide_env = true
    )]
    pub progress: Progress,

    /// Print only the image's id
    #[arg(short, long)]
    pub quiet: bool,

    /// Write the image's id to a file
    #[arg(help_heading = "Result", long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,

    /// Write digests of the result to a file, as JSON
    #[arg(help_heading = "Result", long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,

    /// Steps that run at once [default: 16]
    #[arg(help_heading = "Cache", long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Allow what the default isolation forbids: network.host, security.insecure
    #[arg(
        help_heading = "RUN",
        long,
        value_name = "ENTITLEMENT",
        value_delimiter = ','
    )]
    pub allow: Vec<String>,

    /// A limit of RUN's processes (repeatable)
    #[arg(help_heading = "RUN", long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    pub ulimits: Vec<String>,

    /// Size of /dev/shm in RUN
    #[arg(help_heading = "RUN", long, value_name = "BYTES", value_parser = super::value::size)]
    pub shm_size: Option<u64>,

    /// Give RUN the host's certificate bundle, read-only, outside layers and keys
    #[arg(help_heading = "RUN", long)]
    pub host_certs: bool,

    /// Check the Dockerfile, with these flags, instead of building it
    #[arg(help_heading = "What is built", long, conflicts_with = "call")]
    pub check: bool,

    /// What to do: build, check, outline (parameters of the target) or targets (stages); as JSON
    /// with ,format=json
    #[arg(
        help_heading = "What is built",
        long,
        value_name = "METHOD[,format=json]",
        default_value = "build"
    )]
    pub call: Call,

    /// Flags of docker and buildx that are not done yet, each refused by name.
    #[command(flatten)]
    pub unfinished: Unfinished,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// `tty` on a terminal, `plain` elsewhere
    Auto,
    /// Running steps with their last lines
    Tty,
    /// One line for each thing that happens
    Plain,
    /// One JSON object a line
    #[value(alias = "rawjson")]
    Json,
    /// Errors alone
    #[value(alias = "none")]
    Quiet,
}

/// Flags that docker and buildx have and rbuild does not yet: accepted by the parser only so that
/// they can be refused by name with a reason.
#[derive(Debug, Args)]
#[command(next_help_heading = "Not done yet")]
pub struct Unfinished {
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    cache_from: Vec<String>,
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    cache_to: Vec<String>,
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    annotation: Vec<String>,
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    attest: Vec<String>,
    #[arg(long, hide = true, value_name = "X", num_args = 0..=1, default_missing_value = "true")]
    sbom: Option<String>,
    #[arg(long, hide = true, value_name = "X", num_args = 0..=1, default_missing_value = "true")]
    provenance: Option<String>,
    #[arg(long, hide = true, value_name = "X")]
    builder: Option<String>,
    #[arg(long, hide = true, value_name = "X")]
    cgroup_parent: Option<String>,
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    resource: Vec<String>,
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    policy: Vec<String>,
    #[arg(long, hide = true)]
    squash: bool,
    #[arg(short = 'm', long, hide = true, value_name = "X")]
    memory: Option<String>,
    #[arg(long, hide = true, value_name = "X")]
    cpus: Option<String>,
}

impl Unfinished {
    /// The first of these flags that was given.
    pub fn first(&self) -> Option<&'static str> {
        let given = [
            (!self.cache_from.is_empty(), "--cache-from"),
            (!self.cache_to.is_empty(), "--cache-to"),
            (!self.annotation.is_empty(), "--annotation"),
            (!self.attest.is_empty(), "--attest"),
            (asks(self.sbom.as_ref()), "--sbom"),
            (asks(self.provenance.as_ref()), "--provenance"),
            (self.builder.is_some(), "--builder"),
            (self.cgroup_parent.is_some(), "--cgroup-parent"),
            (!self.resource.is_empty(), "--resource"),
            (!self.policy.is_empty(), "--policy"),
            (self.squash, "--squash"),
            (self.memory.is_some(), "--memory"),
            (self.cpus.is_some(), "--cpus"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, flag)| is_given.then_some(flag))
    }
}

/// Whether a flag such as `--provenance` asks for something: `--provenance=false` asks for nothing,
/// which is what happens.
fn asks(value: Option<&String>) -> bool {
    value.is_some_and(|value| value != "false")
}
