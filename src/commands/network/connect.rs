//! `network connect` and `network disconnect`.

use std::fmt::Write as _;
use std::path::Path;

use cache::{Store, StoredContainer};
use executor::network::Interface;

use crate::cli::network::{ConnectArgs, DisconnectArgs};
use crate::containers::document::{Document, Endpoint};
use crate::containers::{find, network as container};
use crate::export::unwritable;
use crate::home::{Home, store_failure};
use crate::networks::{endpoints, plan, row_failure};
use crate::report::{Class, Failure};

/// Connects a container to one more network.
pub fn connect(args: &ConnectArgs, home: &Home) -> anyhow::Result<u8> {
    for (given, flag) in [
        (args.ip6.is_some(), "--ip6"),
        (!args.link.is_empty(), "--link"),
        (!args.link_local_ip.is_empty(), "--link-local-ip"),
        (!args.driver_options.is_empty(), "--driver-opt"),
    ] {
        if given {
            return Err(refused(format!("{flag} is not done")).into());
        }
    }
    let store = home.enter_and_open()?;
    let row = find::row(&store, &args.container)?;
    let network = store
        .network(&args.network)
        .map_err(|error| row_failure(&error))?;
    let mut document = find::document(&store, &row)?;
    changeable(&document, &network.driver)?;
    let mode = document.host_config.network_mode.as_str();
    let name = network.name.clone();
    if document.networks.contains_key(&name) || mode == name {
        let title = format!(
            "endpoint with name {} already exists in network {name}",
            row.name
        );
        return Err(refused(title).into());
    }
    let endpoint = Endpoint {
        aliases: args.aliases.clone(),
        ipv4: args.ip.map(|address| address.to_string()),
        ..Endpoint::default()
    };
    if name == "bridge" && !endpoint.aliases.is_empty() {
        return Err(refused(
            "network-scoped alias is supported only for containers in user defined networks",
        )
        .into());
    }
    if let Some(mut control) = find::control(&store, &row)? {
        let joining = container::joining(&endpoint)?;
        let joined = plan::join(&store, &row.id, &row.name, &name, joining);
        let (interface, taken) = joined.map_err(as_refused)?;
        control
            .connect_network(&interface)
            .map_err(|error| as_refused(find::monitor_failure(&error)))?;
        taken.leave();
        know(&store, &row, &document, &interface)?;
    }
    document.networks.insert(name, endpoint);
    document.write(&find::folder(&store, &row))?;
    Ok(0)
}

/// Takes a container off a network.
pub fn disconnect(args: &DisconnectArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    let network = store
        .network(&args.network)
        .map_err(|error| row_failure(&error))?;
    let row = match find::row(&store, &args.container) {
        Ok(row) => row,
        // what its files say of a container that is no more counts for nothing
        Err(_) if args.force => return Ok(0),
        Err(failure) => return Err(failure.into()),
    };
    let mut document = find::document(&store, &row)?;
    changeable(&document, &network.driver)?;
    if document.networks.remove(&network.name).is_none() {
        let title = format!(
            "container {} is not connected to network {}",
            row.id, network.name
        );
        return Err(refused(title).into());
    }
    if let Some(mut control) = find::control(&store, &row)? {
        control
            .disconnect_network(&network.id)
            .map_err(|error| as_refused(find::monitor_failure(&error)))?;
        let there = endpoints(&store, &network);
        let gone = there.of(&row.id);
        there
            .remove(&row.id)
            .map_err(|error| store_failure(&error))?;
        if let Some(gone) = gone {
            let path = find::folder(&store, &row).join("hosts");
            let address = gone.address.to_string();
            rewrite(&path, |text| without(text, &address))?;
        }
    }
    document.write(&find::folder(&store, &row))?;
    Ok(0)
}

fn refused(title: impl Into<String>) -> Failure {
    Failure::new(Class::Refused, title)
}

fn as_refused(mut failure: Failure) -> Failure {
    failure.class = Class::Refused;
    failure
}

/// A container that has the network of somebody else has none that could be changed.
fn changeable(document: &Document, driver: &str) -> Result<(), Failure> {
    let mode = document.host_config.network_mode.as_str();
    let why = if mode == "host" || driver == "host" {
        "container cannot be connected to host network or disconnected from it"
    } else if mode.starts_with("container:") {
        "container sharing network namespace with another container or host cannot be connected to any other network"
    } else if mode == "none" || driver == "null" {
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    } else {
        return Ok(());
    };
    Err(refused(why))
}

/// Has the container know its new address, and ask for names where they are known.
fn know(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
    interface: &Interface,
) -> Result<(), Failure> {
    let folder = find::folder(store, row);
    rewrite(&folder.join("hosts"), |mut text| {
        // writing to a text cannot fail
        let _ = writeln!(text, "{}\t{}", interface.address, document.config.hostname);
        text
    })?;
    if interface.network != "bridge" {
        rewrite(&folder.join("resolv.conf"), |text| {
            container::resolved(document, text)
        })?;
    }
    Ok(())
}

fn without(text: String, address: &str) -> String {
    text.lines()
        .filter(|line| line.split_whitespace().next() != Some(address))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Changes a file that the container sees: it must stay the same file.
fn rewrite(path: &Path, change: impl FnOnce(String) -> String) -> Result<(), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // something else is mounted there
        Err(_) => return Ok(()),
    };
    std::fs::write(path, change(text)).map_err(|error| unwritable(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_goes_from_the_hosts() {
        let text = "127.0.0.1\tlocalhost\n10.0.0.2\tone\n10.0.0.22\tone\n".to_owned();
        assert_eq!(
            without(text, "10.0.0.2"),
            "127.0.0.1\tlocalhost\n10.0.0.22\tone\n"
        );
    }

    #[test]
    fn a_shared_network_is_not_changed() {
        let mut document = Document::default();
        document.host_config.network_mode = "net".to_owned();
        assert!(changeable(&document, "bridge").is_ok());
        assert!(changeable(&document, "host").is_err());
        document.host_config.network_mode = "container:x".to_owned();
        assert!(changeable(&document, "bridge").is_err());
    }
}
