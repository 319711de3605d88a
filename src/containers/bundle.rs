//! `config.json` in the folder of a container: what it is, in the words of the OCI runtime
//! specification, for people, hooks and other runtimes. rbuild itself does not read it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use cache::{Store, StoredContainer, View};
use executor::container::describe::{self, About};
use executor::container::{ContainerError, ContainerSpec};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::document::Document;
use super::{changes, find};
use crate::report::Failure;

/// The file's name.
const FILE: &str = "config.json";
/// Most that is read of a file of users or groups.
const USER_FILE: u64 = 1 << 20;

/// Writes it. A container that cannot be described, since its user is nobody, say, cannot be started
/// either, and that says why.
pub fn write(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
    spec: &ContainerSpec,
    joined: &[PathBuf],
) -> Result<(), Failure> {
    let about = About {
        store: store.root(),
        joined,
        hooks: &document.hooks,
        annotations: &document.host_config.annotations,
    };
    let folder = find::folder(store, row);
    let mut places: Vec<PathBuf> = vec![folder.join("fs")];
    let lower = spec.root.lower.iter().rev();
    places.extend(lower.map(|layer| store.root().join(layer)));
    let mut view = None;
    let mut read = |path: &str| {
        let path = path.trim_start_matches('/');
        let file = match found(&places, path) {
            Found::File(file) => Some(file),
            Found::Nowhere => None,
            Found::Hidden => of_image(store, row, path, &mut view),
        };
        let mut bytes = Vec::new();
        // one that cannot be read is told when it is started
        let _ = file.map(|file| file.take(USER_FILE).read_to_end(&mut bytes));
        Ok::<_, ContainerError>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let Ok(text) = describe::document(spec, &about, &mut read) else {
        return Ok(());
    };
    let path = folder.join(FILE);
    std::fs::write(&path, text).map_err(|error| crate::export::unwritable(&path, &error))
}

/// A file of a few layers, as far as that can be told without their indexes.
enum Found {
    File(File),
    Nowhere,
    /// Behind a link, a deletion or the like.
    Hidden,
}

/// Looks for a file in the container's own changes and in its layers, the topmost first.
fn found(places: &[PathBuf], path: &str) -> Found {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    for place in places {
        let layer = rustix::fs::openat(CWD, place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let Ok(layer) = layer else {
            return Found::Hidden;
        };
        match rustix::fs::openat2(&layer, path, flags, Mode::empty(), resolve) {
            Ok(file) => {
                let file = File::from(file);
                let is_file = file.metadata().is_ok_and(|found| found.is_file());
                return if is_file {
                    Found::File(file)
                } else {
                    Found::Hidden
                };
            }
            Err(Errno::NOENT) if !is_opaque(&place.join(path)) => {}
            Err(_) => return Found::Hidden,
        }
    }
    Found::Nowhere
}

/// Whether the directory of a file hides what is below it in other layers.
fn is_opaque(path: &Path) -> bool {
    let Some(directory) = path.parent() else {
        return true;
    };
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| {
            let mut value = [0; 8];
            rustix::fs::lgetxattr(directory, *name, &mut value[..]).is_ok()
        })
}

/// A file of its image.
fn of_image(
    store: &Store,
    row: &StoredContainer,
    path: &str,
    view: &mut Option<View>,
) -> Option<File> {
    if view.is_none() {
        *view = changes::below(store, row).ok();
    }
    view.as_ref()?.open(path.as_bytes()).ok().flatten()
}
