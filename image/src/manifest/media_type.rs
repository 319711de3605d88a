//! The media types of images, OCI's and Docker's.

/// OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI layer, as it is.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Docker manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, as it is.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer, zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// All types by which a registry may answer for a name, the preferred ones first.
pub const MANIFESTS_AND_INDEXES: [&str; 4] =
    [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST];

/// Whether it is a manifest, of either family.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether it is an index, of either family.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// Whether it is an image configuration, of either family.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// What a layer's tar is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// Nothing.
    Uncompressed,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What a layer's media type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFormat {
    /// What the tar is wrapped in. Only a claim: readers look at the bytes.
    pub container: Container,
    /// Whether registries are not to be sent the blob (Windows bases of old).
    pub nondistributable: bool,
}

impl LayerFormat {
    /// The format that a media type names; none when it names no layer that can be unpacked.
    pub fn of(media_type: &str) -> Option<Self> {
        let (rest, nondistributable) = if let Some(rest) =
            media_type.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.tar")
        {
            (rest, true)
        } else if let Some(rest) =
            media_type.strip_prefix("application/vnd.docker.image.rootfs.foreign.diff.tar")
        {
            (rest, true)
        } else {
            let rest = media_type
                .strip_prefix(OCI_LAYER)
                .or_else(|| media_type.strip_prefix(DOCKER_LAYER))?;
            (rest, false)
        };
        let container = match rest {
            "" => Container::Uncompressed,
            "+gzip" | ".gzip" => Container::Gzip,
            "+zstd" | ".zstd" => Container::Zstd,
            _ => return None,
        };
        Some(Self {
            container,
            nondistributable,
        })
    }
}

impl Container {
    /// The OCI media type of a layer wrapped in this.
    pub const fn oci_layer(self) -> &'static str {
        match self {
            Self::Uncompressed => OCI_LAYER,
            Self::Gzip => OCI_LAYER_GZIP,
            Self::Zstd => OCI_LAYER_ZSTD,
        }
    }

    /// Docker's media type of a layer wrapped in this.
    pub const fn docker_layer(self) -> &'static str {
        match self {
            Self::Uncompressed => DOCKER_LAYER,
            Self::Gzip => DOCKER_LAYER_GZIP,
            Self::Zstd => DOCKER_LAYER_ZSTD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_recognised_in_both_families() {
        for container in [Container::Uncompressed, Container::Gzip, Container::Zstd] {
            for media_type in [container.oci_layer(), container.docker_layer()] {
                let format = LayerFormat::of(media_type).unwrap();
                assert_eq!(format.container, container);
                assert!(!format.nondistributable);
            }
        }
        for foreign in [
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ] {
            assert!(LayerFormat::of(foreign).unwrap().nondistributable);
        }
        for none in [OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+lz4", ""] {
            assert_eq!(LayerFormat::of(none), None);
        }
    }
}
