//! `rbuild run`: docker's names.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct RunArgs {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,

    /// Remove the container when it ends, as is always done: containers are not kept yet
    #[arg(long)]
    pub rm: bool,

    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,

    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,

    /// A variable; without `=` it comes from the environment (repeatable)
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,

    /// A file of variables (repeatable)
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,

    /// A directory or file of the host's (repeatable)
    #[arg(short, long = "volume", value_name = "HOST:CONTAINER[:ro]")]
    pub volumes: Vec<String>,

    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,

    /// User: name or id, with an optional group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// Program to start instead of the image's; clears its CMD
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,

    /// Host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,

    /// Network: host or none
    #[arg(long, value_name = "MODE", default_value = "host", value_parser = ["host", "none"])]
    pub network: String,

    /// Name of the container while it runs
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// A line of /etc/hosts (repeatable)
    #[arg(long = "add-host", value_name = "HOST:ADDRESS")]
    pub extra_hosts: Vec<super::value::ExtraHost>,

    /// The process cannot write to the image's file system
    #[arg(long)]
    pub read_only: bool,

    /// A limit of the processes (repeatable)
    #[arg(long = "ulimit", value_name = "NAME=SOFT[:HARD]")]
    pub ulimits: Vec<String>,

    /// When to ask the registry for the image: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = ["always", "missing", "never"])]
    pub pull: String,

    /// Run detached: not done yet, refused
    #[arg(short, long, hide = true)]
    pub detach: bool,

    /// Publish a port: not done yet, refused
    #[arg(short, long, hide = true, value_name = "PORTS")]
    pub publish: Vec<String>,

    /// Image
    #[arg(value_name = "IMAGE")]
    pub image: String,

    /// Command and its arguments, instead of the image's
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<String>,
}
