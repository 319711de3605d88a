//! What a plan is made from: arguments that a build and whatever only looks at its plan have in common.

use std::path::PathBuf;

use clap::Args;

use super::value::{ExtraHost, Pair, SecretSource, SshAgent};

/// Arguments that decide what is to be built.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Where the files that COPY and ADD can see are: a directory, an archive, a git repository
    /// (https://HOST/REPO.git#REF:DIRECTORY), an http or https URL of an archive or a Dockerfile, or
    /// - for one of both on standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub context: String,

    /// Dockerfile: a file, an http or https URL, or - for standard input [default: PATH/Dockerfile]
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

    /// A further context: a directory, an archive, a git repository, an http or https URL,
    /// docker-image://NAME or oci-layout://DIRECTORY:TAG@DIGEST (repeatable)
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

    /// Allow what the default isolation forbids: network.host, security.insecure, device[=NAME]
    #[arg(help_heading = "RUN", long, value_name = "ENTITLEMENT")]
    pub allow: Vec<String>,

    /// Where devices of RUN --device are described, instead of /etc/cdi and /var/run/cdi (repeatable)
    #[arg(help_heading = "RUN", long = "cdi-spec-dir", value_name = "DIR")]
    pub cdi_spec_dirs: Vec<PathBuf>,

    /// A limit of RUN's processes (repeatable)
    #[arg(help_heading = "RUN", long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    pub ulimits: Vec<String>,

    /// Control group under which RUN's processes are put
    #[arg(help_heading = "RUN", long, value_name = "GROUP")]
    pub cgroup_parent: Option<String>,

    /// Size of /dev/shm in RUN
    #[arg(help_heading = "RUN", long, value_name = "BYTES", value_parser = super::value::size)]
    pub shm_size: Option<u64>,
}
