//! Questions and answers of the domain name system, as far as a container's names need them. See
//! RFC 1035, section 4.

use std::net::Ipv4Addr;

const HEADER: usize = 12;
const ADDRESS: u16 = 1;
const POINTER: u16 = 12;
const ADDRESS_6: u16 = 28;
const INTERNET: u16 = 1;
/// Seconds for which an answer counts, as docker's.
const LIFE: u32 = 600;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An IPv4 address.
    Address,
    /// An IPv6 address.
    Address6,
    /// The name of an address.
    Name,
    /// Anything else.
    Other,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query<'q> {
    bytes: &'q [u8],
    /// Where the question ends.
    end: usize,
    /// In small letters, without a dot at its end.
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What is said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name has these addresses; none of the kind that was asked for when there are none.
    Addresses(Vec<Ipv4Addr>),
    /// The address has this name.
    Name(String),
    /// Nobody could be asked.
    Failed,
}

impl<'q> Query<'q> {
    /// Reads one; none when it is no single plain question.
    pub(super) fn parse(bytes: &'q [u8]) -> Option<Self> {
        let two = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let is_query = bytes.get(2)? & 0xf8 == 0;
        if !is_query || two(4)? != 1 {
            return None;
        }
        let mut name = String::new();
        let mut at = HEADER;
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // a question is the first name there is: it points to no other
            if length > 63 || name.len() > 255 {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            let label = bytes.get(at..at + length)?;
            name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        let kind = match (two(at)?, two(at + 2)?) {
            (ADDRESS, INTERNET) => Kind::Address,
            (ADDRESS_6, INTERNET) => Kind::Address6,
            (POINTER, INTERNET) => Kind::Name,
            _ => Kind::Other,
        };
        Some(Self {
            bytes,
            end: at + 4,
            name,
            kind,
        })
    }

    /// The address whose name is asked for (`2.0.17.172.in-addr.arpa`).
    pub(super) fn reversed(&self) -> Option<Ipv4Addr> {
        let digits = self.name.strip_suffix(".in-addr.arpa")?;
        let address: Ipv4Addr = digits.parse().ok()?;
        let [a, b, c, d] = address.octets();
        Some(Ipv4Addr::new(d, c, b, a))
    }

    /// The whole reply.
    pub(super) fn reply(&self, answer: &Answer) -> Vec<u8> {
        const RESPONSE: u8 = 0x80;
        const RECURSION_AVAILABLE: u8 = 0x80;
        const SERVER_FAILURE: u8 = 2;
        let mut reply = self.bytes[..self.end].to_vec();
        // the name asked for is at byte 12
        let mut records: Vec<(u16, Vec<u8>)> = Vec::new();
        let mut code = 0;
        match answer {
            Answer::Addresses(addresses) if self.kind == Kind::Address => {
                let octets = addresses.iter().map(|one| (ADDRESS, one.octets().to_vec()));
                records.extend(octets);
            }
            Answer::Addresses(_) => {}
            Answer::Name(name) => records.push((POINTER, labels(name))),
            Answer::Failed => code = SERVER_FAILURE,
        }
        reply[2] = RESPONSE | (self.bytes[2] & 0x01);
        reply[3] = RECURSION_AVAILABLE | code;
        reply[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        reply[8..12].fill(0);
        for (kind, value) in records {
            reply.extend([0xc0, HEADER as u8]);
            reply.extend(kind.to_be_bytes());
            reply.extend(INTERNET.to_be_bytes());
            reply.extend(LIFE.to_be_bytes());
            reply.extend((value.len() as u16).to_be_bytes());
            reply.extend(value);
        }
        reply
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        bytes.push(label.len() as u8);
        bytes.extend(label);
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(labels(name));
        bytes.extend(kind.to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        bytes
    }

    #[test]
    fn questions_are_read() {
        let bytes = question("Two.Net", ADDRESS);
        let query = Query::parse(&bytes).unwrap();
        assert_eq!(
            (query.name.as_str(), query.kind),
            ("two.net", Kind::Address)
        );
        let bytes = question("2.0.17.172.in-addr.arpa", POINTER);
        let query = Query::parse(&bytes).unwrap();
        assert_eq!(query.kind, Kind::Name);
        assert_eq!(query.reversed(), Some(Ipv4Addr::new(172, 17, 0, 2)));
    }

    #[test]
    fn nonsense_is_no_question() {
        let good = question("a", ADDRESS);
        for length in 0..good.len() {
            assert!(Query::parse(&good[..length]).is_none(), "{length}");
        }
        let mut pointing = good.clone();
        pointing[HEADER] = 0xc0;
        assert!(Query::parse(&pointing).is_none());
        let mut answer = good;
        answer[2] |= 0x80;
        assert!(Query::parse(&answer).is_none());
    }

    #[test]
    fn replies_have_what_was_found() {
        let bytes = question("two", ADDRESS);
        let query = Query::parse(&bytes).unwrap();
        let reply = query.reply(&Answer::Addresses(vec![Ipv4Addr::new(10, 0, 0, 2)]));
        assert_eq!(reply[..2], [0x12, 0x34]);
        assert_eq!(reply[6..8], [0, 1]);
        assert!(reply.ends_with(&[0, 4, 10, 0, 0, 2]));
        let bytes = question("two", ADDRESS_6);
        let query = Query::parse(&bytes).unwrap();
        let reply = query.reply(&Answer::Addresses(vec![Ipv4Addr::new(10, 0, 0, 2)]));
        assert_eq!((reply[3] & 15, &reply[6..8]), (0, &[0, 0][..]));
        assert_eq!(query.reply(&Answer::Failed)[3] & 15, 2);
        let named = query.reply(&Answer::Name("two.net".to_owned()));
        assert!(named.ends_with(b"\x03two\x03net\0"));
    }
}
