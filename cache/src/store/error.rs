//! What can go wrong with a store, and what to do about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use image::Digest;

use crate::layer::LayerError;

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A system call on one of its files failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `read`, `make`, `rename` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The rows could not be read or written.
    #[error("cannot {action} in {}", path.display())]
    Database {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// A layer could not be read or made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A store (or its database) that another version of rbuild made.
    #[error("{} has format {found}; this rbuild knows {known}", path.display())]
    Version {
        /// The store or its database.
        path: PathBuf,
        /// What it says it is.
        found: u64,
        /// What this program reads and writes.
        known: u64,
    },
    /// A store that was made with other privileges or another id map.
    #[error("the store {} was made {found}; this rbuild runs {wanted}", root.display())]
    Flavour {
        /// The store.
        root: PathBuf,
        /// What it was made for.
        found: String,
        /// What is needed now.
        wanted: String,
    },
    /// A file system that cannot hold a store.
    #[error("the store {} is on {kind}, which {lacks}", root.display())]
    FileSystem {
        /// The store.
        root: PathBuf,
        /// Name of the file system.
        kind: String,
        /// What it cannot do.
        lacks: &'static str,
    },
    /// The root is there and no directory.
    #[error("the store {} is not a directory", root.display())]
    NotADirectory {
        /// The store.
        root: PathBuf,
    },
    /// The root holds something that is not a store's.
    #[error("{} holds {entry:?} and is not a store", root.display())]
    NotEmpty {
        /// The directory.
        root: PathBuf,
        /// Something in it.
        entry: String,
    },
    /// The root is somebody else's.
    #[error("the store {} belongs to another user ({owner}, as seen by user {user})", root.display())]
    Owner {
        /// The store.
        root: PathBuf,
        /// Who it belongs to.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others could read the root.
    #[error("the store {} has mode {mode:04o}; others may enter it", root.display())]
    Mode {
        /// The store.
        root: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file of the store does not hold what it should.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer that is not in the store.
    #[error("layer {id} is not in the store")]
    NoLayer {
        /// Which.
        id: String,
    },
    /// A blob that is not in the store.
    #[error("blob {digest} is not in the store")]
    NoBlob {
        /// Which.
        digest: Digest,
    },
    /// Bytes that are not what their name says.
    #[error("a blob said to be {expected} is {found}")]
    WrongDigest {
        /// What they were said to be.
        expected: Digest,
        /// What they are.
        found: Digest,
    },
}

impl StoreError {
    /// Wraps a failed system call.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Whether it is that the disk is full.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Layer(LayerError::Io { source, .. }) => matches!(
                source.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ),
            Self::Database { source, .. } => source.sqlite_error().is_some_and(|error| {
                error.code == rusqlite::ErrorCode::DiskFull
                    || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
            }),
            _ => false,
        }
    }

    /// What the user can do about it, where there is something.
    pub fn cure(&self) -> Option<String> {
        Some(match self {
            error if error.is_full() => {
                "free some space: `rbuild prune` works on a full disk too".to_owned()
            }
            Self::Version { found, known, .. } if found > known => {
                "a newer rbuild made it, and it was left alone: use that one, or another store with --root"
                    .to_owned()
            }
            Self::Version { .. } => {
                "it was left alone: use another store with --root, or delete this one".to_owned()
            }
            Self::Flavour { .. } => {
                "give this user a store of its own: --root DIR, or unset RBUILD_ROOT".to_owned()
            }
            Self::FileSystem { .. } => {
                "put the store on a local ext4, xfs, btrfs or tmpfs (in a container: on a volume) with --root DIR"
                    .to_owned()
            }
            Self::NotADirectory { root } => {
                format!("move {} away, or choose another place with --root DIR", root.display())
            }
            Self::NotEmpty { .. } => "choose an empty directory with --root DIR".to_owned(),
            Self::Owner { .. } => "run rbuild as its owner, or use another store with --root DIR".to_owned(),
            Self::Damaged { path, .. } if path.ends_with("store.json") => {
                "restore it from another store of this user, or delete the store with `rbuild system reset`"
                    .to_owned()
            }
            Self::Database { source, .. }
                if matches!(
                    source.sqlite_error_code(),
                    Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
                ) =>
            {
                "its rows cannot be read any more: delete the store with `rbuild system reset`, or use another one with --root DIR"
                    .to_owned()
            }
            Self::Mode { root, .. } => format!("chmod 0700 {}", quoted(root)),
            Self::Io { path, source, .. }
                if matches!(
                    source.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                format!(
                    "make {} writable for this user, or use another store with --root DIR",
                    path.display()
                )
            }
            _ => return None,
        })
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
