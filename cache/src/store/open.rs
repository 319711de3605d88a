//! Opening: the checks on every opening, and the probes of the first.

use std::fs::{DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::flavour::{Body, FORMAT, Header};
use super::spread::spread;
use super::staging::random_name;
use super::{Flavour, Inner, Store, StoreError, StoreOptions, Xattrs, flavour, probe, remove};
use crate::database::Database;

/// The directories of a store; `store.json` is made after them, so a store that has it has them.
const DIRECTORIES: [&str; 9] = [
    "blobs/sha256",
    "layers/v1",
    "contexts/v1",
    "listings/v1",
    "mounts/v1",
    "builds",
    "containers",
    "volumes",
    "tmp",
];

/// Those of them in which one directory after the other is made, and files in those.
const SPREAD: [&str; 4] = ["mounts/v1", "containers", "volumes", "tmp"];

/// What `store.json` is called while it is written.
const SCRATCH: &str = "store.json.new";

pub(super) fn open(options: StoreOptions) -> Result<Store, StoreError> {
    let root = std::path::absolute(&options.root).map_err(StoreError::io("find", &options.root))?;
    let json = root.join("store.json");
    check_root(&root)?;
    let body = match known(&root, &json)? {
        Some(body) => {
            check_mode(&root)?;
            body
        }
        None => make(&root, &json)?,
    };
    let body = check_flavour(&root, &json, body, options.id_map)?;
    let rows = root.join("records.sqlite");
    let database = match Database::open(rows.clone()) {
        Err(error) if error.is_full() => {
            // Without room for its log the database does not even open, and nothing could be pruned.
            crate::ballast::release(&root.join("ballast"))?;
            Database::open(rows)?
        }
        other => other?,
    };
    let store = Store {
        inner: Arc::new(Inner {
            root,
            flavour: body.flavour,
            probed: body.probe,
            database,
            before_work: options.before_work,
            owner: Mutex::default(),
            loaded: Mutex::default(),
            pinned: crate::pins::Held::default(),
            verdicts: crate::suspects::Verdicts::default(),
            amends: Mutex::default(),
            sweeper: Mutex::default(),
        }),
    };
    if let Some(sweeper) = store.sweep_aside() {
        *store
            .inner
            .sweeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(sweeper);
    }
    Ok(store)
}

/// Makes sure that the root is a directory of ours.
fn check_root(root: &Path) -> Result<(), StoreError> {
    let meta = match std::fs::metadata(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root)
                .map_err(StoreError::io("make", root))?;
            return Ok(());
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(StoreError::NotADirectory {
                root: root.to_owned(),
            });
        }
        other => other.map_err(StoreError::io("open", root))?,
    };
    if !meta.is_dir() {
        return Err(StoreError::NotADirectory {
            root: root.to_owned(),
        });
    }
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user {
        return Err(StoreError::Owner {
            root: root.to_owned(),
            owner: meta.uid(),
            user,
        });
    }
    Ok(())
}

/// Bits of a mode that speak of the group and of others.
const OTHERS: u32 = 6;

fn check_mode(root: &Path) -> Result<(), StoreError> {
    let mode = std::fs::metadata(root)
        .map_err(StoreError::io("open", root))?
        .mode()
        & 0o7777;
    if mode.trailing_zeros() >= OTHERS {
        return Ok(());
    }
    Err(StoreError::Mode {
        root: root.to_owned(),
        mode,
    })
}

/// What `store.json` says, if it is there and of our format.
fn known(root: &Path, json: &Path) -> Result<Option<Body>, StoreError> {
    match flavour::read(json)? {
        None => Ok(None),
        Some(Header { format, .. }) if format != FORMAT => Err(StoreError::Version {
            path: root.to_owned(),
            found: format,
            known: FORMAT,
        }),
        Some(Header { body: None, .. }) => Err(StoreError::Damaged {
            path: json.to_owned(),
            reason: "it does not say what the store was made for".to_owned(),
        }),
        Some(Header { body, .. }) => Ok(body),
    }
}

