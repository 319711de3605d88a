//! The files of an image, for those who need them: fetched and unpacked if they are not there.

use cache::records::Records;
use cache::{Snapshot, StoreError};
use executor::ops::{Executor, ExecutorOptions};
use frontend::plan::ResolvedImage;
use solver::op::ImageOp;
use solver::schedule::{Options, solve};
use solver::{Cancel, Graph, Op, Vertex, VertexMeta};

use super::{Images, ImagesError};
use crate::progress::{Kind, Progress};
use crate::report::{Class, Failure};

/// Whether layers of an image must be fetched or unpacked.
fn is_missing(images: &Images, image: &ResolvedImage) -> Result<bool, StoreError> {
    let store = &images.store;
    let stored = store.image_by_manifest(&image.manifest)?;
    if stored.is_some_and(|stored| stored.snapshot.is_some()) {
        return Ok(false);
    }
    for diff_id in &image.config.rootfs.diff_ids {
        if store.layer_by_diff_id(diff_id)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes what an image of the store was unpacked to, so that prune leaves it.
fn note(images: &Images, image: &ResolvedImage, snapshot: &Snapshot) -> Result<(), ImagesError> {
    let store = &images.store;
    let stored = match store.image_by_manifest(&image.manifest)? {
        Some(stored) => stored,
        // Pulled by an index, whose digest the image has in the store.
        None => match store.image(&image.reference) {
            Ok(stored) => stored,
            Err(_) => return Ok(()),
        },
    };
    if stored.snapshot.as_ref() == Some(snapshot) {
        return Ok(());
    }
    let loaded = super::load(store, &stored, Some(&image.config.platform()))?;
    // What was built here has its own digests in its stack.
    let is_unpacked = stored
        .snapshot
        .is_none_or(|known| known.layers != snapshot.layers);
    if is_unpacked && loaded.is_some_and(|loaded| loaded.manifest_digest == image.manifest) {
        let size = super::seal::sizes(store, snapshot)?.iter().sum();
        store.set_image_snapshot(&stored.manifest, snapshot, size)?;
    }
    Ok(())
}

/// The stack of an image; it stays while the pins that come with it live.
pub fn snapshot(
    images: &Images,
    image: &ResolvedImage,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<(Snapshot, Vec<cache::pins::Pin>), Failure> {
    let mut graph = Graph::new();
    let name = image.reference.clone();
    let vertex = graph.add(Vertex {
        op: Op::Image(ImageOp {
            reference: image.reference.clone(),
            origin: image.origin.clone(),
            manifest: image.manifest,
            diff_ids: image.config.rootfs.diff_ids.clone(),
            platform: image.config.platform(),
        }),
        inputs: Vec::new(),
        meta: VertexMeta {
            name: format!("[image] {name}"),
            ..VertexMeta::default()
        },
    });
    if is_missing(images, image).map_err(|error| crate::home::store_failure(&error))? {
        // Fetching takes time; finding what is there is not worth a line.
        progress.expect([(vertex, Kind::Task, format!("[image] {name}"))]);
    }
    let executor = Executor::new(ExecutorOptions {
        registries: Some(images.registries()),
        ..ExecutorOptions::new(images.store.clone())
    });
    let records = Records::new(&images.store, "images");
    let solution = solve(
        &graph,
        &[vertex],
        &executor,
        &records,
        &Options::default(),
        cancel,
        progress,
    )
    .map_err(|error| match &error {
        solver::schedule::SolveError::Cancelled => Failure::new(Class::Interrupted, "stopped"),
        solver::schedule::SolveError::Step { source, .. } => {
            Failure::from_error(Class::System, source)
        }
        solver::schedule::SolveError::Cache { source, .. } => crate::home::store_failure(source),
        _ => Failure::from_error(Class::Ours, &error),
    })?;
    let snapshot = solution
        .outputs
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(Class::Ours, "a solved image left nothing"))?;
    note(images, image, &snapshot).map_err(|error| error.failure())?;
    Ok((snapshot, solution.pins))
}
