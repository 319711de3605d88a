//! An image of the store with all its blobs: what registries and archives get.
//!
//! Of what was built here the store's manifest names layers that exist as files only. The manifest
//! made here names blobs, and the same configuration: the image's id stays.

use image::compress::Compression;
use image::manifest::media_type;
use image::{Descriptor, Manifest};
use solver::Cancel;

use super::{Images, ImagesError, Packing, load_host, pack, resolved, snapshot};
use crate::home::store_failure;
use crate::progress::Progress;
use crate::report::{Class, Failure};
use cache::blobs::Blobs;
use cache::{StoreError, StoredImage};

/// The manifest of an image, for this machine where there are several, after all its blobs were
/// made or fetched. They stay while this process lives.
pub fn complete(
    images: &Images,
    stored: &StoredImage,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Descriptor, Failure> {
    let store = images.store();
    let blobs = store.blobs();
    let loaded = load_host(store, stored)?;
    let (manifest, digest) = (loaded.manifest.clone(), loaded.manifest_digest);
    let diff_ids = loaded.config.rootfs.diff_ids.clone();
    let whole = || -> Result<Option<Descriptor>, StoreError> {
        if !has_all(&blobs, &manifest)? {
            return Ok(None);
        }
        let media_type = match manifest.media_type.as_str() {
            "" => media_type::OCI_MANIFEST,
            named => named,
        };
        let size = blobs.size(&digest)?;
        Ok(size.map(|size| Descriptor::new(media_type, digest, size)))
    };
    if let Some(found) = whole().map_err(|error| store_failure(&error))? {
        return Ok(found);
    }
    let (stack, _pins) = snapshot(images, &resolved(stored, loaded), progress, cancel)?;
    if let Some(found) = whole().map_err(|error| store_failure(&error))? {
        return Ok(found);
    }
    let task = progress.task("packing layers");
    let packing = Packing {
        compression: Compression::named("gzip", None)
            .map_err(|error| Failure::from_error(Class::Ours, &error))?,
        force: false,
        clamp: None,
        base_layers: 0,
    };
    let packed = pack(store, &stack, &packing, cancel, &|item, done| {
        task.advance(item, done, 0);
    });
    let packed = match packed {
        Ok(packed) => packed,
        Err(error) => {
            let failure = error.failure();
            task.failed(&failure.title);
            return Err(failure);
        }
    };
    task.done();
    for (layer, diff_id) in packed.iter().zip(&diff_ids) {
        if layer.diff_id != *diff_id {
            return Err(ImagesError::MissingLayer(diff_id.0).failure());
        }
    }
    let layers = packed.into_iter().map(|layer| {
        let mut descriptor = layer.descriptor;
        if let Some(format) = descriptor.layer_format() {
            format
                .container
                .oci_layer()
                .clone_into(&mut descriptor.media_type);
        }
        descriptor
    });
    let mut config = manifest.config.clone();
    media_type::OCI_CONFIG.clone_into(&mut config.media_type);
    let manifest = Manifest::new(media_type::OCI_MANIFEST, config, layers.collect());
    let bytes =
        serde_json::to_vec(&manifest).map_err(|error| Failure::from_error(Class::Ours, &error))?;
    blobs
        .put_bytes(&bytes)
        .map_err(|error| store_failure(&error))?;
    Ok(Descriptor::of(media_type::OCI_MANIFEST, &bytes))
}

/// Whether all layers are among the blobs.
fn has_all(blobs: &Blobs, manifest: &Manifest) -> Result<bool, StoreError> {
    for layer in &manifest.layers {
        if blobs.size(&layer.digest)? != Some(layer.size) {
            return Ok(false);
        }
    }
    Ok(true)
}
