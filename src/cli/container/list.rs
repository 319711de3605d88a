//! Lists of containers, and what is known of one.

use clap::Args;

use crate::cli::value::Pair;

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    pub all: bool,
    /// Print ids alone
    #[arg(short, long)]
    pub quiet: bool,
    /// Show how much their files take
    #[arg(short, long)]
    pub size: bool,
    /// Show the newest, running or not
    #[arg(short, long)]
    pub latest: bool,
    /// Show the newest NUMBER, running or not
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub last: i64,
    /// Do not cut ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Show only containers of which this holds: status=…, name=…, label=…, ancestor=… (repeatable)
    #[arg(short, long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
    /// Print `json`, or each container by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Arguments of `container inspect`.
#[derive(Debug, Args)]
pub struct ContainerInspectArgs {
    /// A Go template, such as `{{.State.Status}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Say how much its files take
    #[arg(short, long)]
    pub size: bool,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// Arguments of `container prune`.
#[derive(Debug, Args)]
pub struct ContainerPruneArgs {
    /// Ask nothing
    #[arg(short, long)]
    pub force: bool,
    /// Remove only containers of which this holds: until=24h, label=… (repeatable)
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
}

/// Arguments of `port`.
#[derive(Debug, Args)]
pub struct PortArgs {
    /// Name or id
    pub container: String,
    /// A port of the container's
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
}
