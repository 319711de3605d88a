//! Images in files: the OCI image layout (image-layout.md) as a directory or a tar, and what
//! `docker save` writes.
//!
//! Blobs come from a [`BlobSource`](crate::blob::BlobSource) and go to a
//! [`BlobSink`](crate::blob::BlobSink): this room knows no store. What is read is hostile until its
//! digests have been verified, and no path of an archive ever names a file of this machine.

mod directory;
mod docker;
mod load;
mod paths;
mod save;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::blob::BlobError;
use crate::manifest::{Descriptor, Index, media_type};
use crate::tar::TarError;
use crate::{Digest, ImageRef};

pub use directory::LayoutDir;
pub use load::load;
pub use save::{ArchiveKind, save};

/// The annotation that holds a tag, or any name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that holds a whole name.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
const LAYOUT_FILE: &str = "oci-layout";
const INDEX_FILE: &str = "index.json";
const LAYOUT_VERSION: &str = "1.0.0";

/// An image or index of a layout, and what it is called there.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedImage {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// Its names; none for an image without.
    pub names: Vec<ImageRef>,
}

/// A layout or archive that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file of a layout directory fails.
    #[error("{}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
    /// The archive's stream fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The archive is no tar.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A blob is missing, or not what it should be.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// There is neither `index.json` nor `manifest.json`.
    #[error("this is neither an OCI image layout nor an archive of `docker save`")]
    Unknown,
    /// The layout is of another version.
    #[error("image layout version {0:?} is not supported, only {LAYOUT_VERSION}")]
    Version(String),
    /// A JSON document is malformed.
    #[error("`{name}` is malformed")]
    Json {
        /// Which one.
        name: String,
        /// How.
        source: serde_json::Error,
    },
    /// A document is larger than anyone makes it.
    #[error("`{name}` has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Which one.
        name: String,
        /// Its length in bytes.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A path in the archive leads out of it, or stands there twice, or is something that an
    /// image archive never holds.
    #[error("`{name}` has no place in an image archive: {reason}")]
    Entry {
        /// The path.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// The archive names a file that it does not hold.
    #[error("the archive names `{0}`, and does not hold it")]
    Absent(String),
    /// A layer of a `docker save` archive is not the one its configuration names.
    #[error("layer `{name}` has the digest {found}, and the image's configuration says {expected}")]
    Layer {
        /// Which one.
        name: String,
        /// The diff id in the configuration.
        expected: Digest,
        /// That of the layer.
        found: Digest,
    },
    /// Configuration and layers of a `docker save` archive do not match.
    #[error("the image has {layers} layers, and its configuration {diff_ids}")]
    LayerCount {
        /// In `manifest.json`.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// `docker load` takes one platform only.
    #[error("an archive for `docker load` holds one platform, and {0} has several")]
    SeveralPlatforms(Digest),
    /// No image has the name or digest that was asked for.
    #[error("the layout has no image `{wanted}`: it has {}", Offered(.offered))]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// The names that there are.
        offered: Vec<String>,
    },
}

struct Offered<'a>(&'a [String]);

impl std::fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no names");
        }
        f.write_str(&self.0.join(", "))
    }
}

/// The content of `oci-layout`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

fn marker() -> Vec<u8> {
    format!(r#"{{"imageLayoutVersion":"{LAYOUT_VERSION}"}}"#).into_bytes()
}

fn check_marker(bytes: &[u8]) -> Result<(), LayoutError> {
    let marker: Marker = json(LAYOUT_FILE, bytes)?;
    // 1.x only ever adds to 1.0.
    if !marker.image_layout_version.starts_with("1.") {
        return Err(LayoutError::Version(marker.image_layout_version));
    }
    Ok(())
}

fn json<'a, T: Deserialize<'a>>(name: &str, bytes: &'a [u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes).map_err(|source| LayoutError::Json {
        name: name.to_owned(),
        source,
    })
}

/// `index.json`'s entries for images: one for each name, or one without.
fn entries(images: &[NamedImage]) -> Vec<Descriptor> {
    let mut entries = Vec::new();
    for image in images {
        if image.names.is_empty() {
            entries.push(image.descriptor.clone());
        }
        for name in &image.names {
            let mut entry = image.descriptor.clone();
            entry
                .annotations
                .insert(IMAGE_NAME.to_owned(), name.to_string());
            entry
                .annotations
                .insert(REF_NAME.to_owned(), name.manifest_name());
            entries.push(entry);
        }
    }
    entries
}

fn index_json(manifests: Vec<Descriptor>) -> Result<Vec<u8>, LayoutError> {
    let index = Index::new(media_type::OCI_INDEX, manifests);
    serde_json::to_vec(&index).map_err(|source| LayoutError::Json {
        name: INDEX_FILE.to_owned(),
        source,
    })
}

/// The images of an `index.json`, each once with all its names, without the annotations that
/// hold them.
fn named_images(index: Index) -> Vec<NamedImage> {
    let mut images: Vec<NamedImage> = Vec::new();
    for mut descriptor in index.manifests {
        let name = entry_name(&descriptor);
        descriptor.annotations.remove(IMAGE_NAME);
        descriptor.annotations.remove(REF_NAME);
        let same = images
            .iter_mut()
            .find(|image| image.descriptor.digest == descriptor.digest);
        match same {
            Some(image) => image.names.extend(name),
            None => images.push(NamedImage {
                descriptor,
                names: Vec::from_iter(name),
            }),
        }
    }
    images
}

/// The whole name of an entry: a mere tag, as the second annotation mostly holds, is none.
fn entry_name(entry: &Descriptor) -> Option<ImageRef> {
    let whole = entry.annotations.get(IMAGE_NAME);
    let any = entry.annotations.get(REF_NAME);
    whole
        .or(any.filter(|name| name.contains(['/', ':'])))
        .and_then(|name| name.parse().ok())
}

#[cfg(test)]
mod tests;
