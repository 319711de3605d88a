//! `rbuild build`: docker's and buildx's names.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::call::Call;
use super::plan::PlanArgs;
use super::value::Output;

/// Arguments of a build.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// What is to be built.
    #[command(flatten)]
    pub plan: PlanArgs,

    /// Name of the image (repeatable)
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    pub tags: Vec<String>,

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

    /// What RUN's processes may use, where control groups of version 2 are: memory, memory-swap,
    /// cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems (repeatable)
    #[arg(help_heading = "RUN", long = "resource", value_name = "NAME=VALUE")]
    pub resources: Vec<String>,

    /// The same in older words
    #[command(flatten)]
    pub old_limits: OldLimits,

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

/// Limits as docker's first builder had them; today's has them still, unlisted.
#[derive(Debug, Args)]
pub struct OldLimits {
    #[arg(short, long, hide = true, value_name = "BYTES")]
    memory: Option<String>,
    #[arg(long, hide = true, value_name = "BYTES", allow_negative_numbers = true)]
    memory_swap: Option<String>,
    #[arg(short, long, hide = true, value_name = "NUMBER")]
    cpu_shares: Option<String>,
    #[arg(long, hide = true, value_name = "MICROSECONDS")]
    cpu_period: Option<String>,
    #[arg(long, hide = true, value_name = "MICROSECONDS")]
    cpu_quota: Option<String>,
    #[arg(long, hide = true, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    #[arg(long, hide = true, value_name = "LIST")]
    cpuset_mems: Option<String>,
}

impl BuildArgs {
    /// What RUN's processes may use, each as `--resource` has it.
    pub fn limits(&self) -> Vec<String> {
        let old = &self.old_limits;
        let given = [
            ("memory", &old.memory),
            ("memory-swap", &old.memory_swap),
            ("cpu-shares", &old.cpu_shares),
            ("cpu-period", &old.cpu_period),
            ("cpu-quota", &old.cpu_quota),
            ("cpuset-cpus", &old.cpuset_cpus),
            ("cpuset-mems", &old.cpuset_mems),
        ];
        let old = given
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        self.resources.iter().cloned().chain(old).collect()
    }
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
    #[arg(long, hide = true, value_name = "X", action = ArgAction::Append)]
    policy: Vec<String>,
    #[arg(long, hide = true)]
    squash: bool,
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
            (!self.policy.is_empty(), "--policy"),
            (self.squash, "--squash"),
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
