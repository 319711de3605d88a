//! Manifests and indexes: which blobs make an image, and which image is for which machine.
//!
//! OCI image spec (manifest.md, image-index.md, descriptor.md) and Docker's schema 2, which
//! differ in media types only. What is not known here is kept, and a digest is always that of the
//! bytes received, never of a document written again.

mod choose;
pub mod media_type;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::config::null_is_default;
use crate::{Digest, Platform};

pub use choose::NoPlatform;
pub use media_type::{Container, LayerFormat};

/// The largest manifest, index or configuration that is read, in bytes.
pub const DOCUMENT_LIMIT: u64 = 8 << 20;

/// A typed pointer to a blob (descriptor.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is; one of [`media_type`], or anything else.
    #[serde(default)]
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where else it may be fetched.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub urls: Vec<String>,
    /// What its maker says of it.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// In an index: the machine that the manifest is for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient_platform"
    )]
    pub platform: Option<Platform>,
    /// Everything else that the object held.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor of a blob, without annotations and platform.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            other: Map::new(),
        }
    }

    /// A descriptor of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// How the layer is packed, when the blob is a layer that can be unpacked.
    pub fn layer_format(&self) -> Option<LayerFormat> {
        LayerFormat::of(&self.media_type)
    }
}

/// One image: a configuration and layers (manifest.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The type of this document; empty in many OCI manifests.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// What its maker says of it.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Everything else that the document held.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Manifest {
    /// A manifest of `media_type` over these blobs.
    pub fn new(media_type: &str, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type.to_owned(),
            config,
            layers,
            annotations: BTreeMap::new(),
            other: Map::new(),
        }
    }
}

/// Several manifests under one name (image-index.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The type of this document; empty in many OCI indexes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The manifests.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// What its maker says of it.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Everything else that the document held.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Index {
    /// An index of `media_type` over these manifests.
    pub fn new(media_type: &str, manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type.to_owned(),
            manifests,
            annotations: BTreeMap::new(),
            other: Map::new(),
        }
    }
}

/// What a name in a registry or a layout leads to.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are few at a time and nearly all are manifests"
)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

/// Bytes that should have been a manifest or an index.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not the JSON that was expected.
    #[error("this is not an image manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than [`DOCUMENT_LIMIT`].
    #[error("the manifest has {size} bytes; at most {DOCUMENT_LIMIT} are read")]
    TooLarge {
        /// Its length in bytes.
        size: u64,
    },
    /// Docker's first schema, or one from the future.
    #[error("manifest schema version {0} is not supported: push the image again with a newer tool")]
    Schema(u64),
    /// It could be read as either, or says one thing and is another.
    #[error("the document says that it is `{media_type}`, but {found}")]
    Ambiguous {
        /// What it says, or what it was announced as.
        media_type: String,
        /// What it holds.
        found: &'static str,
    },
}

impl Document {
    /// Reads a manifest or an index. `announced` is the media type by which it was found (of a
    /// descriptor or an HTTP header); the document's own must agree in kind.
    pub fn parse(bytes: &[u8], announced: Option<&str>) -> Result<Self, DocumentError> {
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(DocumentError::TooLarge {
                size: bytes.len() as u64,
            });
        }
        let shape: Shape = serde_json::from_slice(bytes)?;
        if shape.schema_version != 2 {
            return Err(DocumentError::Schema(shape.schema_version));
        }
        let said = [shape.media_type.as_deref(), announced]
            .into_iter()
            .flatten()
            .filter(|t| media_type::is_manifest(t) || media_type::is_index(t));
        let is_index = shape.manifests.is_some();
        let is_manifest = shape.config.is_some() || shape.layers.is_some();
        if is_index && is_manifest {
            return Err(DocumentError::Ambiguous {
                media_type: shape.media_type.clone().unwrap_or_default(),
                found: "it holds both manifests and layers",
            });
        }
        for media_type in said {
            if media_type::is_index(media_type) != is_index {
                return Err(DocumentError::Ambiguous {
                    media_type: media_type.to_owned(),
                    found: if is_index {
                        "it holds manifests"
                    } else {
                        "it holds no manifests"
                    },
                });
            }
        }
        if is_index {
            Ok(Self::Index(serde_json::from_slice(bytes)?))
        } else {
            Ok(Self::Manifest(serde_json::from_slice(bytes)?))
        }
    }

    /// The media type to announce the document by: its own, else the OCI one of its kind.
    pub fn media_type(&self) -> &str {
        match self {
            Self::Manifest(m) if m.media_type.is_empty() => media_type::OCI_MANIFEST,
            Self::Manifest(m) => &m.media_type,
            Self::Index(i) if i.media_type.is_empty() => media_type::OCI_INDEX,
            Self::Index(i) => &i.media_type,
        }
    }
}

/// Just enough of a document to tell what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: u64,
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// A platform as anyone may have written it, normalised.
fn lenient_platform<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Platform>, D::Error> {
    #[derive(Deserialize)]
    struct Written {
        #[serde(default)]
        architecture: String,
        #[serde(default)]
        os: String,
        #[serde(default, rename = "os.version")]
        os_version: String,
        #[serde(default, rename = "os.features", deserialize_with = "null_is_default")]
        os_features: Vec<String>,
        #[serde(default)]
        variant: String,
    }
    let written = Option::<Written>::deserialize(deserializer)?;
    Ok(written.map(|w| Platform {
        os_version: w.os_version,
        os_features: w.os_features,
        ..Platform::new(&w.os, &w.architecture, &w.variant)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::of(b"x")
    }

    #[test]
    fn unknown_fields_survive() {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a","digest":"{0}","size":1,"data":"e30="}},"layers":null,"subject":{{"digest":"{0}"}}}}"#,
            digest()
        );
        let Document::Manifest(manifest) = Document::parse(text.as_bytes(), None).unwrap() else {
            panic!("a manifest was taken for an index");
        };
        let written = serde_json::to_string(&manifest).unwrap();
        assert!(written.contains(r#""data":"e30=""#) && written.contains(r#""subject""#));
        assert_eq!(
            Document::Manifest(manifest).media_type(),
            media_type::OCI_MANIFEST
        );
    }

    #[test]
    fn a_document_that_could_be_read_two_ways_is_refused() {
        let both = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
        assert!(matches!(
            Document::parse(both.as_bytes(), None),
            Err(DocumentError::Ambiguous { .. })
        ));
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#,
            media_type::OCI_INDEX
        );
        assert!(Document::parse(index.as_bytes(), None).is_ok());
        assert!(matches!(
            Document::parse(index.as_bytes(), Some(media_type::OCI_MANIFEST)),
            Err(DocumentError::Ambiguous { .. })
        ));
        assert!(matches!(
            Document::parse(br#"{"schemaVersion":1}"#, None),
            Err(DocumentError::Schema(1))
        ));
        assert!(matches!(
            Document::parse(b"<html>", None),
            Err(DocumentError::Json(_))
        ));
    }
}
