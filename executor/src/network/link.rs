//! Links, addresses and routes: the requests of rtnetlink(7) that containers need. Knows no plan.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::netlink::{Attributes, Family, Message, Socket};

const IFINFO: usize = 16;
const UP: u32 = libc::IFF_UP as u32;
const CREATE: i32 = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const VETH_PEER: u16 = 1;
/// A port that may send a packet back to where it came from.
const BRPORT_HAIRPIN: u16 = 4;

/// Where a route leads (none for the default), and through which link.
pub(super) type Route = (Option<(Ipv4Addr, u8)>, u32);

/// The links of the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Links(Socket);

/// A pair of interfaces: one on a bridge here, one in a container.
#[derive(Debug)]
pub(super) struct Pair<'p> {
    pub(super) here: &'p str,
    pub(super) bridge: u32,
    pub(super) there: &'p str,
    pub(super) namespace: BorrowedFd<'p>,
    pub(super) mac: [u8; 6],
    pub(super) mtu: Option<u32>,
}

impl Links {
    pub(super) fn open() -> Result<Self, Errno> {
        Socket::open(Family::Route).map(Self)
    }

    /// The number of a link and its largest packet; none when there is no such link.
    pub(super) fn index(&mut self, name: &str) -> Result<Option<(u32, u32)>, Errno> {
        let mut message = Message::new(libc::RTM_GETLINK, 0, &link(0, 0));
        message.text(libc::IFLA_IFNAME, name);
        match self.0.ask(message) {
            Ok(found) => Ok(found.first().map(|body| {
                let mtu = Attributes(body.get(IFINFO..).unwrap_or_default()).four(libc::IFLA_MTU);
                (index(body), mtu.map_or(0, u32::from_ne_bytes))
            })),
            Err(Errno::NODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a bridge that is up; `EEXIST` when it is there.
    pub(super) fn add_bridge(
        &mut self,
        name: &str,
        mac: [u8; 6],
        mtu: Option<u32>,
    ) -> Result<(), Errno> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, UP));
        message
            .text(libc::IFLA_IFNAME, name)
            .put(libc::IFLA_ADDRESS, &mac);
        if let Some(mtu) = mtu {
            message.number(libc::IFLA_MTU, mtu);
        }
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "bridge");
        });
        self.0.request(vec![message])
    }

    /// Makes a pair, its side here up and on the bridge.
    pub(super) fn add_pair(&mut self, pair: &Pair<'_>) -> Result<(), Errno> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, UP));
        message
            .text(libc::IFLA_IFNAME, pair.here)
            .number(libc::IFLA_MASTER, pair.bridge);
        if let Some(mtu) = pair.mtu {
            message.number(libc::IFLA_MTU, mtu);
        }
        message.nest(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "veth");
            info.nest(libc::IFLA_INFO_DATA, |data| {
                data.nest(VETH_PEER, |peer| {
                    peer.raw(&link(0, 0))
                        .text(libc::IFLA_IFNAME, pair.there)
                        .put(libc::IFLA_ADDRESS, &pair.mac)
                        .number(libc::IFLA_NET_NS_FD, pair.namespace.as_raw_fd() as u32);
                    if let Some(mtu) = pair.mtu {
                        peer.number(libc::IFLA_MTU, mtu);
                    }
                });
            });
        });
        self.0.request(vec![message])
    }

    /// Lets a bridge send a packet back through the port it came from: what a container needs to
    /// reach itself by a published port.
    pub(super) fn allow_hairpin(&mut self, port: u32) -> Result<(), Errno> {
        let mut fixed = link(port, 0);
        fixed[0] = libc::AF_BRIDGE as u8;
        let mut message = Message::new(libc::RTM_SETLINK, libc::NLM_F_ACK, &fixed);
        message.nest(libc::IFLA_PROTINFO, |info| {
            info.put(BRPORT_HAIRPIN, &[1]);
        });
        self.0.request(vec![message])
    }

    /// Removes a link and, of a pair, the other side; nothing happens when there is none.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), Errno> {
        let mut message = Message::new(libc::RTM_DELLINK, libc::NLM_F_ACK, &link(0, 0));
        message.text(libc::IFLA_IFNAME, name);
        match self.0.request(vec![message]) {
            Err(Errno::NODEV) => Ok(()),
            result => result,
        }
    }

    pub(super) fn raise(&mut self, index: u32) -> Result<(), Errno> {
        let message = Message::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &link(index, UP));
        self.0.request(vec![message])
    }

    /// Names of the links that are ports of a bridge.
    pub(super) fn ports(&mut self, bridge: u32) -> Result<Vec<String>, Errno> {
        let mut message = Message::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link(0, 0));
        message.number(libc::IFLA_MASTER, bridge);
        let found = self.0.ask(message)?;
        Ok(found
            .iter()
            .filter_map(|body| {
                let attributes = Attributes(body.get(IFINFO..)?);
                (attributes.four(libc::IFLA_MASTER)? == bridge.to_ne_bytes())
                    .then(|| attributes.text(libc::IFLA_IFNAME).map(str::to_owned))?
            })
            .collect())
    }

    /// Name and largest packet of every link.
    pub(super) fn all(&mut self) -> Result<Vec<(u32, String, u32)>, Errno> {
        let message = Message::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link(0, 0));
        let found = self.0.ask(message)?;
        Ok(found
            .iter()
            .filter_map(|body| {
                let attributes = Attributes(body.get(IFINFO..)?);
                let name = attributes.text(libc::IFLA_IFNAME)?.to_owned();
                let mtu = attributes
                    .four(libc::IFLA_MTU)
                    .map_or(0, u32::from_ne_bytes);
                Some((index(body), name, mtu))
            })
            .collect())
    }

    /// Gives a link an address; nothing happens when it has that one.
    pub(super) fn add_address(
        &mut self,
        index: u32,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), Errno> {
        let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &address_of(index, prefix));
        let last = u32::from(address) | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        message
            .put(libc::IFA_LOCAL, &address.octets())
            .put(libc::IFA_ADDRESS, &address.octets())
            .put(libc::IFA_BROADCAST, &last.to_be_bytes());
        match self.0.request(vec![message]) {
            Err(Errno::EXIST) => Ok(()),
            result => result,
        }
    }

    /// Takes an address from a link.
    pub(super) fn remove_address(
        &mut self,
        index: u32,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), Errno> {
        let mut message = Message::new(
            libc::RTM_DELADDR,
            libc::NLM_F_ACK,
            &address_of(index, prefix),
        );
        message.put(libc::IFA_LOCAL, &address.octets());
        self.0.request(vec![message])
    }

    /// Sends what has no nearer way through `gateway`.
    pub(super) fn add_default_route(&mut self, gateway: Ipv4Addr) -> Result<(), Errno> {
        let fixed = route(libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        let mut message = Message::new(libc::RTM_NEWROUTE, flags, &fixed);
        message.put(libc::RTA_GATEWAY, &gateway.octets());
        self.0.request(vec![message])
    }

    /// Every IPv4 route of the main table: where to (none for the default), and through which link.
    pub(super) fn routes(&mut self) -> Result<Vec<Route>, Errno> {
        let message = Message::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &route(0, 0));
        let found = self.0.ask(message)?;
        Ok(found
            .iter()
            .filter_map(|body| {
                let table = *body.get(4)?;
                let attributes = Attributes(body.get(12..)?);
                let to = attributes
                    .four(libc::RTA_DST)
                    .map(|to| (Ipv4Addr::from(to), body[1]));
                let link = attributes.four(libc::RTA_OIF).map_or(0, u32::from_ne_bytes);
                (table == libc::RT_TABLE_MAIN).then_some((to, link))
            })
            .collect())
    }
}

/// The name of a container's interface on the host's side, by its endpoint's id.
pub(super) fn pair_name(endpoint: &str) -> String {
    format!("rbv{}", endpoint.get(..12).unwrap_or(endpoint))
}

fn link(index: u32, flags: u32) -> [u8; IFINFO] {
    let mut fixed = [0; IFINFO];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

fn index(body: &[u8]) -> u32 {
    body.get(4..8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_ne_bytes)
}

fn route(scope: u8, kind: u8) -> [u8; 12] {
    let mut fixed = [0; 12];
    fixed[0] = libc::AF_INET as u8;
    fixed[4] = libc::RT_TABLE_MAIN;
    fixed[5] = libc::RTPROT_STATIC;
    fixed[6] = scope;
    fixed[7] = kind;
    fixed
}

/// The head of a message about an address of a link: `ifaddrmsg`, see rtnetlink(7).
fn address_of(index: u32, prefix: u8) -> [u8; 8] {
    let mut fixed = [libc::AF_INET as u8, prefix, 0, 0, 0, 0, 0, 0];
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    fixed
}
