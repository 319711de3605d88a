//! A root directory, and paths that cannot leave it: links are followed inside.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::CopyError;

/// The files that one end of a copy can reach.
#[derive(Debug)]
pub struct Side {
    root: OwnedFd,
}

impl Side {
    /// The tree below an open directory.
    pub const fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    /// The host's own.
    ///
    /// # Errors
    /// As open(2).
    pub fn host() -> Result<Self, CopyError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty());
        root.map(Self::new).map_err(CopyError::io("open", b"/"))
    }

    /// Opens what is at `path`.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, CopyError> {
        open(
            self.root.as_fd(),
            path.as_bytes(),
            flags,
            ResolveFlags::IN_ROOT,
        )
        .map_err(CopyError::io("open", path.as_bytes()))
    }

    /// Opens the directory at `path`, for what is to be made in it.
    ///
    /// # Errors
    /// As openat2(2).
    pub fn dir(&self, path: &str) -> Result<OwnedFd, CopyError> {
        self.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// What is at `path`; none if nothing is. A link at its end is followed only if `follow`.
    ///
    /// # Errors
    /// As openat2(2), but for what is not there.
    pub fn stat(&self, path: &str, follow: bool) -> Result<Option<Stat>, CopyError> {
        let mut flags = OFlags::PATH;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let root = self.root.as_fd();
        match open(root, path.as_bytes(), flags, ResolveFlags::IN_ROOT) {
            Ok(found) => rustix::fs::fstat(found).map(Some),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
        .map_err(CopyError::io("look at", path.as_bytes()))
    }
}

/// openat2(2), again when a rename or a signal comes between.
pub(super) fn open(
    dir: impl AsFd,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    loop {
        let dir = dir.as_fd();
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// How names below an open directory are resolved that no link may be part of.
pub(super) const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
