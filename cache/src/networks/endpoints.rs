//! Who is on a network: one file for each container, `networks/<network>/<container>`.
//!
//! A file counts as long as its container lives, or while whoever starts the container holds it; then
//! its address is given out again. Nothing has to be undone when a container dies; a file that counts
//! no more is removed by the monitor that ends, or by the next who takes an address.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::error::AddressError;
use super::rows::{StoredNetwork, random_id};
use crate::locks;
use crate::store::StoreError;

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container's id.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// What this connection is called: 64 hexadecimal digits.
    pub id: String,
    /// Its address there.
    pub address: Ipv4Addr,
    /// Its hardware address there.
    pub mac: [u8; 6],
    /// Further names by which others on the network find it.
    pub aliases: Vec<String>,
}

/// What a container wants of a network.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its id.
    pub container: String,
    /// Its name.
    pub name: String,
    /// An address; the first free one when none is given.
    pub address: Option<Ipv4Addr>,
    /// A hardware address; made of the address when none is given.
    pub mac: Option<[u8; 6]>,
    /// Further names.
    pub aliases: Vec<String>,
}

/// An endpoint that counts as long as this is held, whether its container lives or not. Hold it until
/// the container does.
#[derive(Debug)]
pub struct Taken {
    /// The endpoint.
    pub endpoint: Endpoint,
    path: PathBuf,
    lock: Option<File>,
}

