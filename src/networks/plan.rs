//! The network that a container gets when it is started: addresses are given, and held until its
//! monitor lives.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use cache::Store;
use cache::networks::{StoredNetwork, Taken, Wanted};
use executor::monitor::Lock;
use executor::namespace;
use executor::network::{
    Bridged, Interface, Pasta, Plan, Publish, Settings, bridge_and_others, examine_pasta,
};

use super::{alive, endpoints, network_failure, row_failure};
use crate::home::store_failure;
use crate::report::{Class, Failure};

/// Digits of an id that name a container on its networks.
const SHORT_ID: usize = 12;
/// Docker's code for a container that could not be started.
const ENGINE: Class = Class::Container(125);
const MTU: &str = "com.docker.network.driver.mtu";

/// What a container asks for.
pub struct Asked<'a> {
    /// Its id.
    pub container: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether nobody said which network.
    pub by_default: bool,
    /// The networks, by name or id; the first is the one that leads out.
    pub networks: Vec<(&'a str, Joining)>,
    /// Ports of the host that lead to it.
    pub publish: Vec<Publish>,
    /// Servers that know names which its networks do not; the host's when there are none.
    pub servers: Vec<IpAddr>,
}

/// What a container asks of one network.
#[derive(Debug, Clone, Default)]
pub struct Joining {
    /// An address.
    pub address: Option<Ipv4Addr>,
    /// A hardware address.
    pub mac: Option<[u8; 6]>,
    /// Further names.
    pub aliases: Vec<String>,
}

/// Addresses that were given. They are the container's once it lives, and free when it does not as
/// this is dropped.
#[derive(Debug)]
pub struct Given {
    folder: PathBuf,
    taken: Vec<Taken>,
}

impl Drop for Given {
    fn drop(&mut self) {
        let lives = Lock::is_held(&self.folder).unwrap_or(false);
        for taken in self.taken.drain(..).filter(|_| lives) {
            taken.leave();
        }
    }
}

/// Gives a container its addresses on its networks.
///
/// # Errors
/// When a network is not there or has no address for it.
pub fn plan(store: &Store, asked: Asked<'_>) -> Result<(Plan, Given), Failure> {
    let folder = store.container_dir(asked.container);
    let mut given = Given {
        folder: folder.clone(),
        taken: Vec::new(),
    };
    let servers = if asked.servers.is_empty() {
        servers()
    } else {
        asked.servers
    };
    if !namespace::is_initial() {
        if asked.by_default
            && asked.publish.is_empty()
            && let Err(error) = examine_pasta()
        {
            crate::report::note(&format!(
                "note: the container shares this host's network: {error}"
            ));
            return Ok((Plan::Host, given));
        }
        return rootless(&asked.networks, asked.publish).map(|plan| (plan, given));
    }
    let mut interfaces = Vec::new();
    if alive(store)(asked.container) {
        // it is started already, and has what it has
        let settings = Settings::read(&folder);
        interfaces = settings
            .map_err(|error| Failure::from_error(Class::System, &error))?
            .interfaces;
    } else {
        for (name, joining) in asked.networks {
            let (interface, taken) = join(store, asked.container, asked.name, name, joining)?;
            interfaces.push(interface);
            given.taken.push(taken);
        }
    }
    let named = interfaces
        .iter()
        .any(|interface| interface.network != "bridge");
    let plan = Bridged {
        container: asked.container.to_owned(),
        interfaces,
        publish: asked.publish,
        resolver: named.then(|| servers.clone()),
        servers,
    };
    Ok((Plan::Bridge(plan), given))
}

