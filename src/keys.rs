//! Detach keys: the keys that leave a container running. Knows no terminal.

/// What docker has when nobody says otherwise: ctrl-p, ctrl-q.
const USUAL: [u8; 2] = [0x10, 0x11];

/// A sequence of keys, and how much of it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<u8>,
    typed: usize,
}

impl Keys {
    /// Reads a sequence such as `ctrl-p,ctrl-q` or `a,ctrl-[`; an empty one is none at all.
    ///
    /// # Errors
    /// The word that is no key.
    pub fn parse(text: Option<&str>) -> Result<Self, String> {
        let keys = match text {
            None => USUAL.to_vec(),
            Some("") => Vec::new(),
            Some(text) => text.split(',').map(key).collect::<Result<_, _>>()?,
        };
        Ok(Self { keys, typed: 0 })
    }

    /// Takes bytes that were typed. The bytes that are the container's are the answer, and whether the
    /// sequence is complete: nothing after it is anybody's.
    pub fn typed(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (bytes.to_vec(), false);
        }
        let mut passed = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte != self.keys[self.typed] && self.typed > 0 {
                // What was held back was none of the sequence after all.
                passed.extend_from_slice(&self.keys[..self.typed]);
                self.typed = 0;
            }
            if byte == self.keys[self.typed] {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    return (passed, true);
                }
            } else {
                passed.push(byte);
            }
        }
        (passed, false)
    }
}

fn key(text: &str) -> Result<u8, String> {
    let single = |text: &str| match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    };
    if let Some(byte) = single(text) {
        return Ok(byte);
    }
    let control = text.strip_prefix("ctrl-").and_then(single);
    match control.map(|byte| byte.to_ascii_uppercase()) {
        Some(byte @ b'@'..=b'_') => Ok(byte - b'@'),
        _ => Err(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_found_across_reads_and_what_is_none_is_passed_on() {
        let mut keys = Keys::parse(None).unwrap();
        assert_eq!(keys.typed(b"a\x10b"), (b"a\x10b".to_vec(), false));
        assert_eq!(keys.typed(b"x\x10"), (b"x".to_vec(), false));
        assert_eq!(keys.typed(b"\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.typed(b"\x11rest"), (Vec::new(), true));
        let mut none = Keys::parse(Some("")).unwrap();
        assert_eq!(none.typed(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }

    #[test]
    fn keys_are_read() {
        for (text, expected) in [
            ("a", Ok(vec![b'a'])),
            ("ctrl-a,b", Ok(vec![1, b'b'])),
            ("ctrl-[", Ok(vec![0x1b])),
            ("ctrl-1", Err("ctrl-1".to_owned())),
            ("ab", Err("ab".to_owned())),
        ] {
            assert_eq!(
                Keys::parse(Some(text)).map(|keys| keys.keys),
                expected,
                "{text}"
            );
        }
    }
}
