//! The files of a container as it sees them, whether it runs or not.

use cache::{Store, StoredContainer};
use executor::container::spec::{Mount, MountSource};
use executor::monitor::{Held, MonitorError, hold_root};

use super::{find, rootfs};
use crate::copy::Side;
use crate::report::Failure;

/// A container's root, open.
#[derive(Debug)]
pub struct Root {
    /// Its files.
    pub side: Side,
    /// What keeps them mounted.
    _held: Option<Held>,
}

/// Opens the root of a container: that of its processes, or one of its own with its volumes.
pub fn open(store: &Store, row: &StoredContainer) -> Result<Root, Failure> {
    find::status(store, row)?;
    if let Some(mut control) = find::control(store, row)? {
        match control.root() {
            Ok(root) => {
                return Ok(Root {
                    side: Side::new(root),
                    _held: None,
                });
            }
            // It ended just now, or waits to be started again.
            Err(MonitorError::NotRunning | MonitorError::Ended) => {}
            Err(error) => return Err(find::monitor_failure(&error)),
        }
    }
    let document = find::document(store, row)?;
    let root = rootfs::root(store, row, &document)?;
    let (mounts, sources) = rootfs::mounts(store, row, &document)?;
    // Memory is empty, and the files about the network are written when it starts.
    let own = |mount: &Mount| {
        let targets = document.mounts.iter().map(|point| &point.destination);
        !matches!(mount.source, MountSource::Tmpfs { .. })
            && targets.into_iter().any(|target| *target == mount.target)
    };
    let mounts: Vec<Mount> = mounts.into_iter().filter(own).collect();
    let held = hold_root(store.root(), &root, &mounts, &sources)
        .map_err(|error| find::monitor_failure(&error))?;
    let copy = held.root.try_clone();
    let root = copy.map_err(|error| Failure::from_error(crate::report::Class::System, &error))?;
    Ok(Root {
        side: Side::new(root),
        _held: Some(held),
    })
}
