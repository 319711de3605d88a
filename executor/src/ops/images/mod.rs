//! The layers of an image: those that are unpacked already, the others fetched side by side.
//!
//! A layer is fetched, verified, decompressed, digested again and unpacked in one pass. Nothing of
//! an image that lies stays: a layer is committed after its blob and its tar were what the manifest
//! and the configuration say.

mod layer;
mod source;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cache::{Layer, LayerId, NewLayer, Snapshot, Unpacked, View};
use image::{ChainId, Descriptor, Document};
use solver::op::ImageOp;
use solver::{Job, LayerDigest};

use self::source::Source;
use super::Executor;
use super::error::OpError;

/// Layers that are fetched at once.
const AT_ONCE: usize = 4;

/// Where layers that fit one tree only are remembered, by the chain of layers that they end.
const MEMOS: &str = "chained layer v1";

/// A layer of an image, on its way.
enum Got {
    Nothing,
    Layer(Arc<Layer>),
    /// Unpacked; what it is depends on the layers below.
    Waiting(NewLayer, Unpacked),
}

/// Makes the stack of an image.
pub(super) fn run(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    op: &ImageOp,
) -> Result<Snapshot, OpError> {
    if let Some(made) = made_here(executor, op)? {
        return Ok(made);
    }
    if let Some(known) = unpacked(executor, op)? {
        return Ok(known);
    }
    let source = Source::of(executor, op)?;
    let descriptors = descriptors(executor, op, &source)?;
    let mut missing = VecDeque::new();
    let mut layers: Vec<Got> = Vec::new();
    for position in 0..op.diff_ids.len() {
        match known(executor, op, position)? {
            Some(layer) if executor.keep(&layer)? => layers.push(Got::Layer(layer)),
            _ => {
                missing.push_back(position);
                layers.push(Got::Nothing);
            }
        }
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
    let work = || {
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
            let got = fetch.run().and_then(|(new, unpacked)| {
                if !unpacked.fits_everywhere() {
                    return Ok(Got::Waiting(new, unpacked));
                }
                let below = View::default();
                let layer = new.commit_unpacked(&below, op.diff_ids[position], unpacked)?;
                Ok(Got::Layer(Arc::new(layer)))
            });
            match got {
                Ok(got) => lock().1[position] = got,
                Err(error) => {
                    lock().2.get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            // Where there is no thread to be had, those that there are do it all.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let (_, layers, error) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if job.cancel.is_cancelled() {
        return Err(OpError::Cancelled);
    }
    if let Some(error) = error {
        return Err(error);
    }
    let mut below: Vec<Arc<Layer>> = Vec::with_capacity(layers.len());
    for (position, got) in layers.into_iter().enumerate() {
        let layer = match got {
            Got::Nothing => continue,
            Got::Layer(layer) => layer,
            Got::Waiting(new, unpacked) => {
                let view = View::new(below.clone());
                let layer = new.commit_unpacked(&view, op.diff_ids[position], unpacked)?;
                let store = executor.store();
                store.set_diff_id(&layer.id, &op.diff_ids[position])?;
                if let Some(chain) = ChainId::of(&op.diff_ids[..=position]) {
                    store.set_memo(MEMOS, &chain.0.to_string(), layer.id.0.as_bytes())?;
                }
                Arc::new(layer)
            }
        };
        below.push(layer);
    }
    Ok(stack(op, below))
}

/// The layer at `position` of an image, if it is unpacked already.
fn known(
    executor: &Executor,
    op: &ImageOp,
    position: usize,
) -> Result<Option<Arc<Layer>>, OpError> {
    let store = executor.store();
    if let Some(layer) = store.layer_by_diff_id(&op.diff_ids[position])? {
        return Ok(Some(layer));
    }
    let Some(chain) = ChainId::of(&op.diff_ids[..=position]) else {
        return Ok(None);
    };
    let id = store.memo(MEMOS, &chain.0.to_string())?;
    let id = id.and_then(|bytes| String::from_utf8(bytes).ok());
    // one that was pruned since is as good as none
    Ok(id.and_then(|id| store.layer(&LayerId(id)).ok()))
}

/// The stack of an image that was built or imported here: its layers were never unpacked.
fn made_here(executor: &Executor, op: &ImageOp) -> Result<Option<Snapshot>, OpError> {
    let store = executor.store();
    let image = store.image_by_manifest(&op.manifest)?;
    let Some(snapshot) = image.and_then(|image| image.snapshot) else {
        return Ok(None);
    };
    if snapshot.layers.len() != op.diff_ids.len() {
        return Ok(None);
    }
    let mut layers = Vec::with_capacity(op.diff_ids.len());
    for id in &snapshot.layers {
        // A layer that is gone is fetched or refused like any other.
        let Ok(layer) = store.layer(id) else {
            return Ok(None);
        };
        if !executor.keep(&layer)? {
            return Ok(None);
        }
        layers.push(layer);
    }
    Ok(Some(stack(op, layers)))
}

/// The stack, if all its layers are unpacked.
fn unpacked(executor: &Executor, op: &ImageOp) -> Result<Option<Snapshot>, OpError> {
    let mut layers = Vec::with_capacity(op.diff_ids.len());
    for position in 0..op.diff_ids.len() {
        match known(executor, op, position)? {
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
