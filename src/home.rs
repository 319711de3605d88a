//! Where the store is, and opening it.

use std::path::PathBuf;

use cache::{Store, StoreError, StoreOptions};

use crate::report::{Class, Failure};

/// The state directory of this user: `--root` or `RBUILD_ROOT`, else /var/lib/rbuild for root and
/// `$XDG_DATA_HOME/rbuild` for everybody else.
pub fn root(asked: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(root) = asked {
        return std::path::absolute(&root).map_err(|error| {
            Failure::from_error(Class::System, &error).help("give --root an absolute path")
        });
    }
    if executor::namespace::is_root() {
        return Ok("/var/lib/rbuild".into());
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("rbuild"))
        .ok_or_else(|| {
            Failure::new(Class::System, "there is no place for the store: HOME is not set")
                .help("set HOME, or give --root DIR")
        })
}

/// Opens the store, made when missing.
pub fn open(root: PathBuf) -> Result<Store, Failure> {
    Store::open(StoreOptions::new(root)).map_err(|error| store_failure(&error))
}

/// What people are told of a store's error.
pub fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::from_error(Class::System, error);
    match error.cure() {
        Some(cure) => failure.help(cure),
        None => failure,
    }
}
