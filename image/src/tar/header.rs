//! One header block, field by field. Knows no extensions and keeps no state.

use super::BLOCK;

/// Where a field stands in the block.
#[derive(Clone, Copy)]
pub(super) struct Field(usize, usize);

pub(super) const NAME: Field = Field(0, 100);
pub(super) const MODE: Field = Field(100, 8);
pub(super) const UID: Field = Field(108, 8);
pub(super) const GID: Field = Field(116, 8);
pub(super) const SIZE: Field = Field(124, 12);
pub(super) const MTIME: Field = Field(136, 12);
const CHECKSUM: Field = Field(148, 8);
const FLAG: usize = 156;
pub(super) const LINK: Field = Field(157, 100);
const MAGIC: Field = Field(257, 8);
pub(super) const MAJOR: Field = Field(329, 8);
pub(super) const MINOR: Field = Field(337, 8);
pub(super) const PREFIX: Field = Field(345, 155);
const STAR_PREFIX: Field = Field(345, 131);
const STAR_TRAILER: Field = Field(508, 4);
pub(super) const GNU_REAL_SIZE: Field = Field(483, 12);
const GNU_SPARSE: usize = 386;
const GNU_EXTENDED: usize = 482;

/// One block that begins an entry.
pub(super) struct Header(pub(super) [u8; BLOCK]);

/// Which writer's conventions a header follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

impl Header {
    pub(super) fn new() -> Self {
        Self([0; BLOCK])
    }

    pub(super) fn bytes(&self, Field(start, length): Field) -> &[u8] {
        &self.0[start..start + length]
    }

    /// A field up to its first NUL.
    pub(super) fn text(&self, field: Field) -> &[u8] {
        until_nul(self.bytes(field))
    }

    /// A field's number, octal or base-256; none when it is neither or does not fit.
    pub(super) fn number(&self, field: Field) -> Option<i64> {
        number(self.bytes(field))
    }

    pub(super) fn flag(&self) -> u8 {
        self.0[FLAG]
    }

    /// Whether the checksum is right, by unsigned or (as some old writers had it) signed bytes.
    pub(super) fn is_valid(&self) -> bool {
        let Some(written) = octal(self.bytes(CHECKSUM)) else {
            return false;
        };
        let (unsigned, signed) = self.checksums();
        written == unsigned || written == signed
    }

    fn checksums(&self) -> (i64, i64) {
        let Field(start, length) = CHECKSUM;
        let (mut unsigned, mut signed) = (0, 0);
        for (n, byte) in self.0.iter().enumerate() {
            let byte = if (start..start + length).contains(&n) {
                b' '
            } else {
                *byte
            };
            unsigned += i64::from(byte);
            signed += i64::from(byte as i8);
        }
        (unsigned, signed)
    }

    pub(super) fn format(&self) -> Format {
        match self.bytes(MAGIC) {
            b"ustar\x0000" if self.bytes(STAR_TRAILER) == b"tar\0" => Format::Star,
            b"ustar\x0000" => Format::Ustar,
            b"ustar  \0" => Format::Gnu,
            _ => Format::V7,
        }
    }

    /// Name and prefix joined, as the format has them.
    pub(super) fn path(&self) -> Vec<u8> {
        let prefix = match self.format() {
            Format::Ustar => self.text(PREFIX),
            Format::Star => self.text(STAR_PREFIX),
            Format::V7 | Format::Gnu => b"",
        };
        let name = self.text(NAME);
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    /// GNU's four sparse pairs, each 24 bytes, and whether a block of more follows.
    pub(super) fn gnu_sparse(&self) -> (&[u8], bool) {
        (
            &self.0[GNU_SPARSE..GNU_SPARSE + 4 * 24],
            self.0[GNU_EXTENDED] != 0,
        )
    }

    pub(super) fn set_text(&mut self, Field(start, length): Field, text: &[u8]) {
        let text = &text[..text.len().min(length)];
        self.0[start..start + text.len()].copy_from_slice(text);
    }

    /// Writes an octal number with a NUL behind it; `value` must fit (see [`fits`]).
    pub(super) fn set_octal(&mut self, Field(start, length): Field, value: u64) {
        let mut rest = value;
        for byte in self.0[start..start + length - 1].iter_mut().rev() {
            *byte = b'0' + (rest & 7) as u8;
            rest >>= 3;
        }
        self.0[start + length - 1] = 0;
    }

    /// Writes flag, magic and checksum: the last thing done to a header.
    pub(super) fn seal(&mut self, flag: u8) {
        self.0[FLAG] = flag;
        self.set_text(MAGIC, b"ustar\x0000");
        let sum = self.checksums().0;
        let Field(start, _) = CHECKSUM;
        self.set_octal(Field(start, 7), sum as u64);
        self.0[start + 7] = b' ';
    }
}

/// Whether an octal field can hold `value`.
pub(super) fn fits(Field(_, length): Field, value: u64) -> bool {
    value >> (3 * (length - 1)) == 0
}

pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// Octal digits, or base-256 when the first bit is set (GNU tar, "Basic Tar Format").
pub(super) fn number(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    if first & 0x80 == 0 {
        return octal(bytes);
    }
    let negative = first & 0x40 != 0;
    let mut value: i64 = if negative { -1 } else { 0 };
    for (n, byte) in bytes.iter().enumerate() {
        // The marker bit carries the sign, as every byte above it would.
        let byte = match (n, negative) {
            (0, true) => byte | 0x80,
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        value = value.checked_mul(256)?.checked_add(i64::from(byte))?;
    }
    Some(value)
}

/// Octal digits between blanks and NULs; nothing at all is 0.
fn octal(bytes: &[u8]) -> Option<i64> {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = bytes.iter().position(|b| !blank(b)).unwrap_or(bytes.len());
    let digits = until_nul(&bytes[start..]);
    let end = digits.iter().rposition(|b| !blank(b)).map_or(0, |n| n + 1);
    digits[..end].iter().try_fold(0_i64, |value, digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| i64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (bytes, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"0000849\0", None),
            (b"-0000001", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                Some(-1),
            ),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00",
                Some(-256),
            ),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Some(i64::MAX),
            ),
        ] {
            assert_eq!(number(bytes), value, "{bytes:?}");
        }
    }

    #[test]
    fn a_sealed_header_is_valid_and_a_changed_one_is_not() {
        let mut header = Header::new();
        header.set_text(NAME, b"a");
        header.set_octal(MODE, 0o644);
        header.seal(b'0');
        assert!(header.is_valid());
        header.0[0] = b'b';
        assert!(!header.is_valid());
    }
}
