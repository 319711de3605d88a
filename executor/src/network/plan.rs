//! What a container's network is to be, as plain data that crosses to its monitor, and what came of
//! it, as plain data that `inspect`, `ps` and `port` read. Knows no row and no system call.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The network of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// The host's.
    Host,
    /// A namespace with loopback alone.
    #[default]
    None,
    /// That of a running container.
    Of {
        /// Its id, 64 hexadecimal digits.
        container: String,
    },
    /// Interfaces on bridges of the host.
    Bridge(Bridged),
    /// The user's way out through `pasta`.
    Pasta(Pasta),
}

impl Plan {
    /// Whether the container gets a network namespace of its own.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Host | Self::Of { .. })
    }
}

/// Interfaces on bridges of the host, in the order of `eth0`, `eth1` …
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridged {
    /// The container's id.
    pub container: String,
    /// One for each network.
    pub interfaces: Vec<Interface>,
    /// Ports of the host that lead to the container.
    pub publish: Vec<Publish>,
    /// Servers to which the resolver at 127.0.0.11 passes what it does not know; none for a
    /// container that has no such resolver (one on the default network alone).
    pub resolver: Option<Vec<IpAddr>>,
    /// Servers of a resolver that it gets when it is connected to a network that has names.
    #[serde(default)]
    pub servers: Vec<IpAddr>,
}

/// One interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The network's name.
    pub network: String,
    /// The network's id, 64 hexadecimal digits.
    pub network_id: String,
    /// The network's interface on the host.
    pub bridge: String,
    /// What this connection is called, 64 hexadecimal digits.
    pub endpoint: String,
    /// The container's address.
    pub address: Ipv4Addr,
    /// Leading bits that all addresses of the network share.
    pub prefix: u8,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
    /// The interface's hardware address.
    pub mac: [u8; 6],
    /// Largest packet in bytes; that of the host's way out when none is given.
    pub mtu: Option<u32>,
    /// Whether the network has no way out.
    pub internal: bool,
    /// Names beyond the container's own by which others on the network find it.
    pub aliases: Vec<String>,
}

/// The user's way out through `pasta`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pasta {
    /// Ports of the host that lead to the container.
    pub publish: Vec<Publish>,
}

/// A port of the host that leads to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Publish {
    /// The port inside.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The host's address; unspecified (`0.0.0.0`, `::`) for all of that family.
    pub host: IpAddr,
    /// The host's port; 0 for any that is free.
    pub host_port: u16,
    /// The last port that will do when `host_port` and those after it are taken; 0 when only
    /// `host_port` will do.
    #[serde(default)]
    pub host_last: u16,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// What a running container's network is: in its folder as long as its monitor lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// As in the plan, and those connected since.
    pub interfaces: Vec<Interface>,
    /// As in the plan, with the ports that were found free.
    pub published: Vec<Publish>,
}

impl Settings {
    /// The file's name in the folder of a container.
    pub const FILE: &str = "network.json";

    /// Those of the container in `folder`; empty when there are none. They count only while its
    /// monitor lives.
    ///
    /// # Errors
    /// When the file cannot be read or is none of ours.
    pub fn read(folder: &Path) -> io::Result<Self> {
        match std::fs::read(folder.join(Self::FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// As of the file system.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let draft = folder.join(".network.json");
        std::fs::write(&draft, serde_json::to_vec(self).map_err(io::Error::other)?)?;
        std::fs::rename(draft, folder.join(Self::FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(folder.path()).unwrap(), Settings::default());
        let settings = Settings {
            interfaces: Vec::new(),
            published: vec![Publish {
                port: 80,
                protocol: Protocol::Tcp,
                host: IpAddr::V4(Ipv4Addr::LOCALHOST),
                host_port: 8080,
                host_last: 0,
            }],
        };
        settings.write(folder.path()).unwrap();
        assert_eq!(Settings::read(folder.path()).unwrap(), settings);
        std::fs::write(folder.path().join(Settings::FILE), "{").unwrap();
        assert!(Settings::read(folder.path()).is_err());
    }
}
