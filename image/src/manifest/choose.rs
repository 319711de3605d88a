//! Which entry of an index is for the machine that was asked for.

use std::fmt;

use super::{Descriptor, Index};
use crate::Platform;

/// Marks an attestation in an index; its value names what it is about.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// No entry of an index is for the platform that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPlatform {
    /// What was asked for.
    pub wanted: Box<Platform>,
    /// What the index offers, in its order.
    pub offered: Vec<Platform>,
}

impl std::error::Error for NoPlatform {}

impl fmt::Display for NoPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no match for platform {} in manifest: ", self.wanted)?;
        if self.offered.is_empty() {
            return f.write_str("it names no platform at all");
        }
        f.write_str("it offers ")?;
        for (n, platform) in self.offered.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{platform}")?;
        }
        Ok(())
    }
}

impl Descriptor {
    /// Whether this entry of an index is an attestation about another, and no image.
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key(ATTESTATION)
            || self
                .platform
                .as_ref()
                .is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
    }
}

impl Index {
    /// The entries that are images.
    pub fn images(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().filter(|m| !m.is_attestation())
    }

    /// The image for `wanted`: one of the very same platform first, else the best that serves it
    /// (the newest variant), else the only one when it names no platform.
    pub fn choose(&self, wanted: &Platform) -> Result<&Descriptor, NoPlatform> {
        let same = |p: &Platform| {
            (&p.os, &p.architecture, &p.variant)
                == (&wanted.os, &wanted.architecture, &wanted.variant)
        };
        let with_platform = || {
            self.images()
                .filter_map(|m| m.platform.as_ref().map(|p| (m, p)))
        };
        let exact = with_platform()
            .filter(|(_, p)| same(p))
            .map(|(m, p)| (m, p.os_version == wanted.os_version));
        if let Some((manifest, _)) = first_best(exact) {
            return Ok(manifest);
        }
        let serving = with_platform()
            .filter(|(_, p)| p.serves(wanted))
            // Asked for no variant: the plainest. Asked for one: the newest that still runs.
            .map(|(m, p)| {
                let newest = (!wanted.variant.is_empty()).then_some(p.variant.as_str());
                (m, (newest, p.variant.is_empty()))
            });
        if let Some((manifest, _)) = first_best(serving) {
            return Ok(manifest);
        }
        let mut images = self.images();
        if let (Some(only), None) = (images.next(), images.next())
            && only.platform.is_none()
        {
            return Ok(only);
        }
        Err(NoPlatform {
            wanted: Box::new(wanted.clone()),
            offered: with_platform().map(|(_, p)| p.clone()).collect(),
        })
    }
}

/// The first of those with the greatest rank.
fn first_best<T, R: Ord>(mut candidates: impl Iterator<Item = (T, R)>) -> Option<(T, R)> {
    let first = candidates.next()?;
    Some(candidates.fold(
        first,
        |best, next| if next.1 > best.1 { next } else { best },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::manifest::media_type;

    fn index(platforms: &[&str]) -> Index {
        let entry = |text: &&str| {
            let mut entry = Descriptor::of(media_type::OCI_MANIFEST, text.as_bytes());
            if !text.is_empty() {
                entry.platform = Some(text.parse().unwrap());
            }
            entry
        };
        Index::new(media_type::OCI_INDEX, platforms.iter().map(entry).collect())
    }

    #[test]
    fn the_same_variant_goes_before_what_serves() {
        for (offered, wanted, chosen) in [
            (
                &["linux/arm64", "linux/amd64"][..],
                "linux/amd64",
                "linux/amd64",
            ),
            (
                &["linux/arm/v6", "linux/arm/v7"],
                "linux/arm/v7",
                "linux/arm/v7",
            ),
            (
                &["linux/arm/v5", "linux/arm/v6"],
                "linux/arm/v7",
                "linux/arm/v6",
            ),
            (
                &["linux/amd64/v3", "linux/amd64"],
                "linux/amd64",
                "linux/amd64",
            ),
            (&["linux/amd64"], "linux/amd64/v3", "linux/amd64"),
            (&["unknown/unknown", ""], "linux/amd64", ""),
        ] {
            let index = index(offered);
            let found = index.choose(&wanted.parse().unwrap()).unwrap();
            assert_eq!(
                found.digest,
                Digest::of(chosen.as_bytes()),
                "{offered:?} {wanted}"
            );
        }
    }

    #[test]
    fn the_error_lists_what_there_is() {
        let error = index(&["linux/arm64", "unknown/unknown", "linux/s390x"])
            .choose(&"linux/amd64".parse().unwrap())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no match for platform linux/amd64 in manifest: it offers linux/arm64, linux/s390x"
        );
        assert!(
            index(&["linux/arm/v8"])
                .choose(&"linux/arm/v7".parse().unwrap())
                .is_err()
        );
        assert!(
            index(&["", ""])
                .choose(&"linux/amd64".parse().unwrap())
                .is_err()
        );
    }
}
