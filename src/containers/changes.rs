//! What a container changed in its image's files.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use cache::{Layer, Store, StoredContainer, Stub, View};
use executor::monitor::Status;

use super::document::Document;
use super::find;
use crate::home::store_failure;
use crate::report::Failure;

/// What every container has mounted; an image without these directories gets them only for that.
const STANDARD: [&str; 3] = ["dev", "proc", "sys"];

/// The tree of a container's image.
pub fn below(store: &Store, row: &StoredContainer) -> Result<View, Failure> {
    let layers = row.stack.iter().map(|id| store.layer(id));
    let layers = layers
        .collect::<Result<Vec<Arc<Layer>>, _>>()
        .map_err(|error| store_failure(&error))?;
    Ok(View::new(layers))
}

/// What it wrote on top of `below`, without the names that were made for mounts.
pub fn own(store: &Store, row: &StoredContainer, below: &View) -> Result<Layer, Failure> {
    without(store, row, below, &HashSet::new())
}

/// As [`own`], with the directories of its volumes: as docker shows it.
pub fn shown(store: &Store, row: &StoredContainer, below: &View) -> Result<Layer, Failure> {
    let document: Document = find::document(store, row)?;
    let points = document.mounts.iter().map(|point| &point.destination);
    let mut kept: HashSet<String> = HashSet::new();
    for target in points.chain(document.host_config.tmpfs.keys()) {
        // The directories around a mount point were made with it.
        let mut path = target.trim_matches('/');
        while !path.is_empty() {
            kept.insert(path.to_owned());
            path = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        }
    }
    without(store, row, below, &kept)
}

fn without(
    store: &Store,
    row: &StoredContainer,
    below: &View,
    kept: &HashSet<String>,
) -> Result<Layer, Failure> {
    let status: Status = find::status(store, row)?;
    let folder = find::folder(store, row);
    let mut stubs: Vec<Stub> = status
        .stubs
        .into_iter()
        .filter(|stub| !kept.contains(&stub.path))
        .map(|stub| Stub {
            path: stub.path.into_bytes(),
            inode: stub.inode,
        })
        .collect();
    stubs.extend(STANDARD.iter().filter_map(|name| {
        let found = std::fs::symlink_metadata(folder.join("fs").join(name)).ok()?;
        Some(Stub {
            path: name.as_bytes().to_vec(),
            inode: found.ino(),
        })
    }));
    store
        .upper(&folder, below, &stubs)
        .map_err(|error| store_failure(&error))
}
