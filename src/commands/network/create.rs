//! `network create`.

use std::collections::BTreeMap;

use cache::networks::{NewNetwork, Subnet};

use crate::cli::network::CreateArgs;
use crate::home::Home;
use crate::networks::{network_failure, row_failure};
use crate::output::print;
use crate::report::{Class, Failure};

/// Options of docker's bridge driver that count, and those whose usual value is the only one there is.
const COUNTED: [&str; 2] = [
    "com.docker.network.bridge.name",
    "com.docker.network.driver.mtu",
];
const USUAL: [(&str, &str); 3] = [
    ("com.docker.network.bridge.enable_icc", "true"),
    ("com.docker.network.bridge.enable_ip_masquerade", "true"),
    ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
];
/// The longest name of an interface.
const LONGEST: usize = 15;

/// Makes a network and prints its id.
pub fn run(args: &CreateArgs, home: &Home) -> anyhow::Result<u8> {
    possible(args)?;
    let new = NewNetwork {
        name: args.name.clone(),
        subnet: one(&args.subnets, "--subnet")?,
        gateway: gateway(args)?,
        pool: one(&args.ranges, "--ip-range")?,
        internal: args.internal,
        labels: args.labels.iter().map(|text| split(text)).collect(),
        options: options(args)?,
    };
    if new.subnet.is_none() && (new.gateway.is_some() || new.pool.is_some()) {
        let what = match (new.pool, new.gateway) {
            (Some(pool), _) => format!("range {pool}"),
            (_, gateway) => format!(
                "gateway {}",
                gateway.map(|one| one.to_string()).unwrap_or_default()
            ),
        };
        return Err(refused(format!("no matching subnet for {what}")).into());
    }
    let store = home.enter_and_open()?;
    let occupied = executor::network::occupied().map_err(|error| network_failure(&error))?;
    let made = store.add_network(&new, &occupied);
    let made = made.map_err(|error| row_failure(&error))?;
    print(&format!("{}\n", made.id))?;
    Ok(0)
}

fn refused(title: impl Into<String>) -> Failure {
    Failure::new(Class::Refused, title)
}

/// What there is no such thing of.
fn possible(args: &CreateArgs) -> Result<(), Failure> {
    match args.driver.as_str() {
        "bridge" => {}
        "host" | "null" => {
            let driver = &args.driver;
            return Err(refused(format!(
                "only one instance of \"{driver}\" network is allowed"
            )));
        }
        other => {
            return Err(refused(format!("plugin {other:?} not found"))
                .help("networks are of the driver bridge"));
        }
    }
    if args.ipam_driver != "default" {
        return Err(refused(format!(
            "ipam driver {:?} not found",
            args.ipam_driver
        )));
    }
    for (given, flag, why) in [
        (args.ipv6, "--ipv6", "networks have IPv4 addresses"),
        (args.attachable, "--attachable", "it is for swarms"),
        (args.ingress, "--ingress", "it is for swarms"),
        (
            !args.aux_addresses.is_empty(),
            "--aux-address",
            "give out a part of the subnet with --ip-range",
        ),
    ] {
        if given {
            return Err(refused(format!("{flag} is not done")).help(why));
        }
    }
    Ok(())
}

/// The subnet of a flag that may be given once.
fn one(texts: &[String], flag: &str) -> Result<Option<Subnet>, Failure> {
    match texts {
        [] => Ok(None),
        [one] => one
            .parse()
            .map(Some)
            .map_err(|error| Failure::from_error(Class::Refused, &error)),
        _ => Err(refused(format!("more than one {flag} is not done"))),
    }
}

fn gateway(args: &CreateArgs) -> Result<Option<std::net::Ipv4Addr>, Failure> {
    match args.gateway.as_slice() {
        [] => Ok(None),
        [one] => one
            .parse()
            .map(Some)
            .map_err(|_| refused(format!("invalid gateway address: {one}"))),
        _ => Err(refused("more than one --gateway is not done")),
    }
}

fn options(args: &CreateArgs) -> Result<BTreeMap<String, String>, Failure> {
    let options: BTreeMap<String, String> = args.options.iter().map(|text| split(text)).collect();
    for (name, value) in &options {
        let known = COUNTED.contains(&name.as_str())
            || USUAL
                .iter()
                .any(|(known, usual)| name == known && value == usual);
        if !known {
            return Err(refused(format!("the option {name}={value} is not done")));
        }
    }
    if let Some(name) = options.get(COUNTED[0])
        && (name.is_empty()
            || name.len() > LONGEST
            || name.contains(['/', ' ', ':'])
            || name == "lo")
    {
        return Err(refused(format!("invalid interface name: {name:?}")));
    }
    if let Some(mtu) = options.get(COUNTED[1])
        && !mtu
            .parse()
            .is_ok_and(|mtu: u32| (68..=65_535).contains(&mtu))
    {
        return Err(refused(format!("invalid MTU: {mtu}")));
    }
    Ok(options)
}

fn split(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}
