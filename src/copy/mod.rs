//! Files carried between a container and the host, as a stream of a tar: what `cp` does. Knows roots
//! and paths in them, and neither containers nor the store.
//!
//! - [`mod@rule`]: what goes where, as cp(1) and docker have it
//! - [`side`]: a root directory, and paths that cannot leave it
//! - [`mod@pack`]: a tree to a tar
//! - [`mod@place`]: a tar to a tree

pub mod pack;
pub mod place;
pub mod rule;
pub mod side;

use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;

pub use pack::pack;
pub use place::{Owners, place};
pub use rule::{Source, There, rule};
pub use side::Side;

/// Why files could not be carried.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path, seen from the root it is in.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The tar is none, or ends too early.
    #[error("the tar cannot be read")]
    Tar(#[from] image::tar::TarError),
    /// A name in the tar leads out of the directory that it is unpacked in.
    #[error("the tar has a path that leads out of the directory: {0}")]
    Out(String),
    /// A file is in the way of a directory.
    #[error("cannot overwrite non-directory \"{0}\" with a directory")]
    FileInTheWay(String),
    /// A directory is in the way of a file.
    #[error("cannot overwrite directory \"{0}\" with a non-directory")]
    DirectoryInTheWay(String),
    /// The thread that reads is gone.
    #[error("the reader of the files panicked")]
    Panicked,
}

impl CopyError {
    fn io(action: &'static str, path: &[u8]) -> impl FnOnce(rustix::io::Errno) -> Self + use<> {
        use std::os::unix::ffi::OsStrExt;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        move |errno| Self::Io {
            action,
            path,
            source: errno.into(),
        }
    }
}

/// Copies what is at `path` of one side into the directory `dir` of the other, under `name`; what is
/// in the directory `path`, when the name is empty.
///
/// # Errors
/// What could not be read or written; what was written before that stays.
pub fn copy(
    from: &Side,
    path: &str,
    follow: bool,
    to: &Side,
    (dir, name): (&str, &[u8]),
    owners: Owners,
) -> Result<(), CopyError> {
    let pipe = || {
        std::io::pipe().map_err(|error| CopyError::Io {
            action: "open a pipe for",
            path: path.into(),
            source: error,
        })
    };
    let (read, write) = pipe()?;
    let dir = to.dir(dir)?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut out = BufWriter::with_capacity(1 << 18, write);
            pack(from, path, follow, name, &mut out)?;
            out.flush().map_err(|error| CopyError::Io {
                action: "read",
                path: path.into(),
                source: error,
            })
        });
        // The reader goes with the call, so that nobody waits for it.
        let placed = place(BufReader::with_capacity(1 << 18, read), &dir, owners);
        let packed = packing.join().unwrap_or(Err(CopyError::Panicked));
        match (packed, placed) {
            // A tar that ends early does so because of this; a pipe breaks because of the other.
            (Err(error), Err(CopyError::Tar(_)) | Ok(())) | (Ok(()), Err(error)) => Err(error),
            (Err(_), Err(error)) => Err(error),
            (Ok(()), Ok(())) => Ok(()),
        }
    })
}
