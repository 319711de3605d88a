//! Ports of the host: taking them, so that nobody else does and a taken one is noticed.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt,
};

use super::error::NetworkError;
use super::plan::{Protocol, Publish};

/// Connections that wait to be taken up.
const BACKLOG: i32 = 256;

/// A taken port of the host.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) socket: OwnedFd,
    /// With the port that was found.
    pub(super) publish: Publish,
}

/// Takes all that are wanted; those with a port of their own first, so that a free one is not theirs.
pub(super) fn take(wanted: &[Publish]) -> Result<Vec<Door>, NetworkError> {
    let mut order: Vec<&Publish> = wanted.iter().collect();
    order.sort_by_key(|publish| publish.host_port == 0);
    order.into_iter().map(one).collect()
}

fn one(publish: &Publish) -> Result<Door, NetworkError> {
    let mut port = publish.host_port;
    loop {
        match open(publish, port) {
            Ok(socket) => {
                let at = getsockname(&socket).and_then(SocketAddr::try_from);
                let at = at.map_err(NetworkError::refused("a socket's address"))?;
                let publish = Publish {
                    host_port: at.port(),
                    host_last: 0,
                    ..*publish
                };
                return Ok(Door { socket, publish });
            }
            Err(Errno::ADDRINUSE) if port != 0 && port < publish.host_last => port += 1,
            Err(error) => return Err(refused(publish, port, error)),
        }
    }
}

fn open(publish: &Publish, port: u16) -> Result<OwnedFd, Errno> {
    let family = match publish.host {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let kind = match publish.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(family, kind, flags, None)?;
    if publish.host.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if publish.protocol == Protocol::Tcp {
        // connections that end still have the port for a while
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddr::new(publish.host, port))?;
    if publish.protocol == Protocol::Tcp {
        listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}

fn refused(publish: &Publish, port: u16, error: Errno) -> NetworkError {
    let at = SocketAddr::new(publish.host, port);
    let family = if publish.host.is_ipv4() { '4' } else { '6' };
    let protocol = format!("{}{family}", publish.protocol);
    match error {
        Errno::ADDRINUSE => NetworkError::InUse { protocol, at },
        Errno::ADDRNOTAVAIL => NetworkError::NotOurs { protocol, at },
        error => NetworkError::refused(&format!("listen {protocol} {at}"))(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(host_port: u16, host_last: u16, protocol: Protocol) -> Publish {
        Publish {
            port: 80,
            protocol,
            host: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            host_port,
            host_last,
        }
    }

    #[test]
    fn a_taken_port_is_noticed_and_a_range_goes_on() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let doors = take(&[loopback(0, 0, protocol)]).unwrap();
            let port = doors[0].publish.host_port;
            assert_ne!(port, 0);
            let error = take(&[loopback(port, 0, protocol)]).unwrap_err();
            assert!(error.to_string().contains("already in use"), "{error}");
            if let Some(last) = port.checked_add(20) {
                let next = take(&[loopback(port, last, protocol)]).unwrap();
                assert!(next[0].publish.host_port > port);
            }
        }
    }

    #[test]
    fn an_address_of_another_host_is_refused() {
        let strange = Publish {
            host: "192.0.2.1".parse().unwrap(),
            ..loopback(0, 0, Protocol::Tcp)
        };
        let error = take(&[strange]).unwrap_err();
        assert!(matches!(error, NetworkError::NotOurs { .. }), "{error}");
    }
}
