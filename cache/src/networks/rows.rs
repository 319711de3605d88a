//! The rows of networks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::endpoints::Endpoints;
use super::error::NetworkRowError;
use super::subnet::Subnet;
use crate::store::Store;

/// Where subnets come from when none is asked for, and of which size each of them is.
const POOL: (Ipv4Addr, u8) = (Ipv4Addr::new(172, 16, 0, 0), 12);
const SIZE: u8 = 20;
/// Left to Docker, which takes it whenever it starts.
const DOCKERS: (Ipv4Addr, u8) = (Ipv4Addr::new(172, 17, 0, 0), 16);

/// The networks that are always there, and their drivers.
const PREDEFINED: [(&str, &str); 3] = [("bridge", "bridge"), ("host", "host"), ("none", "null")];

/// A network of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNetwork {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name; no other network has it.
    pub name: String,
    /// `bridge`, `host` or `null`.
    pub driver: String,
    /// Its addresses.
    pub subnet: Option<Subnet>,
    /// The host's address in it.
    pub gateway: Option<Ipv4Addr>,
    /// Which part of it is given out, if not all.
    pub pool: Option<Subnet>,
    /// Whether the subnet was asked for: then it never changes.
    pub given: bool,
    /// Whether it has no way out.
    pub internal: bool,
    /// What people said of it.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
}

/// A network to be made.
#[derive(Debug, Clone, Default)]
pub struct NewNetwork {
    /// Its name.
    pub name: String,
    /// Its addresses; chosen when none are given.
    pub subnet: Option<Subnet>,
    /// The host's address in it; the first when none is given.
    pub gateway: Option<Ipv4Addr>,
    /// Which part of it is given out.
    pub pool: Option<Subnet>,
    /// Whether it has no way out.
    pub internal: bool,
    /// What people say of it.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
}

impl StoredNetwork {
    /// Whether it is one of the three that are always there.
    pub fn is_predefined(&self) -> bool {
        PREDEFINED.iter().any(|(name, _)| *name == self.name)
    }

    /// The name of its interface on the host.
    pub fn bridge(&self) -> String {
        match self.options.get("com.docker.network.bridge.name") {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("rb-{}", &self.id[..12.min(self.id.len())]),
        }
    }
}

impl Store {
    /// All networks, by name.
    ///
    /// # Errors
    /// Of the store.
    pub fn networks(&self) -> Result<Vec<StoredNetwork>, NetworkRowError> {
        let all = |store: &Self| store.database().read("list networks", select);
        let found = all(self)?;
        if found.iter().filter(|one| one.is_predefined()).count() == PREDEFINED.len() {
            return Ok(found);
        }
        self.predefine()?;
        Ok(all(self)?)
    }

    /// The network with this name, this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// [`NetworkRowError::Unknown`] or [`Ambiguous`](NetworkRowError::Ambiguous).
    pub fn network(&self, wanted: &str) -> Result<StoredNetwork, NetworkRowError> {
        let networks = self.networks()?;
        if let Some(found) = networks
            .iter()
            .find(|network| network.id == wanted)
            .or_else(|| networks.iter().find(|network| network.name == wanted))
        {
            return Ok(found.clone());
        }
        let mut matching = networks
            .into_iter()
            .filter(|network| !wanted.is_empty() && network.id.starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(NetworkRowError::Unknown(wanted.to_owned())),
            _ => Err(NetworkRowError::Ambiguous(wanted.to_owned())),
        }
    }

    /// Makes a network. `occupied` are the subnets that this host uses already.
    ///
    /// # Errors
    /// When its name or its addresses cannot be had.
    pub fn add_network(
        &self,
        new: &NewNetwork,
        occupied: &[Subnet],
    ) -> Result<StoredNetwork, NetworkRowError> {
        if new.name.trim().is_empty() || new.name.contains(['/', ':', '\0']) {
            return Err(NetworkRowError::BadName(new.name.clone()));
        }
        if PREDEFINED.iter().any(|(name, _)| *name == new.name) || new.name == "default" {
            return Err(NetworkRowError::Predefined(new.name.clone()));
        }
        let id = random_id();
        let others = self.networks()?;
        if others.iter().any(|other| other.name == new.name) {
            return Err(NetworkRowError::NameTaken(new.name.clone()));
        }
        let used: Vec<Subnet> = others.iter().filter_map(|other| other.subnet).collect();
        let subnet = match new.subnet {
            Some(subnet) if used.iter().any(|other| other.overlaps(subnet)) => {
                return Err(NetworkRowError::Overlaps);
            }
            Some(subnet) => subnet,
            None => free(&id, &[&used, occupied].concat()).ok_or(NetworkRowError::NoneLeft)?,
        };
        let network = StoredNetwork {
            id,
            name: new.name.clone(),
            driver: "bridge".to_owned(),
            subnet: Some(subnet),
            gateway: Some(gateway(new, subnet)?),
            pool: new.pool,
            given: new.subnet.is_some(),
            internal: new.internal,
            labels: new.labels.clone(),
            options: new.options.clone(),
            created: nanoseconds(),
        };
        let db = self.database();
        let action = "add a network";
        let added = db.write(action, |transaction| {
            insert(transaction, &network).map_err(db.error(action))
        })?;
        // another process may have taken the name since it was looked up
        if added {
            Ok(network)
        } else {
            Err(NetworkRowError::NameTaken(network.name))
        }
    }

