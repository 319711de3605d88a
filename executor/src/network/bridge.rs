//! A network's bridge on the host and a container's interface on it. Both are made while the network's
//! lock is held, so that a bridge is not removed as the last one leaves while the next one comes.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::path::Path;

use cache::networks::{Endpoints, Subnet};
use rustix::io::Errno;

use super::error::NetworkError;
use super::link::{Links, Pair, pair_name};
use super::plan::Interface;

/// Puts an interface called `name` into `namespace`, on its bridge, which is made if need be.
pub(super) fn attach(
    store: &Path,
    interface: &Interface,
    name: &str,
    namespace: BorrowedFd<'_>,
) -> Result<(), NetworkError> {
    let lock = Endpoints::at(store, &interface.network_id).lock();
    let _lock = lock.map_err(|error| NetworkError::Refused {
        what: format!("locking network {}", interface.network),
        cause: io_cause(&error),
    })?;
    let failed = |what: &str| NetworkError::refused(&format!("{what} {}", interface.network));
    let mut links = Links::open().map_err(failed("netlink for"))?;
    let (bridge, mtu) = bridge(&mut links, interface)?;
    super::passage::open(&mut links, &interface.bridge);
    let here = pair_name(&interface.endpoint);
    let pair = Pair {
        here: &here,
        bridge,
        there: name,
        namespace,
        mac: interface.mac,
        mtu: interface.mtu.or(mtu),
    };
    let added = links
        .add_pair(&pair)
        .map_err(lacking("an interface (veth)", "veth"));
    let result = added.and_then(|()| {
        let finished = finish(&mut links, &here, interface, name, namespace);
        if finished.is_err() {
            let _ = links.remove(&here);
        }
        finished.map_err(failed("an interface on network"))
    });
    if result.is_err() {
        remove_empty(&mut links, &interface.bridge);
    }
    result
}

fn finish(
    links: &mut Links,
    here: &str,
    interface: &Interface,
    name: &str,
    namespace: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let port = links.index(here)?.ok_or(Errno::NODEV)?.0;
    links.allow_hairpin(port)?;
    let mut there = super::namespace::within(namespace, Links::open)?;
    let index = there.index(name)?.ok_or(Errno::NODEV)?.0;
    there.add_address(index, interface.address, interface.prefix)?;
    there.raise(index)
}

/// The number of the bridge, and the largest packet on it.
fn bridge(links: &mut Links, interface: &Interface) -> Result<(u32, Option<u32>), NetworkError> {
    let failed = |what: &str| NetworkError::refused(&format!("{what} {}", interface.bridge));
    let name = &interface.bridge;
    if let Some((index, mtu)) = links.index(name).map_err(failed("finding"))? {
        return Ok((index, Some(mtu)));
    }
    let mtu = interface.mtu.or_else(|| way_out(links));
    let [a, b, c, d] = interface.gateway.octets();
    links
        .add_bridge(name, [2, 0x42, a ^ 0x80, b, c, d], mtu)
        .map_err(lacking("a bridge", "bridge"))?;
    let made = links.index(name).map_err(failed("finding"))?;
    let (index, mtu) = made.ok_or_else(|| failed("finding")(Errno::NODEV))?;
    let result = links
        .add_address(index, interface.gateway, interface.prefix)
        .and_then(|()| {
            if interface.internal {
                Ok(())
            } else {
                forward()
            }
        });
    if let Err(cause) = result {
        let _ = links.remove(name);
        return Err(failed("setting up")(cause));
    }
    Ok((index, Some(mtu)))
}

/// Lets this host pass packets on from one interface to another, as every host of containers does.
fn forward() -> Result<(), Errno> {
    const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";
    let number =
        |error: std::io::Error| Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
    if std::fs::read(SWITCH).map_err(number)?.starts_with(b"1") {
        return Ok(());
    }
    std::fs::write(SWITCH, "1").map_err(number)
}

/// The largest packet on this host's way out.
fn way_out(links: &mut Links) -> Option<u32> {
    let routes = links.routes().ok()?;
    let (_, out) = routes.into_iter().find(|(to, _)| to.is_none())?;
    let all = links.all().ok()?;
    let (_, _, mtu) = all.into_iter().find(|(index, ..)| *index == out)?;
    (mtu >= 576).then_some(mtu)
}

