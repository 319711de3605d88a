//! What a build left to an image of the store: its configuration gets the digests of its layers,
//! and with that it has an id.

use cache::images::NewImage;
use cache::{Kind, Layer, Snapshot, Store, StoreError};
use image::manifest::media_type;
use image::{Descriptor, Digest, ImageConfig, ImageRef, Manifest};
use solver::Cancel;

use super::ImagesError;
use super::pack::diff_ids;

/// The names that an image gets.
pub type NewName = ImageRef;

/// Stores an image of these files and this configuration under `names`; gives its id.
pub fn seal(
    store: &Store,
    snapshot: &Snapshot,
    config: &ImageConfig,
    names: &[NewName],
    cancel: &Cancel,
) -> Result<Sealed, ImagesError> {
    let (new, sealed, documents) = make(store, snapshot, config, cancel)?;
    // The image of a build with nothing to do is there, with its names: nothing is written then,
    // which may have to wait or need room.
    if !store.has_image(&new, names)? {
        documents.keep(store)?;
        store.add_image(&new, names)?;
    }
    Ok(sealed)
}

/// The documents of an image, not in the store yet.
pub(super) struct Documents {
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Documents {
    /// Keeps them as blobs.
    pub(super) fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let blobs = store.blobs();
        blobs.put_bytes(&self.config)?;
        blobs.put_bytes(&self.manifest)?;
        Ok(())
    }
}

/// Makes an image with its documents.
pub(super) fn make<'a>(
    store: &Store,
    snapshot: &'a Snapshot,
    config: &ImageConfig,
    cancel: &Cancel,
) -> Result<(NewImage<'a>, Sealed, Documents), ImagesError> {
    let (config, sizes) = seal_config(store, snapshot, config, cancel)?;
    let config_bytes =
        serde_json::to_vec(&config).map_err(|error| ImagesError::Pack(error.into()))?;
    let config_descriptor = Descriptor::of(media_type::OCI_CONFIG, &config_bytes);
    let id = config_descriptor.digest;
    // In the store layers are files: the manifest names their tars, which are made when asked for.
    let layers = config
        .rootfs
        .diff_ids
        .iter()
        .zip(&sizes)
        .map(|(diff_id, size)| Descriptor::new(media_type::OCI_LAYER, diff_id.0, *size))
        .collect();
    let manifest = Manifest::new(media_type::OCI_MANIFEST, config_descriptor, layers);
    let manifest_bytes =
        serde_json::to_vec(&manifest).map_err(|error| ImagesError::Pack(error.into()))?;
    let documents = Documents {
        config: config_bytes,
        manifest: manifest_bytes,
    };
    let manifest = Digest::of(&documents.manifest);
    let created = config
        .created
        .as_deref()
        .and_then(image::time::parse_rfc3339)
        .unwrap_or_default();
    let new = NewImage {
        manifest,
        config: id,
        blobs: &[],
        snapshot: Some(snapshot),
        size: sizes.iter().sum(),
        created,
    };
    Ok((new, Sealed { id, manifest }, documents))
}

/// An image of the store.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Digest of its configuration.
    pub id: Digest,
    /// Digest of its manifest in the store.
    pub manifest: Digest,
}

/// The configuration with the digests of the stack's layers, and the layers' sizes in bytes.
pub fn seal_config(
    store: &Store,
    snapshot: &Snapshot,
    config: &ImageConfig,
    cancel: &Cancel,
) -> Result<(ImageConfig, Vec<u64>), ImagesError> {
    let mut config = config.clone();
    config.rootfs.diff_ids = diff_ids(store, snapshot, cancel)?;
    Ok((config, sizes(store, snapshot)?))
}

/// Bytes of the files of each layer of a stack, lowest first.
pub fn sizes(store: &Store, snapshot: &Snapshot) -> Result<Vec<u64>, StoreError> {
    let size = |id| Ok(content_size(&*store.layer(id)?));
    snapshot.layers.iter().map(size).collect()
}

/// Bytes of the files of a layer.
pub fn content_size(layer: &Layer) -> u64 {
    let size = |entry: cache::Entry| match entry.kind {
        Kind::File { size, link, .. } if link.as_ref().is_none_or(|first| *first == entry.path) => {
            size
        }
        _ => 0,
    };
    layer.index.iter().map(size).sum()
}
