//! The names of the containers on some networks: read from the files that say who is on them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use cache::networks::{Endpoint, Endpoints};

use super::message::{Answer, Kind, Query};
use crate::monitor::Lock;
use crate::network::plan::Interface;
use crate::network::up::NAMELESS;

/// Digits of an id that name a container too.
const SHORT_ID: usize = 12;

/// Names on the networks of one container.
#[derive(Debug)]
pub(super) struct Names {
    store: PathBuf,
    container: String,
    networks: Vec<(String, String)>,
}

impl Names {
    pub(super) fn new(store: &Path, container: &str) -> Self {
        Self {
            store: store.to_owned(),
            container: container.to_owned(),
            networks: Vec::new(),
        }
    }

    pub(super) fn moved(&mut self, store: &Path) {
        store.clone_into(&mut self.store);
    }

    pub(super) fn turn(&mut self, interfaces: &[Interface]) {
        self.networks = interfaces
            .iter()
            .filter(|interface| interface.network != NAMELESS)
            .map(|interface| (interface.network.clone(), interface.network_id.clone()))
            .collect();
    }

    /// What is known here of it; none when somebody else has to be asked.
    pub(super) fn answer(&self, query: &Query<'_>) -> Option<Answer> {
        match query.kind {
            Kind::Address | Kind::Address6 => {
                let found = self.find(&query.name);
                (!found.is_empty()).then_some(Answer::Addresses(found))
            }
            Kind::Name => self.name(query.reversed()?).map(Answer::Name),
            Kind::Other => None,
        }
    }

    fn find(&self, name: &str) -> Vec<Ipv4Addr> {
        let mut found = Vec::new();
        for (network, endpoints) in self.endpoints() {
            // `two` and `two.net` are one on the network `net`
            let plain = name
                .strip_suffix(&network.to_ascii_lowercase())
                .and_then(|rest| rest.strip_suffix('.'));
            for endpoint in endpoints {
                let named = names(&endpoint)
                    .any(|known| known == name || plain.is_some_and(|plain| plain == known));
                if named && !found.contains(&endpoint.address) && self.lives(&endpoint) {
                    found.push(endpoint.address);
                }
            }
        }
        found
    }

    fn name(&self, address: Ipv4Addr) -> Option<String> {
        self.endpoints().find_map(|(network, endpoints)| {
            let found = endpoints
                .into_iter()
                .find(|endpoint| endpoint.address == address && self.lives(endpoint))?;
            Some(format!("{}.{network}", found.name))
        })
    }

    fn endpoints(&self) -> impl Iterator<Item = (&str, Vec<Endpoint>)> {
        self.networks.iter().map(|(name, id)| {
            let found = Endpoints::at(&self.store, id).read().unwrap_or_default();
            (name.as_str(), found)
        })
    }

    fn lives(&self, endpoint: &Endpoint) -> bool {
        let folder = self.store.join("containers").join(&endpoint.container);
        endpoint.container == self.container || Lock::is_held(&folder).unwrap_or(false)
    }
}

/// In small letters.
fn names(endpoint: &Endpoint) -> impl Iterator<Item = String> {
    let short = endpoint.container.get(..SHORT_ID).unwrap_or_default();
    [endpoint.name.as_str(), short]
        .into_iter()
        .chain(endpoint.aliases.iter().map(String::as_str))
        .map(str::to_ascii_lowercase)
}
