//! Starting a monitor, and looking into the root of a container that has none.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::attached::Attached;
use super::error::MonitorError;
use super::life::Life;
use crate::container::spec::{Mount, RootFs};

/// How whoever starts a container hears it from its first byte.
#[derive(Debug, Clone, Copy)]
pub struct Attach {
    /// Whether he may talk to it too.
    pub stdin: bool,
    /// Size of his terminal, in rows and columns.
    pub size: Option<(u16, u16)>,
}

/// A container that was started.
#[derive(Debug)]
pub struct Started {
    /// The connection asked for.
    pub attached: Option<Attached>,
}

/// Starts the monitor of `life`, which starts the container; comes back when the container's program
/// was executed. `joined` are the namespaces that the spec names by index. Call it inside the
/// namespace that [`namespace::enter`](crate::namespace::enter) gives.
///
/// # Errors
/// Why it could not be started; then no process is left, and the status says it too.
pub fn start(
    life: &Life,
    joined: Vec<OwnedFd>,
    attach: Option<Attach>,
) -> Result<Started, MonitorError> {
    let _ = (life, joined, attach);
    todo!()
}

/// The root of a container that does not run, mounted for this process alone as long as this lives.
#[derive(Debug)]
pub struct Held {
    /// `/`, as the container would see it. Open what is below with openat2(2) and `RESOLVE_IN_ROOT`.
    pub root: OwnedFd,
}

/// Mounts the root of a container that does not run, with `mounts` in it (volumes and host paths).
///
/// # Errors
/// Why it could not be mounted.
pub fn hold_root(
    store_root: &Path,
    root: &RootFs,
    mounts: &[Mount],
    host_sources: &[PathBuf],
) -> Result<Held, MonitorError> {
    let _ = (store_root, root, mounts, host_sources);
    todo!()
}
