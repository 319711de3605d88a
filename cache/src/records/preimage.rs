//! Preimages as they are stored: every text as its length (4 bytes, little endian) and its bytes.
//! Thousands are read for one look-up, so reading one is little more than copying it.

use solver::{Component, KeyPreimage};

/// The first byte; another encoding gets another one.
const FORM: u8 = 1;

pub(super) fn write(preimage: &KeyPreimage) -> Vec<u8> {
    let mut bytes = vec![FORM];
    let mut text = |text: &str| {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    text(&preimage.kind);
    for Component { name, value } in &preimage.components {
        text(name);
        text(value);
    }
    bytes.extend(preimage.behaviour.to_le_bytes());
    bytes
}

/// What [`write()`] was given; none if the bytes are not from there.
pub(crate) fn read(bytes: &[u8]) -> Option<KeyPreimage> {
    let (mut rest, behaviour) = bytes.strip_prefix(&[FORM])?.split_last_chunk::<4>()?;
    let kind = text(&mut rest)?;
    let mut components = Vec::new();
    while !rest.is_empty() {
        components.push(Component {
            name: text(&mut rest)?,
            value: text(&mut rest)?,
        });
    }
    Some(KeyPreimage {
        kind,
        behaviour: u32::from_le_bytes(*behaviour),
        components,
    })
}

/// Takes the next text off `rest`.
fn text(rest: &mut &[u8]) -> Option<String> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            kind in ".*",
            behaviour: u32,
            components in prop::collection::vec((".*", ".*"), 0..8),
        ) {
            let components = components
                .into_iter()
                .map(|(name, value)| Component { name, value })
                .collect();
            let preimage = KeyPreimage { kind, behaviour, components };
            prop_assert_eq!(read(&write(&preimage)), Some(preimage));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
