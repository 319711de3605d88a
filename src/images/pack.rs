//! Layers to blobs: each once for each form, ever.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache::{LayerId, Snapshot, Store, StoreError, TarOptions, write_tar};
use image::compress::{BlobWriter, Compression};
use image::{Descriptor, DiffId, Digest, DigestWriter, ImageConfig, Manifest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use solver::Cancel;

use super::ImagesError;

/// How layers are packed.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// How blobs are compressed.
    pub compression: Compression,
    /// Whether blobs that came compressed otherwise are compressed anew.
    pub force: bool,
    /// Latest time of files in the layers above the base's, in seconds since 1970.
    pub clamp: Option<i64>,
    /// Number of layers at the bottom that are the base's, and stay as they are.
    pub base_layers: usize,
}

/// A packed layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Packed {
    /// Digest of its tar.
    pub diff_id: DiffId,
    /// Its blob.
    pub descriptor: Descriptor,
}

/// Layers that are packed at once.
const LAYERS_AT_ONCE: usize = 2;

/// The domain of memos that say which blob a base image's layer came in.
const PULLED: &str = "blob of a pulled layer";

/// Remembers in which blobs an image's layers come.
pub fn remember(
    store: &Store,
    config: &ImageConfig,
    manifest: &Manifest,
) -> Result<(), StoreError> {
    for (diff_id, layer) in config.rootfs.diff_ids.iter().zip(&manifest.layers) {
        let bytes = serde_json::to_vec(layer).unwrap_or_default();
        store.set_memo(PULLED, &diff_id.to_string(), &bytes)?;
    }
    Ok(())
}

