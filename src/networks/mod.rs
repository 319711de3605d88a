//! Networks between the rows of the store and the runtime: which a container gets, and what docker's
//! words for them are. Knows no flags.

pub mod document;
pub mod plan;

use cache::Store;
use cache::networks::{Endpoints, NetworkRowError, StoredNetwork};
use executor::monitor::Lock;
use executor::network::{self, NetworkError};

use crate::home::store_failure;
use crate::report::{Class, Failure};

/// Whether the container with an id lives.
pub fn alive(store: &Store) -> impl Fn(&str) -> bool + '_ {
    |id| Lock::is_held(&store.container_dir(id)).unwrap_or(false)
}

/// The containers on a network.
pub fn endpoints(store: &Store, network: &StoredNetwork) -> Endpoints {
    Endpoints::at(store.root(), &network.id)
}

/// Has other containers find one by its new name.
pub fn rename(store: &Store, container: &str, name: &str) -> Result<(), Failure> {
    for network in store.networks().map_err(|error| row_failure(&error))? {
        if network.driver == "bridge" {
            endpoints(store, &network)
                .rename(container, name)
                .map_err(|error| store_failure(&error))?;
        }
    }
    Ok(())
}

/// Removes the interfaces that containers left that were killed with their monitors.
pub fn sweep(store: &Store) -> Result<(), Failure> {
    let networks = store.networks().map_err(|error| row_failure(&error))?;
    let bridges: Vec<(String, String)> = networks
        .iter()
        .filter(|network| network.driver == "bridge")
        .map(|network| (network.id.clone(), network.bridge()))
        .collect();
    let gone = network::sweep(store.root(), &bridges, &alive(store));
    gone.map_err(|error| network_failure(&error)).map(drop)
}

/// What is said of a network that is not there, or cannot be made.
pub fn row_failure(error: &NetworkRowError) -> Failure {
    match error {
        NetworkRowError::Store(error) => store_failure(error),
        error => Failure::new(Class::Refused, error.to_string()),
    }
}

/// What is said when the machine does not give a network.
pub fn network_failure(error: &NetworkError) -> Failure {
    Failure::from_error(Class::Refused, error)
}
