//! Chains of other programs, and rules of ours in them: each is tagged, so that it is found again by
//! whoever cleans up.

use rustix::io::Errno;

use super::expression::Expression;
use super::table::{BEGIN, END, NEW_RULE, SUBSYSTEM, bound};
use crate::network::netlink::{Attributes, Family, Message, Socket};

const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const HEADER: usize = 4;
/// In an IPv4 packet's way: tables of IPv4 alone, and those of both families.
const FAMILIES: [u8; 2] = [libc::NFPROTO_IPV4 as u8, libc::NFPROTO_INET as u8];
const PASSAGE: u32 = 2;
const DROP: u32 = 0;
/// A comment, as the program nft shows it.
const COMMENT: u8 = 0;

/// A chain of another program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Foreign {
    family: u8,
    table: String,
    chain: String,
}

/// A rule of ours in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::network) struct Tagged {
    place: Foreign,
    handle: [u8; 8],
    pub(in crate::network) tag: String,
}

impl Tagged {
    /// Whether it is a rule of that chain.
    pub(in crate::network) fn is_in(&self, place: &Foreign) -> bool {
        self.place == *place
    }
}

/// Chains that drop what is passed on unless a rule lets it pass.
pub(in crate::network) fn dropping() -> Result<Vec<Foreign>, Errno> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let answers = dump(GET_CHAIN, family)?;
        found.extend(answers.iter().filter_map(|body| {
            let chain = Attributes(body.get(HEADER..)?);
            let hook = chain.inside(4).four(1).map(u32::from_be_bytes)?;
            let policy = chain.four(5).map(u32::from_be_bytes)?;
            (hook == PASSAGE && policy == DROP).then_some(Foreign {
                family,
                table: chain.text(1)?.to_owned(),
                chain: chain.text(3)?.to_owned(),
            })
        }));
    }
    Ok(found)
}

/// All rules whose tag begins so.
pub(in crate::network) fn tagged(beginning: &str) -> Result<Vec<Tagged>, Errno> {
    let mut found = Vec::new();
    for family in FAMILIES {
        let answers = dump(GET_RULE, family)?;
        found.extend(answers.iter().filter_map(|body| {
            let rule = Attributes(body.get(HEADER..)?);
            let tag = comment(rule.get(7)?)?;
            tag.starts_with(beginning).then_some(Tagged {
                place: Foreign {
                    family,
                    table: rule.text(1)?.to_owned(),
                    chain: rule.text(2)?.to_owned(),
                },
                handle: rule.get(3)?.try_into().ok()?,
                tag,
            })
        }));
    }
    Ok(found)
}

/// Puts rules in front of a chain's own.
pub(in crate::network) fn insert(
    place: &Foreign,
    tag: &str,
    rules: &[Vec<Expression>],
) -> Result<(), Errno> {
    let mut messages = vec![bound(BEGIN)];
    for rule in rules {
        let mut message = message(NEW_RULE, place.family, libc::NLM_F_CREATE);
        message.text(1, &place.table).text(2, &place.chain);
        message.nest(4, |list| {
            for expression in rule {
                expression.put(list);
            }
        });
        let mut comment = vec![COMMENT, tag.len() as u8 + 1];
        comment.extend(tag.as_bytes());
        comment.push(0);
        message.put(7, &comment);
        messages.push(message);
    }
    messages.push(bound(END));
    Socket::open(Family::Filter)?.transaction(messages)
}

/// Takes rules out again.
pub(in crate::network) fn remove(rules: &[Tagged]) -> Result<(), Errno> {
    if rules.is_empty() {
        return Ok(());
    }
    let mut messages = vec![bound(BEGIN)];
    for rule in rules {
        let mut message = message(DELETE_RULE, rule.place.family, 0);
        message
            .text(1, &rule.place.table)
            .text(2, &rule.place.chain)
            .put(3, &rule.handle);
        messages.push(message);
    }
    messages.push(bound(END));
    Socket::open(Family::Filter)?.transaction(messages)
}

fn dump(kind: u16, family: u8) -> Result<Vec<Vec<u8>>, Errno> {
    let fixed = [family, 0, 0, 0];
    let message = Message::new(SUBSYSTEM << 8 | kind, libc::NLM_F_DUMP, &fixed);
    Socket::open(Family::Filter)?.ask(message)
}

fn message(kind: u16, family: u8, flags: i32) -> Message {
    let flags = flags | libc::NLM_F_ACK;
    Message::new(SUBSYSTEM << 8 | kind, flags, &[family, 0, 0, 0])
}

/// The comment among a rule's notes, which are kind, length, bytes, one after another.
fn comment(mut notes: &[u8]) -> Option<String> {
    loop {
        let (kind, length) = (*notes.first()?, usize::from(*notes.get(1)?));
        let value = notes.get(2..2 + length)?;
        if kind == COMMENT {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return String::from_utf8(text.to_vec()).ok();
        }
        notes = notes.get(2 + length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_among_notes() {
        assert_eq!(comment(b"\x01\x01x\x00\x03ab\0").as_deref(), Some("ab"));
        for notes in [&b""[..], b"\x00", b"\x00\x09ab", b"\x01\x01x"] {
            assert_eq!(comment(notes), None);
        }
    }
}
