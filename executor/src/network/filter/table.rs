//! A table that belongs to this process's socket, so that the kernel removes it with its owner.

use rustix::io::Errno;

use super::expression::Expression;
use crate::network::netlink::{Family, Message, Socket};

pub(super) const SUBSYSTEM: u16 = 10;
pub(super) const BEGIN: u16 = 0x10;
pub(super) const END: u16 = 0x11;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
pub(super) const NEW_RULE: u16 = 6;
/// Nobody else may change it, and it goes with its socket. Since 5.12.
const OWNED: u32 = 2;

/// Where in a packet's way a chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::network) enum Hook {
    /// It has come in, and may be redirected.
    Arrival,
    /// It was made here, and may be redirected.
    Departure,
    /// It leaves, and may be said to come from elsewhere.
    Exit,
    /// It was made elsewhere and is for elsewhere.
    Passage,
}

/// A chain and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Chain {
    /// Where it stands.
    pub(in crate::network) hook: Hook,
    /// In this order; what none of them ends passes.
    pub(in crate::network) rules: Vec<Rule>,
}

/// The conditions of a rule and what it does, in this order.
pub(in crate::network) type Rule = Vec<Expression>;

/// A table of the network namespace in which it was opened. It goes when this is dropped.
#[derive(Debug)]
pub(in crate::network) struct Table {
    socket: Socket,
    name: String,
    made: bool,
    owned: bool,
}

impl Table {
    /// One of this name that does not exist yet.
    pub(in crate::network) fn open(name: &str) -> Result<Self, Errno> {
        Ok(Self {
            socket: Socket::open(Family::Filter)?,
            name: name.to_owned(),
            made: false,
            owned: true,
        })
    }

    /// Makes these its chains, all at once, instead of those that it had.
    pub(in crate::network) fn set(&mut self, chains: &[Chain]) -> Result<(), Errno> {
        let mut result = self.socket.transaction(self.messages(chains));
        if self.owned && matches!(result, Err(Errno::OPNOTSUPP | Errno::INVAL)) {
            // a kernel before 5.12: whoever outlives this process removes the table
            self.owned = false;
            result = self.socket.transaction(self.messages(chains));
        }
        self.made |= result.is_ok();
        result
    }

    /// Removes it now: its name is free for another when this comes back.
    pub(in crate::network) fn clear(&mut self) -> Result<(), Errno> {
        if self.made {
            let messages = vec![bound(BEGIN), named(DELETE_TABLE, &self.name), bound(END)];
            self.socket.transaction(messages)?;
            self.made = false;
        }
        Ok(())
    }

    /// Removes a table that a dead process of an older kernel may have left.
    pub(in crate::network) fn remove(name: &str) {
        let messages = vec![bound(BEGIN), named(DELETE_TABLE, name), bound(END)];
        // most often there is none
        let _ = Socket::open(Family::Filter).and_then(|mut socket| socket.transaction(messages));
    }

    fn messages(&self, chains: &[Chain]) -> Vec<Message> {
        let mut messages = vec![bound(BEGIN)];
        if self.made {
            messages.push(named(DELETE_TABLE, &self.name));
        }
        let mut table = named(NEW_TABLE, &self.name);
        table.big(2, if self.owned { OWNED } else { 0 });
        messages.push(table);
        for chain in chains {
            messages.push(self.chain(chain));
            messages.extend(chain.rules.iter().map(|rule| self.rule(chain, rule)));
        }
        messages.push(bound(END));
        messages
    }

    fn chain(&self, chain: &Chain) -> Message {
        let (number, priority, kind, name) = chain.hook.words();
        let mut message = message(NEW_CHAIN, libc::NLM_F_CREATE);
        message
            .text(1, &self.name)
            .text(3, name)
            .nest(4, |hook| {
                hook.big(1, number).big(2, priority as u32);
            })
            .text(7, kind);
        message
    }

    fn rule(&self, chain: &Chain, rule: &Rule) -> Message {
        let mut message = message(NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND);
        message
            .text(1, &self.name)
            .text(2, chain.hook.words().3)
            .nest(4, |list| {
                for expression in rule {
                    expression.put(list);
                }
            });
        message
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if self.made && !self.owned {
            Self::remove(&self.name);
        }
    }
}

impl Hook {
    /// Its number, priority, kind of chain, and the name of ours there.
    fn words(self) -> (u32, i32, &'static str, &'static str) {
        match self {
            Self::Arrival => (0, -100, "nat", "arrival"),
            Self::Departure => (3, -100, "nat", "departure"),
            Self::Exit => (4, 100, "nat", "exit"),
            Self::Passage => (2, 0, "filter", "passage"),
        }
    }
}

fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

pub(super) fn bound(kind: u16) -> Message {
    Message::new(kind, 0, &header(0, SUBSYSTEM))
}

fn message(kind: u16, flags: i32) -> Message {
    let flags = flags | libc::NLM_F_ACK;
    let family = libc::NFPROTO_IPV4 as u8;
    Message::new(SUBSYSTEM << 8 | kind, flags, &header(family, 0))
}

fn named(kind: u16, name: &str) -> Message {
    let flags = if kind == NEW_TABLE {
        libc::NLM_F_CREATE
    } else {
        0
    };
    let mut message = message(kind, flags);
    message.text(1, name);
    message
}