/// Takes an interface off its bridge, and removes the bridge when it was the last one there. Of a
/// `container` that has ended the network knows nothing then.
pub(super) fn detach(store: &Path, interface: &Interface, container: Option<&str>) {
    let endpoints = Endpoints::at(store, &interface.network_id);
    // a network that was removed meanwhile has no lock, and nobody comes to it
    let lock = endpoints.lock_again();
    if let (Some(lock), Some(container)) = (&lock, container) {
        endpoints.forget(container, &interface.endpoint, lock);
    }
    let Ok(mut links) = Links::open() else { return };
    // it goes by itself when its namespace does; this makes it go now
    let _ = links.remove(&pair_name(&interface.endpoint));
    remove_empty(&mut links, &interface.bridge);
}

/// Removes a bridge that nothing is on.
fn remove_empty(links: &mut Links, name: &str) {
    if let Ok(Some((bridge, _))) = links.index(name)
        && links.ports(bridge).is_ok_and(|ports| ports.is_empty())
    {
        let _ = links.remove(name);
        super::passage::close(name);
    }
}

/// Removes the bridges of networks whose containers were killed with everybody who could have done it:
/// `bridges` are pairs of a network's id and its bridge's name, `alive` says whether the container with
/// an id lives. Gives the names of those removed.
///
/// # Errors
/// When netlink cannot be had.
pub fn sweep(
    store: &Path,
    bridges: &[(String, String)],
    alive: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, NetworkError> {
    let mut links = Links::open().map_err(NetworkError::refused("netlink"))?;
    let mut gone = Vec::new();
    for (network, bridge) in bridges {
        let endpoints = Endpoints::at(store, network);
        if !matches!(links.index(bridge), Ok(Some(_))) {
            continue;
        }
        let _lock = endpoints.lock_again();
        let Ok(Some((index, _))) = links.index(bridge) else {
            continue;
        };
        if endpoints.all(alive).is_ok_and(|there| there.is_empty()) {
            // the kernel takes its time to remove those of dead namespaces
            for port in links.ports(index).unwrap_or_default() {
                let _ = links.remove(&port);
            }
            remove_empty(&mut links, bridge);
            gone.push(bridge.clone());
        }
    }
    Ok(gone)
}

/// The subnets that this host uses: where its routes lead to, but for the default one.
///
/// # Errors
/// When netlink cannot be had.
pub fn occupied() -> Result<Vec<Subnet>, NetworkError> {
    let routes = Links::open().and_then(|mut links| links.routes());
    let routes = routes.map_err(NetworkError::refused("listing routes"))?;
    Ok(routes
        .into_iter()
        .filter_map(|(to, _)| to)
        .map(|(base, prefix)| Subnet::of(base, prefix))
        .collect())
}

/// Whether the bridge of that name is there, and the subnets that other links use.
///
/// # Errors
/// When netlink cannot be had.
pub fn bridge_and_others(name: &str) -> Result<(bool, Vec<Subnet>), NetworkError> {
    let look = || -> Result<_, Errno> {
        let mut links = Links::open()?;
        let own = links.index(name)?.map(|(index, _)| index);
        let others = links.routes()?.into_iter().filter_map(|(to, link)| {
            let (base, prefix): (Ipv4Addr, u8) = to?;
            (Some(link) != own).then(|| Subnet::of(base, prefix))
        });
        Ok((own.is_some(), others.collect()))
    };
    look().map_err(NetworkError::refused("listing routes"))
}

/// What is said when the kernel does not make a thing.
pub(super) fn lacking(what: &'static str, module: &'static str) -> impl Fn(Errno) -> NetworkError {
    move |cause| match cause {
        Errno::OPNOTSUPP | Errno::NOENT | Errno::PROTONOSUPPORT => NetworkError::Lacking {
            what: what.to_owned(),
            cause: cause.into(),
            cure: format!("load the kernel's module `{module}`, or use --network host or none"),
        },
        Errno::PERM => NetworkError::Lacking {
            what: what.to_owned(),
            cause: cause.into(),
            cure: "it takes CAP_NET_ADMIN; use --network host or none".to_owned(),
        },
        cause => NetworkError::refused(what)(cause),
    }
}

fn io_cause(error: &cache::StoreError) -> crate::container::Errno {
    match error {
        cache::StoreError::Io { source, .. } => {
            crate::container::Errno(source.raw_os_error().unwrap_or(libc::EIO))
        }
        _ => crate::container::Errno(libc::EIO),
    }
}
