//! A network as long as it is up: what the monitor holds and polls. Knows neither how a bridge nor
//! how a filter is made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFlags;

use super::bridge;
use super::doors;
use super::error::NetworkError;
use super::filter::Table;
use super::link::Links;
use super::namespace::within;
use super::pasta;
use super::plan::{Bridged, Interface, Plan, Settings};
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::rules;

/// The network on which docker's containers do not know each other's names.
pub(super) const NAMELESS: &str = "bridge";

/// Where things are, seen from the monitor.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store's root.
    pub store: PathBuf,
    /// The container's folder.
    pub folder: PathBuf,
}

/// A network that is up. What it made goes when it is dropped, and also, but for the bridge, when
/// its process dies; [`clear`] takes the bridge too.
#[derive(Debug)]
pub struct Up {
    namespace: Option<OwnedFd>,
    place: Place,
    /// As they are called inside, in the order in which they were connected.
    interfaces: Vec<(String, Interface)>,
    settings: Settings,
    table: Option<Table>,
    proxy: Proxy,
    resolver: Option<Resolver>,
    pasta: Option<pasta::Running>,
    /// Of a resolver that is not needed yet, and whose container that is.
    servers: Vec<std::net::IpAddr>,
    container: String,
}

/// Makes a network namespace with loopback up, and leaves this thread in the one where it was. Of an
/// ordinary user's process it takes one thread.
///
/// # Errors
/// As unshare(2).
pub fn new_namespace() -> Result<OwnedFd, NetworkError> {
    super::namespace::make().map_err(NetworkError::refused("a network namespace"))
}

/// Sets up what `plan` wants in the namespace, which is a new one (none for a plan that has none of
/// its own). Everything is there when this comes back: a container may be started in it.
///
/// # Errors
/// Why not; then nothing is left.
pub fn set_up(plan: &Plan, namespace: Option<OwnedFd>, place: &Place) -> Result<Up, NetworkError> {
    let mut up = Up {
        namespace,
        place: place.clone(),
        interfaces: Vec::new(),
        settings: Settings::default(),
        table: None,
        proxy: Proxy::default(),
        resolver: None,
        pasta: None,
        servers: Vec::new(),
        container: String::new(),
    };
    match plan {
        Plan::Host | Plan::None | Plan::Of { .. } => {}
        Plan::Bridge(plan) => up.bridge(plan)?,
        Plan::Pasta(plan) => {
            if let Some(namespace) = &up.namespace {
                let pasta = pasta::start(plan, namespace, &place.folder)?;
                up.settings.published.clone_from(&pasta.published);
                up.pasta = Some(pasta);
            }
        }
    }
    up.tell()?;
    Ok(up)
}

/// Removes what a network with this plan may have left whose process was killed: called by whoever
/// outlives it, with the host's network; does no harm to others on the same bridge.
pub fn clear(plan: &Plan, place: &Place) {
    // those connected later are in the settings alone
    let settings = Settings::read(&place.folder).unwrap_or_default();
    if let Plan::Bridge(plan) = plan {
        Table::remove(&rules::table(&plan.container));
        for interface in plan.interfaces.iter().chain(&settings.interfaces) {
            bridge::detach(&place.store, interface, Some(&plan.container));
        }
    }
    let _ = std::fs::remove_file(place.folder.join(Settings::FILE));
}

impl Up {
    /// Says where things are from now on, when the process has another root.
    pub fn moved(&mut self, place: Place) {
        if let Some(resolver) = &mut self.resolver {
            resolver.moved(&place.store);
        }
        self.place = place;
    }

    /// Stops leading in and out, at once: ports and addresses are free when this comes back. What is
    /// left takes the kernel longer, and goes as this is dropped.
    pub fn end(&mut self) {
        self.proxy = Proxy::default();
        self.resolver = None;
        self.pasta = None;
        if let Some(mut table) = self.table.take() {
            // where it is refused the table goes with its socket
            let _ = table.clear();
        }
        let Some(namespace) = &self.namespace else {
            return;
        };
        let interfaces = &self.interfaces;
        // nobody inside may answer for an address that another container has now
        let _ = within(namespace, || {
            let mut links = Links::open()?;
            for (name, interface) in interfaces {
                if let Some((index, _)) = links.index(name)? {
                    links.remove_address(index, interface.address, interface.prefix)?;
                }
            }
            Ok::<_, rustix::io::Errno>(())
        });
    }