    /// Removes a network that nobody is on. `alive` says whether the container with an id lives.
    ///
    /// # Errors
    /// [`NetworkRowError::Kept`] or [`Used`](NetworkRowError::Used).
    pub fn remove_network(
        &self,
        network: &StoredNetwork,
        alive: &dyn Fn(&str) -> bool,
    ) -> Result<(), NetworkRowError> {
        if network.is_predefined() {
            return Err(NetworkRowError::Kept(network.name.clone()));
        }
        let endpoints = Endpoints::at(self.root(), &network.id);
        let lock = endpoints.lock()?;
        if !endpoints.all(alive)?.is_empty() {
            return Err(NetworkRowError::Used {
                name: network.name.clone(),
                id: network.id.clone(),
            });
        }
        let db = self.database();
        let action = "remove a network";
        db.write(action, |transaction| {
            transaction
                .execute("DELETE FROM networks WHERE id = ?1", [&network.id])
                .map_err(db.error(action))
        })?;
        endpoints.remove_all()?;
        drop(lock);
        Ok(())
    }

    /// Gives a network that nobody is on other addresses, when those that were chosen for it are in
    /// the way of something on this host.
    ///
    /// # Errors
    /// [`NetworkRowError::NoneLeft`].
    pub fn move_network(
        &self,
        network: &StoredNetwork,
        occupied: &[Subnet],
        alive: &dyn Fn(&str) -> bool,
    ) -> Result<StoredNetwork, NetworkRowError> {
        let endpoints = Endpoints::at(self.root(), &network.id);
        let _lock = endpoints.lock()?;
        let network = &self.network(&network.id)?;
        if !endpoints.all(alive)?.is_empty() {
            // another process moved it, and is there
            return Ok(network.clone());
        }
        let used: Vec<Subnet> = self
            .networks()?
            .iter()
            .filter_map(|other| other.subnet)
            .collect();
        let subnet =
            free(&random_id(), &[&used, occupied].concat()).ok_or(NetworkRowError::NoneLeft)?;
        let moved = StoredNetwork {
            subnet: Some(subnet),
            gateway: subnet.hosts().next(),
            ..network.clone()
        };
        let db = self.database();
        let action = "move a network";
        db.write(action, |transaction| {
            transaction
                .execute(
                    "UPDATE networks SET subnet = ?2, gateway = ?3 WHERE id = ?1 AND given = 0",
                    params![
                        moved.id,
                        moved.subnet.map(|subnet| subnet.to_string()),
                        moved.gateway.map(|gateway| gateway.to_string()),
                    ],
                )
                .map_err(db.error(action))
        })?;
        Ok(moved)
    }

