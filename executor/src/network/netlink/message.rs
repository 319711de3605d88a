//! A netlink message in the making, and the attributes of one that came.

/// Length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Set in the type of an attribute that holds others.
const NESTED: u16 = 1 << 15;

/// A message in the making.
#[derive(Debug, Clone)]
pub(in crate::network) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message of this type with these flags, and the fixed part that the type has.
    pub(in crate::network) fn new(kind: u16, flags: i32, fixed: &[u8]) -> Self {
        let flags = flags | libc::NLM_F_REQUEST;
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags as u16).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(fixed);
        let mut message = Self { bytes };
        message.pad();
        message
    }

    /// Adds an attribute.
    pub(in crate::network) fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nest_raw(kind, |message| message.bytes.extend_from_slice(value))
    }

    /// Adds a number in the machine's order of bytes.
    pub(in crate::network) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds a number as netfilter has them.
    pub(in crate::network) fn big(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds a text that ends with a zero byte.
    pub(in crate::network) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.nest_raw(kind, |message| {
            message.bytes.extend_from_slice(value.as_bytes());
            message.bytes.push(0);
        })
    }

    /// Adds an attribute that holds others.
    pub(in crate::network) fn nest(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.nest_raw(kind | NESTED, fill)
    }

    /// Adds bytes as they are, inside an attribute.
    pub(in crate::network) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// The whole message under this number.
    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    fn nest_raw(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.pad();
        self
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}

/// The attributes of a message or of an attribute, one after another; ends at the first that is cut.
#[derive(Debug, Clone)]
pub(in crate::network) struct Attributes<'b>(pub(in crate::network) &'b [u8]);

impl<'b> Attributes<'b> {
    /// The value of the first attribute of this type.
    pub(in crate::network) fn get(&self, kind: u16) -> Option<&'b [u8]> {
        self.clone()
            .find(|(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// The text of the first attribute of this type, without its zero byte.
    pub(in crate::network) fn text(&self, kind: u16) -> Option<&'b str> {
        let bytes = self.get(kind)?;
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        std::str::from_utf8(bytes).ok()
    }

    /// The four bytes of the first attribute of this type.
    pub(in crate::network) fn four(&self, kind: u16) -> Option<[u8; 4]> {
        self.get(kind)?.try_into().ok()
    }

    /// What is in the first attribute of this type.
    pub(in crate::network) fn inside(&self, kind: u16) -> Attributes<'b> {
        Attributes(self.get(kind).unwrap_or_default())
    }
}

impl<'b> Iterator for Attributes<'b> {
    type Item = (u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let two = |at: usize| Some(u16::from_ne_bytes([*self.0.get(at)?, *self.0.get(at + 1)?]));
        let length = usize::from(two(0)?);
        let kind = two(2)? & !NESTED & !(1 << 14);
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// One message that came: its type, its number and what is after the header.
pub(super) struct Received<'b> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) body: &'b [u8],
}

/// Takes the first message off `bytes`; none at their end or when they are cut.
pub(super) fn split<'b>(bytes: &mut &'b [u8]) -> Option<Received<'b>> {
    let four = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let length = four(0)? as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let sequence = four(8)?;
    let body = bytes.get(HEADER..length)?;
    *bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some(Received {
        kind,
        sequence,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_again() {
        let mut message = Message::new(7, libc::NLM_F_ACK, &[9; 6]);
        message.text(1, "abcd").nest(2, |inside| {
            inside.number(3, 70_000).big(4, 1);
        });
        let bytes = message.finish(5);
        let mut rest = bytes.as_slice();
        let received = split(&mut rest).unwrap();
        assert_eq!((received.kind, received.sequence), (7, 5));
        assert!(rest.is_empty() && split(&mut rest).is_none());
        let attributes = Attributes(&received.body[8..]);
        assert_eq!(attributes.text(1), Some("abcd"));
        let inside = attributes.inside(2);
        assert_eq!(inside.four(3), Some(70_000_u32.to_ne_bytes()));
        assert_eq!(inside.four(4), Some([0, 0, 0, 1]));
        assert_eq!(inside.get(5), None);
    }

    #[test]
    fn cut_bytes_end_it() {
        for bytes in [
            &[][..],
            &[8, 0, 1][..],
            &[3, 0, 1, 0][..],
            &[200, 0, 1, 0, 1][..],
        ] {
            assert!(Attributes(bytes).next().is_none(), "{bytes:?}");
            assert!(split(&mut &*bytes).is_none(), "{bytes:?}");
        }
    }
}