    /// The namespace to start processes in; none when it is the host's.
    pub fn namespace(&self) -> Option<BorrowedFd<'_>> {
        self.namespace.as_ref().map(AsFd::as_fd)
    }

    /// What there is, to be read by others from the container's folder.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What to poll, and for what. The answer changes with each call of [`ready`](Self::ready).
    pub fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let mut list = Vec::new();
        self.proxy.descriptors(&mut list);
        if let Some(resolver) = &self.resolver {
            resolver.descriptors(&mut list);
        }
        list
    }

    /// When to call [`tick`](Self::tick) at the latest; none when there is nothing to wait for.
    pub fn timeout(&self) -> Option<Duration> {
        let resolver = self.resolver.as_ref().and_then(Resolver::timeout);
        self.proxy.timeout().into_iter().chain(resolver).min()
    }

    /// Does what can be done now for a descriptor that became ready. Never blocks.
    pub fn ready(&mut self, fd: RawFd) {
        if !self.proxy.ready(fd)
            && let Some(resolver) = &mut self.resolver
        {
            resolver.ready(fd);
        }
    }

    /// Forgets what has waited too long.
    pub fn tick(&mut self) {
        self.proxy.tick();
        if let Some(resolver) = &mut self.resolver {
            resolver.tick();
        }
    }

    /// Connects the running container to one more network, as the next `ethN`.
    ///
    /// # Errors
    /// Why not; then nothing is changed.
    pub fn connect(&mut self, interface: &Interface) -> Result<(), NetworkError> {
        if self.pasta.is_some() {
            return Err(NetworkError::Pasta {
                why: "a container of an ordinary user cannot be connected to a network".to_owned(),
            });
        }
        self.attach(interface)?;
        let named = interface.network != NAMELESS;
        let result = if named { self.resolve() } else { Ok(()) };
        let result = result.and_then(|()| self.lead()).and_then(|()| self.tell());
        if result.is_err() {
            let _ = self.disconnect(&interface.network_id);
        }
        result
    }

    /// Takes the running container off the network with this id.
    ///
    /// # Errors
    /// [`NetworkError::NotConnected`].
    pub fn disconnect(&mut self, network_id: &str) -> Result<(), NetworkError> {
        let at = self
            .interfaces
            .iter()
            .position(|(_, interface)| interface.network_id == network_id)
            .ok_or_else(|| NetworkError::NotConnected {
                network: network_id.to_owned(),
            })?;
        let (_, interface) = self.interfaces.remove(at);
        // whoever asked for it removes the network's file
        bridge::detach(&self.place.store, &interface, None);
        self.lead()?;
        self.tell()
    }

    fn bridge(&mut self, plan: &Bridged) -> Result<(), NetworkError> {
        self.container.clone_from(&plan.container);
        let doors = doors::take(&plan.publish)?;
        self.proxy = Proxy::new(doors, None);
        let table = Table::open(&rules::table(&plan.container));
        self.table = Some(table.map_err(NetworkError::refused("netlink for the filter"))?);
        for interface in &plan.interfaces {
            self.attach(interface)?;
        }
        self.servers.clone_from(&plan.servers);
        if let Some(servers) = &plan.resolver {
            self.servers.clone_from(servers);
            self.resolve()?;
        }
        self.lead()
    }

    /// Has a resolver in the namespace.
    fn resolve(&mut self) -> Result<(), NetworkError> {
        if let (None, Some(namespace)) = (&self.resolver, &self.namespace) {
            let store = &self.place.store;
            let resolver = Resolver::open(namespace, &self.servers, store, &self.container)?;
            self.resolver = Some(resolver);
        }
        Ok(())
    }

    /// Puts one more interface into the namespace.
    fn attach(&mut self, interface: &Interface) -> Result<(), NetworkError> {
        let Some(namespace) = &self.namespace else {
            return Err(NetworkError::NotConnected {
                network: interface.network.clone(),
            });
        };
        let free = (0..=self.interfaces.len())
            .map(|number| format!("eth{number}"))
            .find(|name| self.interfaces.iter().all(|(other, _)| other != name));
        let name = free.unwrap_or_default();
        bridge::attach(&self.place.store, interface, &name, namespace.as_fd())?;
        self.interfaces.push((name, interface.clone()));
        Ok(())
    }

    /// Makes route, filter and proxy what the interfaces want.
    fn lead(&mut self) -> Result<(), NetworkError> {
        let interfaces: Vec<Interface> = self
            .interfaces
            .iter()
            .map(|(_, interface)| interface.clone())
            .collect();
        let out = interfaces.iter().find(|interface| !interface.internal);
        if let (Some(out), Some(namespace)) = (out, &self.namespace) {
            within(namespace, || Links::open()?.add_default_route(out.gateway))
                .map_err(NetworkError::refused("the default route"))?;
        }
        let target = out.or(interfaces.first());
        self.proxy.turn(target.map(|interface| interface.address));
        let published = self.proxy.published();
        if let Some(table) = &mut self.table {
            table
                .set(&rules::chains(&interfaces, out, &published))
                .map_err(lacking_filter)?;
        }
        if let Some(resolver) = &mut self.resolver {
            resolver.turn(&interfaces);
        }
        self.settings = Settings {
            interfaces,
            published,
        };
        Ok(())
    }

    fn tell(&self) -> Result<(), NetworkError> {
        self.settings
            .write(&self.place.folder)
            .map_err(|error| NetworkError::Refused {
                what: "saying which network there is".to_owned(),
                cause: error.into(),
            })
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        for (_, interface) in &self.interfaces {
            bridge::detach(&self.place.store, interface, Some(&self.container));
        }
    }
}

pub(super) fn lacking_filter(cause: rustix::io::Errno) -> NetworkError {
    NetworkError::Lacking {
        what: "rules of the packet filter (nftables)".to_owned(),
        cause: cause.into(),
        cure: "load the kernel's modules `nf_tables`, `nft_chain_nat` and `nft_masq`, or use \
               --network host or none"
            .to_owned(),
    }
}
