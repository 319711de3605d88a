//! From create to rm.

use clap::Args;

use super::flags::{Flags, LimitFlags};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Come back when it has started, and print its id
    #[arg(short, long)]
    pub detach: bool,
    /// Pass signals on to the process
    #[arg(long, default_value_t = true, hide_default_value = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub sig_proxy: bool,
    /// Keys that leave the container running [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// How it is made.
    #[command(flatten)]
    pub flags: Flags,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// How it is made.
    #[command(flatten)]
    pub flags: Flags,
}

/// Arguments of `start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Attach output, pass signals on, and end with the container's exit code
    #[arg(short, long)]
    pub attach: bool,
    /// Attach standard input
    #[arg(short, long)]
    pub interactive: bool,
    /// Keys that leave the container running [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Arguments of `stop` and `restart`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Seconds to wait before it is killed; -1 to wait for ever
    #[arg(
        short,
        long,
        visible_alias = "timeout",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub time: Option<i64>,
    /// Signal, instead of the container's
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Arguments of `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Signal
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Arguments of commands that take nothing but containers.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Arguments of `rm`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Kill those that run
    #[arg(short, long)]
    pub force: bool,
    /// Remove their unnamed volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// Remove a link instead: not done, refused
    #[arg(short, long, hide = true)]
    pub link: bool,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Arguments of `rename`.
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Name or id
    pub container: String,
    /// New name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Arguments of `update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// What to do when it ends: no, on-failure, on-failure:TIMES, always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// How much it may use.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}
