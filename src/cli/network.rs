//! `network`: commands about networks.

use std::net::Ipv4Addr;

use clap::{Args, Subcommand};

use super::value::Pair;

/// Arguments of `network`.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NetworkCommand,
}

/// Commands under `network`.
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Connect a container to a network
    Connect(ConnectArgs),
    /// Make a network
    Create(CreateArgs),
    /// Take a container off a network
    Disconnect(DisconnectArgs),
    /// Show everything that is known of networks
    Inspect(NetworkInspectArgs),
    /// List networks
    #[command(aliases = ["list"])]
    Ls(NetworkListArgs),
    /// Remove all networks that no container is on
    Prune(NetworkPruneArgs),
    /// Remove networks
    #[command(aliases = ["remove"])]
    Rm(NetworkRemoveArgs),
}

/// Arguments of `network connect`.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Another name of the container on the network (repeatable)
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address: not done, refused
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub ip6: Option<String>,
    /// Another container, under a name of this one's: not done, refused
    #[arg(long, value_name = "CONTAINER[:ALIAS]", hide = true)]
    pub link: Vec<String>,
    /// Link-local address: not done, refused
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pub link_local_ip: Vec<String>,
    /// Options of the driver: not done, refused
    #[arg(long = "driver-opt", value_name = "NAME=VALUE", hide = true)]
    pub driver_options: Vec<String>,
    /// Name or id of the network
    pub network: String,
    /// Name or id of the container
    pub container: String,
}

/// Arguments of `network disconnect`.
#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// Do it whatever state the container is in
    #[arg(short, long)]
    pub force: bool,
    /// Name or id of the network
    pub network: String,
    /// Name or id of the container
    pub container: String,
}

/// Arguments of `network create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Driver: bridge
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    pub driver: String,
    /// The host's address in the network
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
    /// Which part of the subnet is given out
    #[arg(long = "ip-range", value_name = "SUBNET")]
    pub ranges: Vec<String>,
    /// Keep the network from the world
    #[arg(long)]
    pub internal: bool,
    /// What is said of the network (repeatable)
    #[arg(long = "label", value_name = "NAME[=VALUE]")]
    pub labels: Vec<String>,
    /// An option of the driver (repeatable)
    #[arg(short, long = "opt", value_name = "NAME=VALUE")]
    pub options: Vec<String>,
    /// Its addresses, such as 10.99.7.0/24
    #[arg(long = "subnet", value_name = "SUBNET")]
    pub subnets: Vec<String>,
    /// Who gives addresses: default
    #[arg(
        long,
        value_name = "DRIVER",
        default_value = "default",
        hide_default_value = true
    )]
    pub ipam_driver: String,
    /// IPv6: not done, refused
    #[arg(long, hide = true)]
    pub ipv6: bool,
    /// For swarms: not done, refused
    #[arg(long, hide = true)]
    pub attachable: bool,
    /// For swarms: not done, refused
    #[arg(long, hide = true)]
    pub ingress: bool,
    /// Addresses that others have: not done, refused
    #[arg(long = "aux-address", value_name = "NAME=ADDRESS", hide = true)]
    pub aux_addresses: Vec<String>,
    /// Its name
    pub name: String,
}

/// Arguments of `network inspect`.
#[derive(Debug, Args)]
pub struct NetworkInspectArgs {
    /// A Go template, such as `{{.Name}}` or `{{json .}}`
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
    /// Say more of networks of a swarm, which there are none of
    #[arg(short, long, hide = true)]
    pub verbose: bool,
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    pub networks: Vec<String>,
}

/// Arguments of `network ls`.
#[derive(Debug, Args)]
pub struct NetworkListArgs {
    /// Show only networks of which this holds: name=…, id=…, driver=…, label=…, type=custom|builtin,
    /// dangling=true|false (repeatable)
    #[arg(short, long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
    /// Print `json`, or each network by a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Do not cut ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Print ids alone
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `network prune`.
#[derive(Debug, Args)]
pub struct NetworkPruneArgs {
    /// Remove only networks of which this holds: until=24h, label=…, label!=… (repeatable)
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = crate::cli::value::filter)]
    pub filters: Vec<Pair>,
    /// Ask nothing
    #[arg(short, long)]
    pub force: bool,
}

/// Arguments of `network rm`.
#[derive(Debug, Args)]
pub struct NetworkRemoveArgs {
    /// Say nothing of networks that are not there
    #[arg(short, long)]
    pub force: bool,
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    pub networks: Vec<String>,
}
