//! Images to registries: what a registry does not have, with progress.

use cache::Store;
use image::registry::PushEvent;
use image::{Descriptor, Digest, ImageRef};

use super::Images;
use crate::progress::Progress;
use crate::report::{Class, Failure};

/// Blobs that are sent at once.
const AT_ONCE: usize = 4;
/// Where it is remembered which repository of a registry has a blob.
const PLACES: &str = "repository of a blob";

fn place(registry: &str, blob: &Digest) -> String {
    format!("{registry} {blob}")
}

/// Remembers that the repository of `name` has a blob: its registry need not be sent it again.
pub fn remember_place(store: &Store, name: &ImageRef, blob: &Digest) {
    let repository = name.repository.as_bytes();
    // What is forgotten is sent once more.
    let _ = store.set_memo(PLACES, &place(&name.registry, blob), repository);
}

/// Another repository of the registry of `name` that had a blob.
fn known_place(store: &Store, name: &ImageRef, blob: &Digest) -> Option<String> {
    let known = store.memo(PLACES, &place(&name.registry, blob)).ok()??;
    String::from_utf8(known).ok()
}

/// Sends an image or index, whose blobs are all in the store, to the registry of `name`.
pub fn send(
    images: &Images,
    name: &ImageRef,
    root: &Descriptor,
    progress: &Progress,
) -> Result<(), Failure> {
    let task = progress.task(format!("[export] pushing {}", name.familiar()));
    let sent = std::sync::Mutex::new(std::collections::HashMap::<String, u64>::new());
    let on_event = |blob: &Descriptor, event: PushEvent| {
        if let PushEvent::Done(_) = event {
            remember_place(images.store(), name, &blob.digest);
        }
        if let PushEvent::Sent(bytes) = event {
            let item = blob.digest.hex()[..12].to_owned();
            let mut sent = sent
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let done = sent.entry(item.clone()).or_default();
            *done += bytes;
            task.advance(&item, *done, blob.size);
        }
    };
    match images.registries().push(
        name,
        root,
        &images.store().blobs(),
        AT_ONCE,
        &|blob| known_place(images.store(), name, &blob.digest),
        &on_event,
    ) {
        Ok(()) => {
            task.done();
            Ok(())
        }
        Err(error) => {
            let failure = Failure::from_error(Class::System, &error).help(format!(
                "is {} reachable, and are you logged in (`docker login`)?",
                name.registry
            ));
            task.failed(&failure.title);
            Err(failure)
        }
    }
}
