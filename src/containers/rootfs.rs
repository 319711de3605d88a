//! The files that a container is started with: its layers, and what is mounted on them. Mounts nothing.

use std::path::{Path, PathBuf};

use cache::{Store, StoredContainer};
use executor::container::spec::{Mount, MountSource, Propagation, RootFs, Upper};

use super::document::{Document, MountKind, MountPoint};
use super::{changes, find, mounts, network};
use crate::report::{Class, Failure};

/// The container's folder, relative to the store's root.
pub fn relative(store: &Store, row: &StoredContainer) -> PathBuf {
    let folder = find::folder(store, row);
    let relative = folder.strip_prefix(store.root()).map(Path::to_owned);
    relative.unwrap_or(folder)
}

/// The container's root: its layers, and what it changes.
pub fn root(store: &Store, row: &StoredContainer, document: &Document) -> Result<RootFs, Failure> {
    let folder = relative(store, row);
    let lower = store
        .layer_dirs(&row.stack)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(RootFs {
        lower,
        upper: Some(Upper {
            fs: folder.join("fs"),
            work: folder.join("work"),
        }),
        volatile: false,
        readonly: document.host_config.readonly_rootfs,
    })
}

/// The mounts in the order in which they are made, and the paths of the host among them.
pub fn mounts(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
) -> Result<(Vec<Mount>, Vec<PathBuf>), Failure> {
    let mut mounts = Vec::new();
    let mut sources = Vec::new();
    for point in &document.mounts {
        let source = source(store, point)?;
        if let MountSource::Host(path) = &source {
            sources.push(path.clone());
        }
        let memory = point.memory.unwrap_or_default();
        let is_memory = point.kind == MountKind::Tmpfs;
        mounts.push(Mount {
            target: point.destination.clone(),
            source,
            readonly: !point.rw,
            nosuid: is_memory && !memory.suid,
            noexec: is_memory && !memory.exec,
            propagation: match point.propagation.trim_start_matches('r') {
                "shared" => Propagation::Shared,
                "slave" => Propagation::Slave,
                _ => Propagation::Private,
            },
        });
    }
    for (target, options) in &document.host_config.tmpfs {
        let (memory, readonly) = mounts::memory(options)?;
        mounts.push(Mount {
            target: target.clone(),
            source: MountSource::Tmpfs {
                size: memory.size,
                mode: mode_over(store, row, target, memory.mode)?,
                uid: memory.uid,
                gid: memory.gid,
            },
            readonly,
            nosuid: !memory.suid,
            noexec: !memory.exec,
            propagation: Propagation::Private,
        });
    }
    let of = match document.host_config.network_mode.strip_prefix("container:") {
        // Who shares a network shares what says so.
        Some(other) => find::row(store, other)?,
        None => row.clone(),
    };
    for name in network::FILES {
        let target = format!("/etc/{name}");
        if mounts.iter().all(|mount| mount.target != target) {
            mounts.push(Mount {
                target,
                source: MountSource::Store(relative(store, &of).join(name)),
                readonly: document.host_config.readonly_rootfs,
                nosuid: false,
                noexec: false,
                propagation: Propagation::Private,
            });
        }
    }
    // What is mounted inside another mount comes after it.
    mounts.sort_by_key(|mount| mount.target.matches('/').count());
    Ok((mounts, sources))
}

fn source(store: &Store, point: &MountPoint) -> Result<MountSource, Failure> {
    Ok(match point.kind {
        MountKind::Bind => MountSource::Host(PathBuf::from(&point.source)),
        MountKind::Tmpfs => {
            let memory = point.memory.unwrap_or_default();
            MountSource::Tmpfs {
                size: memory.size,
                mode: memory.mode,
                uid: memory.uid,
                gid: memory.gid,
            }
        }
        MountKind::Volume => {
            let volume = store
                .volume(&point.name)
                .map_err(|error| find::volume_failure(&error))?;
            let files = store.volume_files(&volume.name);
            let relative = files.strip_prefix(store.root()).map(Path::to_owned);
            MountSource::Store(relative.unwrap_or(files))
        }
    })
}

/// A directory that the image has keeps its mode under a `--tmpfs`, whatever is said: as Docker's
/// runtime does it.
fn mode_over(
    store: &Store,
    row: &StoredContainer,
    target: &str,
    mode: Option<u32>,
) -> Result<Option<u32>, Failure> {
    if mode.is_none() {
        return Ok(None);
    }
    let found = changes::below(store, row)?
        .resolve(target.trim_start_matches('/').as_bytes(), true)
        .map_err(|error| Failure::from_error(Class::System, &error))?;
    Ok(match found {
        cache::Resolved::Entry(_) => None,
        cache::Resolved::Missing(_) => mode,
    })
}