    fn predefine(&self) -> Result<(), NetworkRowError> {
        let db = self.database();
        let action = "add the first networks";
        db.write(action, |transaction| {
            for (name, driver) in PREDEFINED {
                let id = random_id();
                let subnet = (driver == "bridge").then(|| free(&id, &[])).flatten();
                let network = StoredNetwork {
                    id,
                    name: name.to_owned(),
                    driver: driver.to_owned(),
                    subnet,
                    gateway: subnet.and_then(|subnet| subnet.hosts().next()),
                    pool: None,
                    given: false,
                    internal: false,
                    labels: BTreeMap::new(),
                    options: BTreeMap::new(),
                    created: nanoseconds(),
                };
                insert(transaction, &network).map_err(db.error(action))?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn gateway(new: &NewNetwork, subnet: Subnet) -> Result<Ipv4Addr, NetworkRowError> {
    if let Some(pool) = new.pool
        && !(subnet.contains(pool.base()) && subnet.contains(pool.last()))
    {
        return Err(NetworkRowError::StrangeRange(pool));
    }
    match new.gateway {
        Some(gateway) if !subnet.contains(gateway) => Err(NetworkRowError::StrangeGateway(gateway)),
        Some(gateway) => Ok(gateway),
        None => {
            let first = new.pool.unwrap_or(subnet).hosts().next();
            first.ok_or(NetworkRowError::NoneLeft)
        }
    }
}

/// A subnet that overlaps none of `used`, found from a place that `id` gives: two stores that know
/// nothing of each other most often choose differently.
fn free(id: &str, used: &[Subnet]) -> Option<Subnet> {
    let count = 1_u32 << (SIZE - POOL.1);
    let start = id
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0);
    let dockers = Subnet::of(DOCKERS.0, DOCKERS.1);
    (0..count)
        .map(|step| {
            let number = start.wrapping_add(step) % count;
            let base = u32::from(POOL.0) + (number << (32 - SIZE));
            Subnet::of(Ipv4Addr::from(base), SIZE)
        })
        .find(|subnet| {
            !subnet.overlaps(dockers) && !used.iter().any(|other| other.overlaps(*subnet))
        })
}

/// Whether it was added: not when another has the name.
fn insert(connection: &Connection, network: &StoredNetwork) -> rusqlite::Result<bool> {
    let description = Description {
        labels: network.labels.clone(),
        options: network.options.clone(),
    };
    let count = connection.execute(
        "INSERT OR IGNORE INTO networks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            network.id,
            network.name,
            network.driver,
            network.subnet.map(|subnet| subnet.to_string()),
            network.gateway.map(|gateway| gateway.to_string()),
            network.pool.map(|pool| pool.to_string()),
            network.given,
            network.internal,
            serde_json::to_string(&description)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
            network.created,
        ],
    )?;
    Ok(count == 1)
}

fn select(connection: &Connection) -> rusqlite::Result<Vec<StoredNetwork>> {
    connection
        .prepare_cached("SELECT * FROM networks ORDER BY name")?
        .query_map([], network)?
        .collect()
}

fn network(row: &Row<'_>) -> rusqlite::Result<StoredNetwork> {
    let parsed = |at: usize| row.get::<_, Option<String>>(at);
    let description: String = row.get(8)?;
    let description: Description = serde_json::from_str(&description).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(8, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(StoredNetwork {
        id: row.get(0)?,
        name: row.get(1)?,
        driver: row.get(2)?,
        subnet: parsed(3)?.and_then(|text| text.parse().ok()),
        gateway: parsed(4)?.and_then(|text| text.parse().ok()),
        pool: parsed(5)?.and_then(|text| text.parse().ok()),
        given: row.get(6)?,
        internal: row.get(7)?,
        labels: description.labels,
        options: description.options,
        created: row.get(9)?,
    })
}

/// 64 hexadecimal digits that nothing else is called.
pub(super) fn random_id() -> String {
    let mut bytes = [0_u8; 32];
    while rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {}
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nanoseconds() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(folder.path().join("store"))).unwrap();
        (folder, store)
    }

    fn new(name: &str, subnet: Option<&str>) -> NewNetwork {
        NewNetwork {
            name: name.to_owned(),
            subnet: subnet.map(|text| text.parse().unwrap()),
            ..NewNetwork::default()
        }
    }

    #[test]
    fn three_networks_are_always_there() {
        let (_folder, store) = store();
        let names: Vec<_> = store.networks().unwrap();
        let names: Vec<_> = names.iter().map(|one| (&*one.name, &*one.driver)).collect();
        assert_eq!(names, PREDEFINED);
        let bridge = store.network("bridge").unwrap();
        assert!(bridge.subnet.unwrap().contains(bridge.gateway.unwrap()));
        assert_eq!(store.network(&bridge.id[..10]).unwrap(), bridge);
        let refused = store.remove_network(&bridge, &|_| false).unwrap_err();
        assert!(refused.to_string().contains("pre-defined"));
        assert!(store.add_network(&new("host", None), &[]).is_err());
        assert!(store.network("nosuch").is_err());
    }

    #[test]
    fn names_and_addresses_are_had_once() {
        let (_folder, store) = store();
        let first = store
            .add_network(&new("net", Some("10.99.7.0/24")), &[])
            .unwrap();
        assert_eq!(first.gateway, Some(Ipv4Addr::new(10, 99, 7, 1)));
        assert_eq!(store.network("net").unwrap(), first);
        for (new, text) in [
            (new("net", None), "already exists"),
            (new("other", Some("10.99.7.0/25")), "overlaps"),
            (new(" ", None), "invalid name"),
        ] {
            let error = store.add_network(&new, &[]).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let strange = NewNetwork {
            gateway: Some(Ipv4Addr::new(10, 1, 1, 1)),
            ..new("other", Some("10.99.8.0/24"))
        };
        assert!(store.add_network(&strange, &[]).is_err());
        store.remove_network(&first, &|_| false).unwrap();
        assert!(store.network("net").is_err());
    }

    #[test]
    fn a_subnet_is_chosen_beside_what_is_in_use() {
        let (_folder, store) = store();
        let half: Subnet = "172.16.0.0/13".parse().unwrap();
        let bridge = store.network("bridge").unwrap().subnet.unwrap();
        for number in 0..20 {
            let made = store.add_network(&new(&format!("n{number}"), None), &[half]);
            let subnet = made.unwrap().subnet.unwrap();
            assert!(!subnet.overlaps(half) && !subnet.overlaps(bridge));
        }
        let all: Subnet = "172.16.0.0/12".parse().unwrap();
        assert!(store.add_network(&new("none-left", None), &[all]).is_err());
    }
}
