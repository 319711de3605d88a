//! What a container has of other containers: their namespaces and their volumes. Names become ids
//! here, so that a container that is renamed is found all the same.

use cache::Store;

use super::document::{Document, MountKind};
use super::mounts::Wanted;
use super::{ENGINE, find};
use crate::report::Failure;

/// Makes `container:NAME` of modes `container:ID`.
pub fn join(store: &Store, document: &mut Document) -> Result<(), Failure> {
    let host = &mut document.host_config;
    for mode in [
        &mut host.network_mode,
        &mut host.ipc_mode,
        &mut host.pid_mode,
    ] {
        if let Some(name) = mode.strip_prefix("container:") {
            let id = find::row(store, name)?.id;
            let resolved = format!("container:{id}");
            if let Some(endpoint) = document.networks.remove(mode.as_str()) {
                document.networks.insert(resolved.clone(), endpoint);
            }
            *mode = resolved;
        }
    }
    Ok(())
}

/// Adds the mounts of `--volumes-from` that nothing else is mounted over.
pub fn volumes_from(
    store: &Store,
    document: &Document,
    mounts: &mut Vec<Wanted>,
) -> Result<(), Failure> {
    for text in document.host_config.volumes_from.iter().flatten() {
        let (name, mode) = text.split_once(':').unwrap_or((text, ""));
        let readonly = match mode {
            "" | "rw" | "z" | "Z" => false,
            "ro" => true,
            _ => return Err(Failure::new(ENGINE, format!("invalid mode: {mode}"))),
        };
        let other = find::document(store, &find::row(store, name)?)?;
        for mut point in other.mounts {
            let taken = mounts
                .iter()
                .position(|wanted| wanted.point.destination == point.destination);
            match taken {
                // Where nobody said which volume, it is the other container's.
                Some(at) if mounts[at].is_unnamed() => drop(mounts.remove(at)),
                Some(_) => continue,
                None => {}
            }
            if point.kind == MountKind::Tmpfs {
                continue;
            }
            point.rw &= !readonly;
            mounts.push(Wanted {
                point,
                no_copy: true,
                ..Wanted::default()
            });
        }
    }
    Ok(())
}
