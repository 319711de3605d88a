//! Images to registries: what a registry does not have, with progress.

use image::registry::PushEvent;

use super::Images;
use crate::progress::Progress;
use crate::report::{Class, Failure};

/// Blobs that are sent at once.
const AT_ONCE: usize = 4;

/// Sends an image or index, whose blobs are all in the store, to the registry of `name`.
pub fn send(
    images: &Images,
    name: &image::ImageRef,
    root: &image::Descriptor,
    progress: &Progress,
) -> Result<(), Failure> {
    let task = progress.task(format!("[export] pushing {}", name.familiar()));
    let sent = std::sync::Mutex::new(std::collections::HashMap::<String, u64>::new());
    let on_event = |blob: &image::Descriptor, event: PushEvent| {
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
        &|_| None,
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
