//! Manifest and configuration of an image of the store.

use cache::Store;
use cache::images::StoredImage;
use frontend::plan::ResolvedImage;
use image::{Descriptor, Digest, Document, ImageConfig, Manifest, Platform};
use solver::op::ImageOrigin;

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
    let shown = image.names.first().cloned();
    let shown = shown.unwrap_or_else(|| image.short_id());
    load_root(store, image.manifest, &shown, platform)
}

/// As [`load`], of the image with this manifest or index.
pub fn load_root(
    store: &Store,
    root: Digest,
    shown: &str,
    platform: Option<&Platform>,
) -> Result<Option<Loaded>, ImagesError> {
    let mut digest = root;
    // An index may hold an index; nobody nests them deeper.
    for _ in 0..3 {
        match read(store, &digest)? {
            Document::Index(index) => {
                let host = Platform::host();
                let only = || {
                    let mut images = index.images();
                    let first = images.next();
                    first.filter(|_| platform.is_none() && images.next().is_none())
                };
                let chosen = index.choose(platform.unwrap_or(&host)).ok().or_else(only);
                match chosen {
                    Some(chosen) => digest = chosen.digest,
                    None => return Ok(None),
                }
            }
            Document::Manifest(manifest) => {
                let config = config(store, shown, &manifest.config)?;
                if platform.is_some_and(|wanted| !config.platform().serves(wanted)) {
                    return Ok(None);
                }
                if config.rootfs.diff_ids.len() != manifest.layers.len() {
                    return Err(ImagesError::Damaged {
                        image: shown.to_owned(),
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
        image: shown.to_owned(),
        what: "its index is nested too deeply".to_owned(),
    })
}

/// An image of the store as the base of a build or a container.
pub fn resolved(stored: &StoredImage, loaded: Loaded) -> ResolvedImage {
    let name = stored.names.first();
    ResolvedImage {
        origin: match name {
            Some(name) => ImageOrigin::Registry(name.clone()),
            None => ImageOrigin::Store,
        },
        reference: name.cloned().unwrap_or_else(|| stored.short_id()),
        manifest: loaded.manifest_digest,
        config: loaded.config,
    }
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
