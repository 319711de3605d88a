//! To a running container and from it.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Come back when it has started
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that leave the process running [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// A variable; without `=` it comes from the environment (repeatable)
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// A file of variables (repeatable)
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// All rights
    #[arg(long)]
    pub privileged: bool,
    /// User: name or id, with an optional group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Container, and the command with its arguments
    #[arg(value_names = ["CONTAINER", "COMMAND"], required = true, trailing_var_arg = true, num_args = 2..)]
    pub words: Vec<String>,
}

/// Arguments of `attach`.
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Keys that leave the container running [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Do not attach standard input
    #[arg(long)]
    pub no_stdin: bool,
    /// Pass signals on to the process
    #[arg(long, default_value_t = true, hide_default_value = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub sig_proxy: bool,
    /// Name or id
    pub container: String,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Show attributes that were given to the log
    #[arg(long)]
    pub details: bool,
    /// Go on until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only what was written since: a time, seconds since 1970, or how long ago (10m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what was written until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only so many lines from the end
    #[arg(
        short = 'n',
        long,
        value_name = "NUMBER|all",
        default_value = "all",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    pub tail: String,
    /// Show when each line was written
    #[arg(short, long)]
    pub timestamps: bool,
    /// Name or id
    pub container: String,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Container, and options of ps [default: -ef]
    #[arg(value_names = ["CONTAINER", "PS OPTIONS"], required = true, trailing_var_arg = true, num_args = 1..)]
    pub words: Vec<String>,
}

/// Arguments of `stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    pub all: bool,
    /// Read once
    #[arg(long)]
    pub no_stream: bool,
    /// Do not cut ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Print `json`, or each container by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Names or ids [default: all that run]
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
}