/// Makes a store in `root`. Another process may be doing the same: what both make is the same.
fn make(root: &Path, json: &Path) -> Result<Body, StoreError> {
    let entries = std::fs::read_dir(root).map_err(StoreError::io("list", root))?;
    for entry in entries {
        let name = entry.map_err(StoreError::io("list", root))?.file_name();
        let ours = DIRECTORIES
            .iter()
            .any(|dir| Path::new(dir).starts_with(&name))
            || ["leases", "ballast", "store.json", SCRATCH]
                .iter()
                .any(|file| name == *file)
            || name
                .as_encoded_bytes()
                .starts_with(crate::ballast::SPARE.as_bytes())
            // With the journals that are there while somebody else makes it.
            || name.as_encoded_bytes().starts_with(b"records.sqlite");
        if !ours {
            return Err(StoreError::NotEmpty {
                root: root.to_owned(),
                entry: name.to_string_lossy().into_owned(),
            });
        }
    }
    std::fs::set_permissions(root, Permissions::from_mode(0o700))
        .map_err(StoreError::io("change the mode of", root))?;
    for dir in DIRECTORIES {
        let path = root.join(dir);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(StoreError::io("make", &path))?;
    }
    for dir in SPREAD {
        spread(&root.join(dir));
    }
    // One makes it; who waited finds it made.
    let _alone = alone(root)?;
    if let Some(body) = known(root, json)? {
        return Ok(body);
    }
    let xattrs = Xattrs::of_this_process();
    let scratch = root.join("tmp").join(random_name());
    let probed = probe::files(root, &scratch, xattrs).and_then(|mut probed| {
        if xattrs == Xattrs::Trusted {
            probe::overlay(root, &scratch, xattrs)?;
            probed.overlay = Some(probe::kernel());
        }
        Ok(probed)
    });
    remove::tree(&scratch)?;
    let body = Body {
        flavour: Flavour {
            xattrs,
            id_map: None,
            uid: rustix::process::geteuid().as_raw(),
        },
        probe: probed?,
    };
    crate::ballast::fill(&root.join("ballast"))?;
    // SQLite lets only one process turn the log on, and the others fail instead of waiting.
    Database::open(root.join("records.sqlite"))?;
    save(root, json, &body)?;
    Ok(body)
}

/// Makes sure that nobody else makes or changes `store.json`, until the answer is dropped.
fn alone(root: &Path) -> Result<File, StoreError> {
    let path = root.join("leases");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io("make", &path))?;
    file.lock().map_err(StoreError::io("lock", &path))?;
    Ok(file)
}

/// Writes `store.json`; the caller is [`alone`].
fn save(root: &Path, json: &Path, body: &Body) -> Result<(), StoreError> {
    let scratch = root.join(SCRATCH);
    flavour::write(json, &scratch, body).inspect_err(|_| {
        let _ = std::fs::remove_file(&scratch);
    })
}

/// Refuses a store of another flavour; notes the id map of who is the first to know it.
fn check_flavour(
    root: &Path,
    json: &Path,
    mut body: Body,
    id_map: Option<String>,
) -> Result<Body, StoreError> {
    let wanted = Flavour {
        xattrs: Xattrs::of_this_process(),
        id_map: id_map.or_else(|| body.flavour.id_map.clone()),
        uid: body.flavour.uid,
    };
    let other_map = body.flavour.id_map.is_some() && body.flavour.id_map != wanted.id_map;
    if body.flavour.xattrs != wanted.xattrs || other_map {
        return Err(StoreError::Flavour {
            root: root.to_owned(),
            found: body.flavour.describe(),
            wanted: wanted.describe(),
        });
    }
    if body.flavour.id_map != wanted.id_map {
        let _alone = alone(root)?;
        body.flavour = wanted;
        save(root, json, &body)?;
    }
    Ok(body)
}

pub(super) fn probe_overlay(store: &Store) -> Result<(), StoreError> {
    let kernel = probe::kernel();
    if store.probed().overlay.as_ref() == Some(&kernel) {
        return Ok(());
    }
    let scratch = store.staging("probe")?;
    probe::overlay(store.root(), scratch.path(), store.flavour().xattrs)?;
    let _alone = alone(store.root())?;
    let mut body = Body {
        flavour: store.flavour().clone(),
        probe: store.probed().clone(),
    };
    body.probe.overlay = Some(kernel);
    save(store.root(), &store.root().join("store.json"), &body)
}
