//! `type=registry`, `push=true` and `--push`: the image goes where its name says.

use image::registry::PushEvent;

use super::{Export, Written};
use crate::cli::value::Output;
use crate::report::{Class, Failure};

/// Blobs that are sent at once.
const AT_ONCE: usize = 4;

/// Packs the image and sends what the registry does not have.
pub fn write(export: &Export<'_>, output: &Output) -> Result<Written, Failure> {
    let names = export.names_of(output)?;
    if names.is_empty() {
        return Err(Failure::new(Class::Yours, "a push needs a name").help("give one with -t"));
    }
    let (descriptor, config) = export.documents(output, output.oci_mediatypes == Some(false))?;
    for name in &names {
        push(export, name, &descriptor)?;
    }
    Ok(Written {
        descriptor: Some(descriptor),
        config,
    })
}

fn push(
    export: &Export<'_>,
    name: &image::ImageRef,
    root: &image::Descriptor,
) -> Result<(), Failure> {
    let task = export
        .progress
        .task(format!("[export] pushing {}", name.familiar()));
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
    match export.images.registries().push(
        name,
        root,
        &export.store().blobs(),
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