/// The blobs of a stack's layers, lowest first; what is not there yet is made.
pub fn pack(
    store: &Store,
    snapshot: &Snapshot,
    packing: &Packing,
    cancel: &Cancel,
    progress: &(dyn Fn(&str, u64) + Sync),
) -> Result<Vec<Packed>, ImagesError> {
    let one = |(position, id): (usize, &LayerId)| {
        let clamp = packing.clamp.filter(|_| position >= packing.base_layers);
        pack_layer(store, id, packing, clamp, cancel, progress)
    };
    // Packing uses all cores by itself, if it is asked from a thread that is none of rayon's; two
    // layers at once keep the cores busy at the seams.
    let next = AtomicUsize::new(0);
    let packed: Vec<OnceLock<Result<Packed, ImagesError>>> =
        snapshot.layers.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while let Some((position, id)) = numbered(&snapshot.layers, &next) {
            let result = one((position, id));
            let failed = result.is_err();
            // Each position is handed out once.
            let _ = packed[position].set(result);
            if failed {
                next.store(snapshot.layers.len(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..snapshot.layers.len().min(LAYERS_AT_ONCE) {
            // Where there is no thread to be had, those that there are pack all of them.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    // A layer that nobody came to stands behind one that failed.
    packed
        .into_iter()
        .map(|slot| slot.into_inner().unwrap_or(Err(ImagesError::Cancelled)))
        .fold(Ok(Vec::new()), first_failure)
}

/// The next layer that nobody packs yet.
fn numbered<'a>(layers: &'a [LayerId], next: &AtomicUsize) -> Option<(usize, &'a LayerId)> {
    let position = next.fetch_add(1, Ordering::Relaxed);
    layers.get(position).map(|id| (position, id))
}

/// Collects, and prefers a failure with a cause to the layers that were left out because of it.
fn first_failure(
    so_far: Result<Vec<Packed>, ImagesError>,
    next: Result<Packed, ImagesError>,
) -> Result<Vec<Packed>, ImagesError> {
    match (so_far, next) {
        (Ok(mut packed), Ok(one)) => {
            packed.push(one);
            Ok(packed)
        }
        (Ok(_) | Err(ImagesError::Cancelled), Err(error)) => Err(error),
        (Err(error), _) => Err(error),
    }
}

fn pack_layer(
    store: &Store,
    id: &LayerId,
    packing: &Packing,
    clamp: Option<i64>,
    cancel: &Cancel,
    progress: &(dyn Fn(&str, u64) + Sync),
) -> Result<Packed, ImagesError> {
    let layer = store.layer(id)?;
    let blobs = store.blobs();
    // With a clamp only what was unpacked from an archive is what it was.
    let diff_id = match clamp {
        None => store.diff_id(id)?,
        Some(_) => layer.diff_id,
    };
    if let Some(diff_id) = diff_id
        && let Some(known) = store.memo(PULLED, &diff_id.to_string())?
        && let Ok(descriptor) = serde_json::from_slice::<Descriptor>(&known)
    {
        let wanted = packing.compression.container();
        let fits = !packing.force
            || descriptor
                .layer_format()
                .is_some_and(|format| format.container == wanted);
        if fits && blobs.size(&descriptor.digest)?.is_some() {
            return Ok(Packed {
                diff_id,
                descriptor,
            });
        }
    }
    let form = form_name(packing.compression, clamp);
    if let Some((_, description)) = blobs.form(id, &form)?
        && let Ok(packed) = serde_json::from_slice::<Packed>(&description)
    {
        return Ok(packed);
    }
    let name = &id.0;
    let mut made = None;
    blobs.put_with(|file| {
        let mut writer = BlobWriter::new(
            Counted {
                inner: file,
                cancel,
                progress,
                name,
                done: 0,
            },
            packing.compression,
        );
        write_tar(&layer, TarOptions { clamp }, &mut writer)?;
        let (_, blob) = writer.finish().map_err(ImagesError::Pack)?;
        made = Some(blob);
        Ok::<Digest, ImagesError>(blob.digest)
    })?;
    let blob = made.ok_or(ImagesError::Cancelled)?;
    if let Some(diff_id) = diff_id.filter(|diff_id| *diff_id != blob.diff_id) {
        // The tar that it was unpacked from was written by somebody else; ours has other bytes.
        return Err(ImagesError::MissingLayer(diff_id.0));
    }
    let packed = Packed {
        diff_id: blob.diff_id,
        descriptor: blob.layer(),
    };
    let description = serde_json::to_vec(&packed).unwrap_or_default();
    blobs.set_form(id, &form, &packed.descriptor.digest, &description)?;
    if clamp.is_none() {
        store.set_diff_id(id, &packed.diff_id)?;
    }
    Ok(packed)
}

/// Names a form: what the blob's bytes depend on beside the layer.
fn form_name(compression: Compression, clamp: Option<i64>) -> String {
    match clamp {
        Some(epoch) => format!("{compression:?} clamped {epoch}"),
        None => format!("{compression:?}"),
    }
}

/// Digests of the tars of a stack's layers; nothing is kept but the digests.
pub fn diff_ids(
    store: &Store,
    snapshot: &Snapshot,
    cancel: &Cancel,
) -> Result<Vec<DiffId>, ImagesError> {
    snapshot
        .layers
        .par_iter()
        .map(|id| {
            if let Some(known) = store.diff_id(id)? {
                return Ok(known);
            }
            let layer = store.layer(id)?;
            let mut digest = DigestWriter::new(Counted {
                inner: io::sink(),
                cancel,
                progress: &|_, _| {},
                name: &id.0,
                done: 0,
            });
            write_tar(
                &layer,
                TarOptions::default(),
                &mut io::BufWriter::with_capacity(1 << 20, &mut digest),
            )?;
            let (_, found, _) = digest.finish();
            let found = DiffId(found);
            store.set_diff_id(id, &found)?;
            Ok(found)
        })
        .collect()
}

/// Counts what goes by, and fails when somebody asks to stop.
struct Counted<'a, W> {
    inner: W,
    cancel: &'a Cancel,
    progress: &'a (dyn Fn(&str, u64) + Sync),
    name: &'a str,
    done: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        let written = self.inner.write(bytes)?;
        self.done += written as u64;
        (self.progress)(self.name, self.done);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