/// Gives a container an address on one network.
///
/// # Errors
/// When the network is not there or has no address for it.
pub fn join(
    store: &Store,
    container: &str,
    name: &str,
    network: &str,
    joining: Joining,
) -> Result<(Interface, Taken), Failure> {
    let refused = |title: String| Failure::new(ENGINE, title);
    let found = store.network(network).map_err(|error| match error {
        cache::networks::NetworkRowError::Unknown(name) => {
            refused(format!("network {name} not found"))
        }
        error => row_failure(&error),
    })?;
    let network = in_place(store, found)?;
    let is_default = network.name == "bridge";
    if joining.address.is_some() && !network.given {
        let when = if is_default {
            "on user defined networks only"
        } else {
            "only when connecting to networks with user configured subnets"
        };
        return Err(refused(format!(
            "user specified IP address is supported {when}"
        )));
    }
    let mut aliases = joining.aliases;
    if !is_default {
        aliases.push(container.get(..SHORT_ID).unwrap_or(container).to_owned());
    }
    let wanted = Wanted {
        container: container.to_owned(),
        name: name.to_owned(),
        address: joining.address,
        mac: joining.mac,
        aliases: aliases.clone(),
    };
    let taken = endpoints(store, &network)
        .take(&network, wanted, &alive(store))
        .map_err(|error| match error {
            cache::networks::AddressError::Store(error) => store_failure(&error),
            error => refused(error.to_string()),
        })?;
    let endpoint = &taken.endpoint;
    let interface = Interface {
        bridge: network.bridge(),
        endpoint: endpoint.id.clone(),
        address: endpoint.address,
        prefix: network.subnet.map_or(0, |subnet| subnet.prefix()),
        gateway: network.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED),
        mac: endpoint.mac,
        mtu: network.options.get(MTU).and_then(|text| text.parse().ok()),
        internal: network.internal,
        aliases,
        network_id: network.id,
        network: network.name,
    };
    Ok((interface, taken))
}

/// The network as it is, or with other addresses when something on this host came to use those that
/// were chosen for it.
fn in_place(store: &Store, network: StoredNetwork) -> Result<StoredNetwork, Failure> {
    let Some(subnet) = network.subnet else {
        return Err(Failure::new(
            ENGINE,
            format!("network {} cannot be one of several networks", network.name),
        ));
    };
    let bridge = network.bridge();
    let (is_up, others) = bridge_and_others(&bridge).map_err(|error| network_failure(&error))?;
    if is_up || !others.iter().any(|other| other.overlaps(subnet)) {
        return Ok(network);
    }
    if network.given {
        let title = format!(
            "network {} has the addresses {subnet}, which another interface of this host uses",
            network.name
        );
        return Err(
            Failure::new(ENGINE, title).help("`ip route` shows which; make the network anew")
        );
    }
    store
        .move_network(&network, &others, &alive(store))
        .map_err(|error| row_failure(&error))
}

/// An ordinary user has no bridges: one network, which leads out.
fn rootless(networks: &[(&str, Joining)], publish: Vec<Publish>) -> Result<Plan, Failure> {
    match networks {
        [] | [("bridge", _)] => Ok(Plan::Pasta(Pasta { publish })),
        [.., (name, _)] => Err(Failure::new(
            ENGINE,
            format!("network {name} takes root: containers of an ordinary user are not connected"),
        )
        .help("use --network bridge, host, none or container:NAME")),
    }
}

/// The servers of this host.
fn servers() -> Vec<IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    executor::container::hosts::servers(&text)
}

/// The networks of a document, that of its mode first.
pub fn in_order<'d, T>(mode: &str, networks: &'d BTreeMap<String, T>) -> Vec<(&'d str, &'d T)> {
    let mode = if mode == "default" { "bridge" } else { mode };
    let mut all: Vec<_> = networks
        .iter()
        .map(|(name, one)| (name.as_str(), one))
        .collect();
    all.sort_by_key(|(name, _)| *name != mode);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_the_mode_is_first() {
        let networks: BTreeMap<String, u8> =
            ["a", "b", "bridge"].map(|name| (name.to_owned(), 0)).into();
        let names = |mode: &str| -> Vec<String> {
            let all = in_order(mode, &networks);
            all.into_iter().map(|(name, _)| name.to_owned()).collect()
        };
        assert_eq!(names("b"), ["b", "a", "bridge"]);
        assert_eq!(names("default"), ["bridge", "a", "b"]);
    }

    #[test]
    fn an_ordinary_user_has_one_way_out() {
        let one = |name: &'static str| rootless(&[(name, Joining::default())], Vec::new());
        assert!(matches!(one("bridge").unwrap(), Plan::Pasta(_)));
        assert!(one("net").unwrap_err().title.contains("takes root"));
    }
}
