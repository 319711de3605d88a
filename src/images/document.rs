//! Manifest and configuration of an image of the store.

use cache::Store;
use cache::images::StoredImage;
use image::{Descriptor, Digest, Document, ImageConfig, Manifest, Platform};

use super::ImagesError;

/// An image's documents for one platform.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
    /// Digest of the configuration: the image's id.
    pub id: Digest,
}

/// Reads the documents of an image; none if it has no image for `platform`. Without a platform the
/// host's is taken from an index, and a single image is taken as it is.
pub fn load(
    store: &Store,
    image: &StoredImage,
    platform: Option<&Platform>,
) -> Result<Option<Loaded>, ImagesError> {
    let shown = || {
        image
            .names
            .first()
            .cloned()
            .unwrap_or_else(|| image.short_id())
    };
    let mut digest = image.manifest;
    // An index may hold an index; nobody nests them deeper.
    for _ in 0..3 {
        match read(store, &digest)? {
            Document::Index(index) => {
                let host = Platform::host();
                match index.choose(platform.unwrap_or(&host)) {
                    Ok(chosen) => digest = chosen.digest,
                    Err(_) => return Ok(None),
                }
            }
            Document::Manifest(manifest) => {
                let config = config(store, &shown(), &manifest.config)?;
                if platform.is_some_and(|wanted| !config.platform().serves(wanted)) {
                    return Ok(None);
                }
                if config.rootfs.diff_ids.len() != manifest.layers.len() {
                    return Err(ImagesError::Damaged {
                        image: shown(),
                        what: "its manifest and its configuration name different numbers of layers"
                            .to_owned(),
                    });
                }
                let id = manifest.config.digest;
                return Ok(Some(Loaded {
                    manifest_digest: digest,
                    manifest,
                    config,
                    id,
                }));
            }
        }
    }
    Err(ImagesError::Damaged {
        image: shown(),
        what: "its index is nested too deeply".to_owned(),
    })
}

fn read(store: &Store, digest: &Digest) -> Result<Document, ImagesError> {
    let bytes = store.blobs().read(digest)?;
    Document::parse(&bytes, None).map_err(|source| ImagesError::Document {
        digest: *digest,
        source,
    })
}

fn config(store: &Store, image: &str, descriptor: &Descriptor) -> Result<ImageConfig, ImagesError> {
    let bytes = store.blobs().read(&descriptor.digest)?;
    serde_json::from_slice(&bytes).map_err(|error| ImagesError::Damaged {
        image: image.to_owned(),
        what: format!("its configuration: {error}"),
    })
}
