//! Names for what a step leaves: blake3, each kind in a domain of its own.
//!
//! What goes into a [`ChangeDigest`] or a [`TreeDigest`] is decided where files are read, in the
//! cache; here are the types, their encoding, and the fold of a stack into a [`StateDigest`].

use image::DiffId;

/// A typed, length-prefixed, domain-separated hash in the making.
///
/// Every field is written as its length (8 bytes, little endian) and its bytes, so that no two
/// lists of fields have the same encoding.
#[derive(Debug, Clone)]
pub struct Encoder {
    domain: &'static str,
    /// Made when there is a whole batch: most encodings are small, and are hashed at their end.
    hasher: Option<Box<blake3::Hasher>>,
    /// What the hasher was not given yet.
    waiting: Vec<u8>,
}

/// Bytes that the hasher is given at once: many chunks, which it works on side by side, where field
/// after field would be one block after the other.
const BATCH: usize = 64 << 10;

/// Room for most of those that are small.
const SMALL: usize = 512;

impl Encoder {
    /// Starts a digest of the kind `domain`, which carries a version: `rbuild state v1`.
    pub fn new(domain: &'static str) -> Self {
        Self {
            domain,
            hasher: None,
            waiting: Vec::with_capacity(SMALL),
        }
    }

    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.add(&(bytes.len() as u64).to_le_bytes());
        self.add(bytes);
        self
    }

    /// Adds one number.
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.add(&value.to_le_bytes());
        self
    }

    fn add(&mut self, mut bytes: &[u8]) {
        // Whole batches only, so that they begin where a chunk does.
        while self.waiting.len() + bytes.len() >= BATCH {
            let (now, later) = bytes.split_at(BATCH - self.waiting.len());
            self.waiting.extend_from_slice(now);
            let new = || Box::new(blake3::Hasher::new_derive_key(self.domain));
            self.hasher.get_or_insert_with(new).update(&self.waiting);
            self.waiting.clear();
            bytes = later;
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// The 32 bytes of the digest.
    pub fn finish(&self) -> [u8; 32] {
        match &self.hasher {
            None => blake3::derive_key(self.domain, &self.waiting),
            Some(hasher) => *hasher.clone().update(&self.waiting).finalize().as_bytes(),
        }
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 64 lower-case hexadecimal digits.
            pub fn hex(&self) -> String {
                blake3::Hash::from_bytes(self.0).to_hex().to_string()
            }

            /// The digest whose [`hex`](Self::hex) is `text`.
            pub fn from_hex(text: &str) -> Option<Self> {
                blake3::Hash::from_hex(text).ok().map(|hash| Self(*hash.as_bytes()))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &self.hex()[..12])
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.hex())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a blake3 digest"))
            }
        }
    };
}
pub(crate) use digest;

digest! {
    /// The plain BLAKE3 of a regular file's bytes.
    ContentDigest
}
digest! {
    /// What one layer does to what is below it.
    ChangeDigest
}
digest! {
    /// What selected files are, as a COPY would write them.
    TreeDigest
}
digest! {
    /// A whole stack: its base's diff ids, then each [`ChangeDigest`], in order.
    StateDigest
}

impl ContentDigest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// What one layer counts as in the [`StateDigest`] of its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum LayerDigest {
    /// A layer of a base image.
    Base(DiffId),
    /// A layer that a step made.
    Change(ChangeDigest),
}

/// Folds the layers of a stack into its [`StateDigest`], lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateFold(StateDigest);

impl Default for StateFold {
    fn default() -> Self {
        Self::new()
    }
}

impl StateFold {
    /// The empty stack: `FROM scratch`.
    pub fn new() -> Self {
        Self(StateDigest(Encoder::new("rbuild state v1: empty").finish()))
    }

    /// Goes on from a stack that is already folded.
    pub const fn on(state: StateDigest) -> Self {
        Self(state)
    }

    /// Puts a layer of a base image on top.
    #[must_use]
    pub fn base(self, layer: &DiffId) -> Self {
        self.next(b"diff", layer.0.as_bytes())
    }

    /// Puts a layer that a step made on top.
    #[must_use]
    pub fn change(self, layer: &ChangeDigest) -> Self {
        self.next(b"change", &layer.0)
    }

    /// Puts a layer of either kind on top.
    #[must_use]
    pub fn layer(self, layer: &LayerDigest) -> Self {
        match layer {
            LayerDigest::Base(diff_id) => self.base(diff_id),
            LayerDigest::Change(change) => self.change(change),
        }
    }

    /// The digest of what was folded so far.
    pub const fn state(self) -> StateDigest {
        self.0
    }

    fn next(self, kind: &[u8], layer: &[u8]) -> Self {
        let mut encoder = Encoder::new("rbuild state v1: layer");
        encoder.field(&self.0.0).field(kind).field(layer);
        Self(StateDigest(encoder.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However fields fall into batches.
    #[test]
    fn a_digest_is_that_of_its_fields_one_after_the_other() {
        let all: Vec<u8> = (0..5 * BATCH).map(|at| (at % 251) as u8).collect();
        for sizes in [
            vec![0],
            vec![1, 2, 3],
            vec![BATCH - 9, 1, 1, 1],
            vec![BATCH - 8, 7],
            vec![BATCH, 3 * BATCH + 5, 40],
            vec![100; 2_000],
        ] {
            let mut encoder = Encoder::new("test");
            let mut plain = blake3::Hasher::new_derive_key("test");
            for size in &sizes {
                let field = &all[..*size];
                encoder.field(field);
                plain.update(&(*size as u64).to_le_bytes()).update(field);
                // asking in between changes nothing
                assert_eq!(encoder.finish(), *plain.finalize().as_bytes(), "{sizes:?}");
            }
        }
    }

    #[test]
    fn order_and_kind_of_layers_count() {
        let (a, b) = (ChangeDigest([1; 32]), ChangeDigest([2; 32]));
        let state = |layers: &[ChangeDigest]| {
            layers
                .iter()
                .fold(StateFold::new(), |fold, l| fold.change(l))
                .state()
        };
        assert_ne!(state(&[a, b]), state(&[b, a]));
        assert_ne!(state(&[a]), state(&[a, a]));
        let base = StateFold::new()
            .base(&DiffId(image::Digest::from_bytes([1; 32])))
            .state();
        assert_ne!(state(&[a]), base);
        assert_eq!(
            StateFold::on(state(&[a])).change(&b).state(),
            state(&[a, b])
        );
    }
}
