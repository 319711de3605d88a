//! What people call an image: `registry/repository:tag@digest`, and the short forms of it.
//!
//! The grammar and the normalisation are Docker's (distribution/reference): a name without a
//! registry is on `docker.io`, a single component there is under `library/`, a name with neither
//! tag nor digest means `latest`. Knows nothing of registries but how their names are spelled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Digest;

/// The registry of names that mention none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of names that have neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
const OFFICIAL: &str = "library/";
const LEGACY_REGISTRY: &str = "index.docker.io";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A normalised image name. `Display` writes it whole (`docker.io/library/alpine:latest`),
/// [`ImageRef::familiar`] as people write it (`alpine:latest`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// Host of the registry, with its port where one was given.
    pub registry: String,
    /// Path of the repository, such as `library/alpine`.
    pub repository: String,
    /// The tag; `latest` when neither tag nor digest was given.
    pub tag: Option<String>,
    /// The digest of the manifest or index; where there is one, it decides and the tag is only
    /// shown.
    pub digest: Option<Digest>,
}

/// A text that should have been an image name. The messages are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It does not fit the grammar.
    #[error("invalid reference format")]
    Format,
    /// There is nothing before the tag or digest.
    #[error("repository name must have at least one component")]
    Empty,
    /// Repositories are lower-case.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// It looks like the id of an image.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Identifier(String),
    /// The path of the repository is too long.
    #[error("repository name must not be more than {LONGEST_NAME} characters")]
    TooLong,
    /// A digest of another algorithm or length.
    #[error(transparent)]
    Digest(#[from] crate::DigestError),
}

impl ImageRef {
    /// What a registry is asked for: the digest where there is one, else the tag.
    pub fn manifest_name(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The short form: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The short form of registry and repository, as the first column of a list of images.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        match self.repository.strip_prefix(OFFICIAL) {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// The same repository, by this digest only.
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    fn with_suffix(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(&digest.to_string());
        }
        name
    }
}

impl FromStr for ImageRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            return Err(ReferenceError::Identifier(text.to_owned()));
        }
        let (registry, rest) = split_registry(text);
        let path_of_rest = rest.split(':').next().unwrap_or_default();
        if path_of_rest.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(path_of_rest.to_owned()));
        }
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (&*rest, None),
        };
        let (repository, tag) = match named.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        if text.is_empty() {
            return Err(ReferenceError::Format);
        }
        if !is_registry(registry)
            || !repository.split('/').all(is_component)
            || !tag.is_none_or(is_tag)
            || !digest.is_none_or(looks_like_digest)
        {
            return Err(ReferenceError::Format);
        }
        if repository.len() > LONGEST_NAME {
            return Err(ReferenceError::TooLong);
        }
        let digest = digest.map(str::parse).transpose()?;
        let tag = match (tag, digest) {
            (None, None) => Some(DEFAULT_TAG),
            (tag, _) => tag,
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// The registry and what follows it, both normalised.
fn split_registry(text: &str) -> (&str, String) {
    let (registry, rest) = match text.split_once('/') {
        Some((LEGACY_REGISTRY, rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    };
    if registry == DEFAULT_REGISTRY && !rest.contains('/') {
        return (registry, format!("{OFFICIAL}{rest}"));
    }
    (registry, rest.to_owned())
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// `host[:port]`, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(label),
    };
    host_fits && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// Runs of lower-case letters and digits, separated by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges = bytes.first().zip(bytes.last());
    if !edges.is_some_and(|(first, last)| word(*first) && word(*last)) {
        return false;
    }
    text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// The form of any digest, so that one of an unknown algorithm gets its own message.
fn looks_like_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty()
            && algorithm
                .split(['-', '_', '+', '.'])
                .all(|part| part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()))
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'.'))
            && digits.len() >= 32
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl Serialize for ImageRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_normalised_and_shown_short() {
        for (text, whole, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            (
                "docker.io/alpine:3",
                "docker.io/library/alpine:3",
                "alpine:3",
            ),
            (
                "index.docker.io/library/alpine",
                "docker.io/library/alpine:latest",
                "alpine:latest",
            ),
            ("team/app", "docker.io/team/app:latest", "team/app:latest"),
            (
                "localhost/app",
                "localhost/app:latest",
                "localhost/app:latest",
            ),
            (
                "localhost:5000/a/b:v1",
                "localhost:5000/a/b:v1",
                "localhost:5000/a/b:v1",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("[::1]/a", "[::1]/a:latest", "[::1]/a:latest"),
            ("Host/a", "Host/a:latest", "Host/a:latest"),
            (
                "a__b/c-----d.e:T_.-x",
                "docker.io/a__b/c-----d.e:T_.-x",
                "a__b/c-----d.e:T_.-x",
            ),
            (
                "docker.io/library/a/b",
                "docker.io/library/a/b:latest",
                "library/a/b:latest",
            ),
        ] {
            let reference: ImageRef = text.parse().unwrap();
            assert_eq!(reference.to_string(), whole, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
        }
    }

    #[test]
    fn a_digest_beside_a_tag_decides() {
        let both: ImageRef = format!("alpine:3@{DIGEST}").parse().unwrap();
        assert_eq!(both.tag.as_deref(), Some("3"));
        assert_eq!(both.manifest_name(), DIGEST);
        assert_eq!(
            both.to_string(),
            format!("docker.io/library/alpine:3@{DIGEST}")
        );
        let pinned: ImageRef = format!("alpine@{DIGEST}").parse().unwrap();
        assert_eq!(pinned.tag, None);
        assert_eq!(both.at_digest(Digest::of(b"")), pinned);
    }

    #[test]
    fn what_is_no_name_is_refused_in_the_words_of_the_reference() {
        for (text, message) in [
            ("", "invalid reference format"),
            (":tag", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("a_.b", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a:.x", "invalid reference format"),
            ("a:b:c", "invalid reference format"),
            ("a@sha256:00", "invalid reference format"),
            ("host:x/a", "invalid reference format"),
            ("-host.x/a", "invalid reference format"),
            ("ä", "invalid reference format"),
            (
                "Alpine:3",
                "invalid reference format: repository name (library/Alpine) must be lowercase",
            ),
            (
                "localhost/App",
                "invalid reference format: repository name (App) must be lowercase",
            ),
        ] {
            let error = text.parse::<ImageRef>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
        let id = &DIGEST[7..];
        assert!(matches!(
            id.parse::<ImageRef>(),
            Err(ReferenceError::Identifier(_))
        ));
        assert!(matches!(
            format!("a@sha512:{id}{id}").parse::<ImageRef>(),
            Err(ReferenceError::Digest(_))
        ));
        assert!(matches!(
            "a".repeat(256).parse::<ImageRef>(),
            Err(ReferenceError::TooLong)
        ));
        assert!(
            format!("a:{}", "t".repeat(129))
                .parse::<ImageRef>()
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_names_read_what_they_write(text in "[a-zA-Z0-9./:@_\\-\\[\\] é]{0,40}") {
            if let Ok(reference) = text.parse::<ImageRef>() {
                prop_assert_eq!(&reference, &reference.to_string().parse().unwrap());
                prop_assert_eq!(&reference, &reference.familiar().parse().unwrap());
            }
        }
    }
}
