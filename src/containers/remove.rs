//! Removing a container, and the volumes that nobody named.

use cache::{Store, StoredContainer};
use executor::monitor::{Lock, State};

use super::find;
use crate::home::store_failure;
use crate::report::{Class, Failure};

/// Removes a container. One that runs is killed first when `force`, and refused otherwise. With
/// `volumes` its unnamed volumes go too.
pub fn remove(
    store: &Store,
    row: &StoredContainer,
    force: bool,
    volumes: bool,
) -> Result<(), Failure> {
    let folder = find::folder(store, row);
    if folder.exists() {
        let status = find::status(store, row)?;
        if status.state.is_live() {
            if !force {
                let first = match status.state {
                    State::Paused => "Unpause and then stop",
                    _ => "Stop",
                };
                return Err(Failure::new(
                    Class::Refused,
                    format!(
                        "You cannot remove a {} container {}. {first} the container before attempting removal or force remove",
                        status.state.name(),
                        row.id
                    ),
                )
                .help("`rbuild stop` it, or `rbuild rm -f`"));
            }
            end(store, row)?;
        }
    }
    let anonymous = if volumes {
        let used = store
            .volumes_of(&row.id)
            .map_err(|error| store_failure(&error))?;
        used.into_iter().filter(|volume| volume.anonymous).collect()
    } else {
        Vec::new()
    };
    store
        .remove_container(&row.id)
        .map_err(|error| store_failure(&error))?;
    for volume in anonymous {
        match store.remove_volume(&volume.name) {
            // Another container has it too, or somebody else was faster.
            Ok(()) | Err(cache::VolumeError::Used { .. } | cache::VolumeError::Unknown(_)) => {}
            Err(error) => return Err(find::volume_failure(&error)),
        }
    }
    Ok(())
}

/// Removes a container that has just ended, once its monitor is gone, and its unnamed volumes.
pub fn remove_ended(store: &Store, row: &StoredContainer) -> Result<(), Failure> {
    match Lock::wait(&find::folder(store, row)) {
        Ok(lock) => drop(lock),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::from_error(Class::System, &error)),
    }
    remove(store, row, true, true)
}

/// Kills a container, and waits until its monitor is gone.
fn end(store: &Store, row: &StoredContainer) -> Result<(), Failure> {
    if let Some(control) = find::control(store, row)? {
        match control.stop(Some(9), Some(0)) {
            // It ended by itself meanwhile.
            Ok(())
            | Err(
                executor::monitor::MonitorError::Ended
                | executor::monitor::MonitorError::NotRunning,
            ) => {}
            Err(error) => return Err(find::monitor_failure(&error)),
        }
    }
    Lock::wait(&find::folder(store, row))
        .map(drop)
        .or_else(|error| match error.kind() {
            // `--rm` was faster.
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(Failure::from_error(Class::System, &error)),
        })
}
