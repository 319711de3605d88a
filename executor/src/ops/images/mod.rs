//! The layers of an image: those that are unpacked already, the others fetched side by side.
//!
//! A layer is fetched, verified, decompressed, digested again and unpacked in one pass. Nothing of
//! an image that lies stays: a layer is committed after its blob and its tar were what the manifest
//! and the configuration say.

mod layer;
mod source;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cache::{Layer, Snapshot};
use image::{Descriptor, Document};
use solver::op::ImageOp;
use solver::{Job, LayerDigest};

use self::source::Source;
use super::Executor;
use super::error::OpError;

/// Layers that are fetched at once.
const AT_ONCE: usize = 4;

/// Makes the stack of an image.
pub(super) fn run(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    op: &ImageOp,
) -> Result<Snapshot, OpError> {
    if let Some(known) = unpacked(executor, op)? {
        return Ok(known);
    }
    let source = Source::of(executor, op)?;
    let descriptors = descriptors(executor, op, &source)?;
    let mut missing = VecDeque::new();
    let mut layers: Vec<Option<Arc<Layer>>> = Vec::new();
    for (position, diff_id) in op.diff_ids.iter().enumerate() {
        let known = match executor.store().layer_by_diff_id(diff_id)? {
            Some(layer) if executor.keep(&layer)? => Some(layer),
            _ => None,
        };
        if known.is_none() {
            missing.push_back(position);
        }
        layers.push(known);
    }
    let workers = missing.len().min(AT_ONCE);
    let shared = Mutex::new((missing, layers, None::<OpError>));
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let mut shared = lock();
        match shared.2 {
            Some(_) => None,
            None => shared.0.pop_front(),
        }
    };
    let failed = || job.cancel.is_cancelled() || lock().2.is_some();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(position) = next() {
                    let fetch = layer::Fetch {
                        executor,
                        job,
                        op,
                        source: &source,
                        descriptor: &descriptors[position],
                        diff_id: &op.diff_ids[position],
                        stopped: &failed,
                    };
                    match fetch.run() {
                        Ok(layer) => lock().1[position] = Some(Arc::new(layer)),
                        Err(error) => {
                            lock().2.get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    let (_, layers, error) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if job.cancel.is_cancelled() {
        return Err(OpError::Cancelled);
    }
    if let Some(error) = error {
        return Err(error);
    }
    Ok(stack(op, layers.into_iter().flatten()))
}

/// The stack, if all its layers are unpacked.
fn unpacked(executor: &Executor, op: &ImageOp) -> Result<Option<Snapshot>, OpError> {
    let mut layers = Vec::with_capacity(op.diff_ids.len());
    for diff_id in &op.diff_ids {
        match executor.store().layer_by_diff_id(diff_id)? {
            Some(layer) => layers.push(layer),
            None => return Ok(None),
        }
    }
    for layer in &layers {
        if !executor.keep(layer)? {
            return Ok(None);
        }
    }
    Ok(Some(stack(op, layers)))
}

fn stack(op: &ImageOp, layers: impl IntoIterator<Item = Arc<Layer>>) -> Snapshot {
    let digests = op.diff_ids.iter().copied().map(LayerDigest::Base);
    let ids = layers.into_iter().map(|layer| layer.id.clone());
    Snapshot::new(ids.zip(digests))
}

/// The descriptors of the layers, from the manifest.
fn descriptors(
    executor: &Executor,
    op: &ImageOp,
    source: &Source,
) -> Result<Vec<Descriptor>, OpError> {
    let stored = Source::Store(executor.store().blobs());
    let bytes = stored
        .manifest(op)
        .or_else(|_| source.manifest(op))
        .map_err(|source| OpError::ImageBlob {
            image: op.reference.clone(),
            source,
        })?;
    let manifest = match Document::parse(&bytes, None) {
        Ok(Document::Manifest(manifest)) => manifest,
        Ok(Document::Index(_)) => return Err(op.lies("its manifest is an index")),
        Err(error) => return Err(op.lies(error.to_string())),
    };
    if manifest.layers.len() != op.diff_ids.len() {
        return Err(op.lies(format!(
            "its manifest has {} layers, its configuration {}",
            manifest.layers.len(),
            op.diff_ids.len()
        )));
    }
    Ok(manifest.layers)
}

/// What is said of an image that is not what it says.
trait Lies {
    fn lies(&self, about: impl Into<String>) -> OpError;
}

impl Lies for ImageOp {
    fn lies(&self, about: impl Into<String>) -> OpError {
        OpError::ImageLies {
            image: self.reference.clone(),
            about: about.into(),
        }
    }
}

impl Executor {
    /// Pins a layer as long as this executor lives; whether it is still there.
    fn keep(&self, layer: &Layer) -> Result<bool, OpError> {
        let Some(pin) = self.store().pin(std::slice::from_ref(&layer.id))? else {
            return Ok(false);
        };
        self.sources.pin(pin);
        Ok(true)
    }
}
