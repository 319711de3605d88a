//! Containers by the words that people write, and what is said of those that are not there.

use std::path::PathBuf;

use cache::{ContainerRowError, Store, StoredContainer, VolumeError};
use executor::monitor::{Control, Status};

use super::document::Document;
use crate::home::store_failure;
use crate::report::{Class, Failure};

/// The row of the container with this name, id or beginning of an id.
pub fn row(store: &Store, text: &str) -> Result<StoredContainer, Failure> {
    store.container(text).map_err(|error| failure(&error))
}

/// The description of a container.
pub fn document(store: &Store, row: &StoredContainer) -> Result<Document, Failure> {
    Document::read(&folder(store, row))
}

/// The folder of a container.
pub fn folder(store: &Store, row: &StoredContainer) -> PathBuf {
    store.container_dir(&row.id)
}

/// How a container is. Where its monitor died without a word, that is written down and said.
pub fn status(store: &Store, row: &StoredContainer) -> Result<Status, Failure> {
    let (status, died) = Status::settled(&folder(store, row)).map_err(|error| {
        let mut failure = Failure::new(
            Class::System,
            format!("cannot read how container {} is", row.name),
        );
        failure.causes = vec![error.to_string()];
        failure
    })?;
    if died {
        crate::report::note(&format!(
            "note: the monitor of container {} ({}) was killed, and the container with it; it counts as exited with 137",
            row.name,
            row.short_id()
        ));
        // what it left does no harm, and the next one tries again
        let _ = crate::networks::sweep(store);
    }
    Ok(status)
}

/// The monitor of a container; none when there is none, because it does not run.
pub fn control(store: &Store, row: &StoredContainer) -> Result<Option<Control>, Failure> {
    Control::connect(&folder(store, row)).map_err(|error| monitor_failure(&error))
}

/// What is said of a container that is not there, or cannot be made.
pub fn failure(error: &ContainerRowError) -> Failure {
    match error {
        ContainerRowError::Store(error) => store_failure(error),
        error => Failure::new(Class::Refused, error.to_string()),
    }
}

/// What is said of a volume that is not there, or cannot be made.
pub fn volume_failure(error: &VolumeError) -> Failure {
    match error {
        VolumeError::Store(error) => store_failure(error),
        error => Failure::new(Class::Refused, error.to_string()),
    }
}

/// What is said when a monitor does not do what it was asked.
pub fn monitor_failure(error: &executor::monitor::MonitorError) -> Failure {
    let class = error
        .exit_status()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(Class::Refused, Class::Container);
    Failure::from_error(class, error)
}