impl Taken {
    /// Gives it up to the container, which lives now.
    pub fn leave(mut self) {
        self.lock = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // a file of a container that does not live counts for nothing
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The containers of one network.
#[derive(Debug, Clone)]
pub struct Endpoints {
    folder: PathBuf,
}

/// Who has this writes; the others wait.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read")] File);

impl Endpoints {
    /// Those of the network with this id, in the store at `root`.
    pub fn at(root: &Path, network: &str) -> Self {
        Self {
            folder: root.join("networks").join(network),
        }
    }

    /// Waits for the right to change anything about the network: its files, and its interface.
    ///
    /// # Errors
    /// Of the file system.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(StoreError::io("make", &self.folder))?;
        let path = self.folder.join(".lock");
        let file = open(&path)?;
        file.lock().map_err(StoreError::io("lock", &path))?;
        Ok(Lock(file))
    }

    /// As [`lock`](Self::lock), of a network on which somebody was; none when it is gone.
    pub fn lock_again(&self) -> Option<Lock> {
        self.folder.is_dir().then(|| self.lock().ok()).flatten()
    }

    /// Those that count, by address.
    ///
    /// # Errors
    /// Of the file system.
    pub fn all(&self, alive: &dyn Fn(&str) -> bool) -> Result<Vec<Endpoint>, StoreError> {
        let mut found = self.read()?;
        found.retain(|endpoint| self.counts(&endpoint.container, alive));
        found.sort_by_key(|endpoint| endpoint.address);
        Ok(found)
    }

    /// All there are, those that count no more included.
    ///
    /// # Errors
    /// Of the file system.
    pub fn read(&self) -> Result<Vec<Endpoint>, StoreError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::io("read", &self.folder))?,
        };
        Ok(entries
            .filter_map(Result::ok)
            .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
            // one that goes meanwhile is gone, and one that is half made counts when it is whole
            .filter_map(|entry| std::fs::read(entry.path()).ok())
            .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
            .collect())
    }

    /// The endpoint of one container, whether it counts or not.
    pub fn of(&self, container: &str) -> Option<Endpoint> {
        let bytes = std::fs::read(self.folder.join(container)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Gives a container an address that no other has.
    ///
    /// # Errors
    /// When there is none, or not the one that is wanted.
    pub fn take(
        &self,
        network: &StoredNetwork,
        wanted: Wanted,
        alive: &dyn Fn(&str) -> bool,
    ) -> Result<Taken, AddressError> {
        let (Some(subnet), Some(gateway)) = (network.subnet, network.gateway) else {
            return Err(AddressError::NoAddresses(network.name.clone()));
        };
        let _lock = self.lock()?;
        let (others, void): (Vec<_>, Vec<_>) = self
            .read()?
            .into_iter()
            .partition(|other| self.counts(&other.container, alive));
        // of containers that were killed with everybody who could have done it
        for other in void {
            self.remove(&other.container)?;
        }
        if others
            .iter()
            .any(|other| other.container == wanted.container)
        {
            return Err(AddressError::Connected {
                container: wanted.name,
                network: network.name.clone(),
            });
        }
        let is_free = |address: Ipv4Addr| {
            address != gateway && others.iter().all(|other| other.address != address)
        };
        let address = match wanted.address {
            Some(address) if !subnet.hosts().any(|host| host == address) => {
                return Err(AddressError::Strange(address));
            }
            Some(address) if !is_free(address) => return Err(AddressError::Taken),
            Some(address) => address,
            None => network
                .pool
                .unwrap_or(subnet)
                .hosts()
                .find(|address| is_free(*address))
                .ok_or_else(|| AddressError::NoneLeft {
                    network: network.name.clone(),
                })?,
        };
        let [a, b, c, d] = address.octets();
        let endpoint = Endpoint {
            container: wanted.container,
            name: wanted.name,
            id: random_id(),
            address,
            mac: wanted.mac.unwrap_or([2, 0x42, a, b, c, d]),
            aliases: wanted.aliases,
        };
        let lock = self.write(&endpoint)?;
        Ok(Taken {
            path: self.folder.join(&endpoint.container),
            endpoint,
            lock: Some(lock),
        })
    }

    /// Takes a container off the network.
    ///
    /// # Errors
    /// Of the file system.
    pub fn remove(&self, container: &str) -> Result<(), StoreError> {
        let path = self.folder.join(container);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(StoreError::io("remove", &path)),
        }
    }

    /// Removes what a container left that has ended, unless it is on the network anew: `id` is what its
    /// connection was called. The caller has the lock.
    pub fn forget(&self, container: &str, id: &str, _lock: &Lock) {
        if self.of(container).is_some_and(|endpoint| endpoint.id == id) {
            // one that stays counts for nothing, and the next who takes an address removes it
            let _ = self.remove(container);
        }
    }

    /// Has the others find a container by another name.
    ///
    /// # Errors
    /// Of the file system.
    pub fn rename(&self, container: &str, name: &str) -> Result<(), StoreError> {
        if self.of(container).is_none() {
            return Ok(());
        }
        let _lock = self.lock()?;
        if let Some(mut endpoint) = self.of(container) {
            name.clone_into(&mut endpoint.name);
            self.write(&endpoint)?;
        }
        Ok(())
    }

    pub(super) fn remove_all(&self) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(StoreError::io("remove", &self.folder)),
        }
    }

    fn counts(&self, container: &str, alive: &dyn Fn(&str) -> bool) -> bool {
        alive(container) || is_locked(&self.folder.join(container))
    }

    /// Puts the file in its place, whole, and gives it locked.
    fn write(&self, endpoint: &Endpoint) -> Result<File, StoreError> {
        let draft = self.folder.join(format!(".{}", endpoint.container));
        let path = self.folder.join(&endpoint.container);
        let bytes = serde_json::to_vec(endpoint).map_err(|error| StoreError::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        std::fs::write(&draft, bytes).map_err(StoreError::io("write", &draft))?;
        let file = open(&draft)?;
        let locked =
            locks::try_lock(&file, 0, 0).and_then(|ours| ours.then_some(()).ok_or(Errno::EAGAIN));
        locked.map_err(|errno| StoreError::io("lock", &draft)(errno.into()))?;
        std::fs::rename(&draft, &path).map_err(StoreError::io("rename", &draft))?;
        Ok(file)
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(StoreError::io("open", path))
}

fn is_locked(path: &Path) -> bool {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .is_ok_and(|file| locks::is_locked(&file, 0, 0).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn network(subnet: &str) -> StoredNetwork {
        let subnet: super::super::Subnet = subnet.parse().unwrap();
        StoredNetwork {
            id: "0".repeat(64),
            name: "net".to_owned(),
            driver: "bridge".to_owned(),
            subnet: Some(subnet),
            gateway: subnet.hosts().next(),
            pool: None,
            given: true,
            internal: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            created: 0,
        }
    }

    fn wanted(container: &str, address: Option<&str>) -> Wanted {
        Wanted {
            container: container.to_owned(),
            name: format!("name-{container}"),
            address: address.map(|text| text.parse().unwrap()),
            ..Wanted::default()
        }
    }

    #[test]
    fn an_address_is_given_again_when_its_container_is_dead_and_nobody_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let network = network("10.0.0.0/29");
        let endpoints = Endpoints::at(root.path(), &network.id);
        let dead = |_: &str| false;
        let one = endpoints.take(&network, wanted("a", None), &dead).unwrap();
        assert_eq!(one.endpoint.address, Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(one.endpoint.mac, [2, 0x42, 10, 0, 0, 2]);
        let two = endpoints.take(&network, wanted("b", None), &dead).unwrap();
        assert_eq!(two.endpoint.address, Ipv4Addr::new(10, 0, 0, 3));
        two.leave();
        let alive = |container: &str| container == "b";
        assert_eq!(endpoints.all(&alive).unwrap().len(), 2);
        drop(one);
        assert_eq!(endpoints.all(&alive).unwrap()[0].container, "b");
        let again = endpoints.take(&network, wanted("c", None), &alive).unwrap();
        assert_eq!(again.endpoint.address, Ipv4Addr::new(10, 0, 0, 2));
        let now = endpoints.take(&network, wanted("d", None), &dead).unwrap();
        assert_eq!(now.endpoint.address, Ipv4Addr::new(10, 0, 0, 3));
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let network = network("10.0.0.0/30");
        let endpoints = Endpoints::at(root.path(), &network.id);
        let alive = |_: &str| true;
        let take =
            |container, address| endpoints.take(&network, wanted(container, address), &alive);
        let _one = take("a", Some("10.0.0.2")).unwrap();
        assert!(matches!(
            take("a", None),
            Err(AddressError::Connected { .. })
        ));
        assert!(matches!(
            take("b", None),
            Err(AddressError::NoneLeft { .. })
        ));
        for (address, want) in [
            ("10.0.0.2", "already in use"),
            ("10.0.0.1", "already in use"),
            ("10.0.0.3", "does not belong"),
            ("10.0.1.2", "does not belong"),
        ] {
            let error = take("b", Some(address)).unwrap_err().to_string();
            assert!(error.contains(want), "{address}: {error}");
        }
    }

    #[test]
    fn a_container_is_found_under_its_new_name() {
        let root = tempfile::tempdir().unwrap();
        let network = network("10.0.0.0/24");
        let endpoints = Endpoints::at(root.path(), &network.id);
        let alive = |_: &str| true;
        endpoints
            .take(&network, wanted("a", None), &alive)
            .unwrap()
            .leave();
        endpoints.rename("a", "other").unwrap();
        endpoints.rename("nosuch", "other").unwrap();
        assert_eq!(endpoints.all(&alive).unwrap()[0].name, "other");
        endpoints.remove("a").unwrap();
        assert!(endpoints.all(&alive).unwrap().is_empty());
    }
}
