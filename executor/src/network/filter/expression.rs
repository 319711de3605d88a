//! Expressions of a rule: what it looks at and what it does. See linux/netfilter/nf_tables.h.

use std::net::Ipv4Addr;

use crate::network::netlink::Message;
use crate::network::plan::Protocol;

const NAME: u16 = 1;
const DATA: u16 = 2;
const ELEMENT: u16 = 1;
const REGISTER_1: u32 = 1;
const REGISTER_2: u32 = 2;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;

/// Which end of a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Side {
    /// Where it comes from.
    From,
    /// Where it goes.
    To,
}

/// One condition of a rule, or what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) enum Expression {
    /// The packet comes in or goes out by this link.
    Link(Side, String),
    /// It does not.
    OtherLink(Side, String),
    /// By a link whose name begins so.
    LinkPrefix(Side, String),
    /// One of its addresses is in this network.
    Address(Side, Ipv4Addr, u8),
    /// None of its addresses is in it.
    OtherAddress(Side, Ipv4Addr, u8),
    /// It goes to this port.
    Port(Protocol, u16),
    /// It goes to an address of this host's own.
    Ours,
    /// Its connection was redirected.
    Redirected,
    /// It goes to this address and port instead.
    Redirect(Ipv4Addr, u16),
    /// It comes from the host's address instead.
    Masquerade,
    /// It ends here.
    Drop,
    /// This chain lets it pass.
    Accept,
}

impl Expression {
    /// Adds it to the expressions of a rule.
    pub(super) fn put(&self, list: &mut Message) {
        match self {
            Self::Link(side, name) => link(list, *side, name, EQUAL, true),
            Self::OtherLink(side, name) => link(list, *side, name, UNEQUAL, true),
            Self::LinkPrefix(side, name) => link(list, *side, name, EQUAL, false),
            Self::Address(side, network, prefix) => address(list, *side, *network, *prefix, EQUAL),
            Self::OtherAddress(side, network, prefix) => {
                address(list, *side, *network, *prefix, UNEQUAL);
            }
            Self::Port(protocol, port) => self::port(list, *protocol, *port),
            Self::Ours => {
                const RESULT_TYPE: u32 = 3;
                const BY_DESTINATION: u32 = 2;
                const LOCAL: u32 = 2;
                element(list, "fib", |data| {
                    data.big(1, REGISTER_1)
                        .big(2, RESULT_TYPE)
                        .big(3, BY_DESTINATION);
                });
                compare(list, EQUAL, &LOCAL.to_ne_bytes());
            }
            Self::Redirected => {
                const STATUS: u32 = 2;
                const DST_NAT: u32 = 1 << 5;
                element(list, "ct", |data| {
                    data.big(1, REGISTER_1).big(2, STATUS);
                });
                mask(list, &DST_NAT.to_ne_bytes());
                compare(list, UNEQUAL, &[0; 4]);
            }
            Self::Redirect(address, port) => translate(list, *address, *port),
            Self::Masquerade => element(list, "masq", |_| ()),
            Self::Drop => verdict(list, 0),
            Self::Accept => verdict(list, 1),
        }
    }
}

fn element(list: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
    list.nest(ELEMENT, |element| {
        element.text(NAME, name).nest(DATA, fill);
    });
}

fn compare(list: &mut Message, operation: u32, value: &[u8]) {
    element(list, "cmp", |data| {
        data.big(1, REGISTER_1).big(2, operation).nest(3, |held| {
            held.put(VALUE, value);
        });
    });
}

/// Keeps of register 1 the bits of `mask`.
fn mask(list: &mut Message, mask: &[u8]) {
    element(list, "bitwise", |data| {
        data.big(1, REGISTER_1)
            .big(2, REGISTER_1)
            .big(3, mask.len() as u32)
            .nest(4, |held| {
                held.put(VALUE, mask);
            })
            .nest(5, |held| {
                held.put(VALUE, &vec![0; mask.len()]);
            });
    });
}

fn link(list: &mut Message, side: Side, name: &str, operation: u32, whole: bool) {
    const COMES_BY: u32 = 6;
    const GOES_BY: u32 = 7;
    let key = match side {
        Side::From => COMES_BY,
        Side::To => GOES_BY,
    };
    element(list, "meta", |data| {
        data.big(2, key).big(1, REGISTER_1);
    });
    let mut value = name.as_bytes().to_vec();
    if whole {
        value.resize(libc::IFNAMSIZ, 0);
    }
    compare(list, operation, &value);
}

fn address(list: &mut Message, side: Side, network: Ipv4Addr, prefix: u8, operation: u32) {
    let offset = match side {
        Side::From => 12,
        Side::To => 16,
    };
    payload(list, 1, offset, 4);
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    if prefix < 32 {
        mask(list, &bits.to_be_bytes());
    }
    compare(list, operation, &(u32::from(network) & bits).to_be_bytes());
}

fn port(list: &mut Message, protocol: Protocol, port: u16) {
    const PROTOCOL: u32 = 16;
    let number = match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    element(list, "meta", |data| {
        data.big(2, PROTOCOL).big(1, REGISTER_1);
    });
    compare(list, EQUAL, &[number as u8]);
    payload(list, 2, 2, 2);
    compare(list, EQUAL, &port.to_be_bytes());
}

/// Loads bytes of the packet: of the network's header (1) or of the transport's (2).
fn payload(list: &mut Message, base: u32, offset: u32, length: u32) {
    element(list, "payload", |data| {
        data.big(1, REGISTER_1)
            .big(2, base)
            .big(3, offset)
            .big(4, length);
    });
}

fn translate(list: &mut Message, address: Ipv4Addr, port: u16) {
    const DESTINATION: u32 = 1;
    immediate(list, REGISTER_1, &address.octets());
    immediate(list, REGISTER_2, &port.to_be_bytes());
    element(list, "nat", |data| {
        data.big(1, DESTINATION)
            .big(2, libc::NFPROTO_IPV4 as u32)
            .big(3, REGISTER_1)
            .big(5, REGISTER_2);
    });
}

fn immediate(list: &mut Message, register: u32, value: &[u8]) {
    element(list, "immediate", |data| {
        data.big(1, register).nest(2, |held| {
            held.put(VALUE, value);
        });
    });
}

fn verdict(list: &mut Message, code: u32) {
    element(list, "immediate", |data| {
        data.big(1, 0).nest(2, |held| {
            held.nest(VERDICT, |verdict| {
                verdict.big(1, code);
            });
        });
    });
}
