//! A root directory, and paths that cannot leave it: links are followed inside.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::CopyError;

/// As many links as the kernel follows.
const MOST_LINKS: u32 = 40;

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

    /// Where a link at the end of `path` leads, and the path itself if there is none: what is copied
    /// onto a link goes where it leads, there or not. Only a path: it is looked up again below the root.
    ///
    /// # Errors
    /// As openat2(2), but for what is not there.
    pub fn followed(&self, path: &str) -> Result<String, CopyError> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let bare = path.trim_end_matches('/');
            let is_link = |stat: Stat| {
                rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink
            };
            if path.ends_with("/.") || !self.stat(bare, false)?.is_some_and(is_link) {
                return Ok(path);
            }
            let link = self.open(bare, OFlags::PATH | OFlags::NOFOLLOW)?;
            let target = rustix::fs::readlinkat(&link, "", Vec::new())
                .map_err(CopyError::io("read", bare.as_bytes()))?;
            let Ok(target) = target.into_string() else {
                return Ok(path);
            };
            let slash = &path[bare.len()..];
            path = match bare.rsplit_once('/') {
                Some((above, _)) if !target.starts_with('/') => format!("{above}/{target}{slash}"),
                _ => format!("{target}{slash}"),
            };
        }
        Err(CopyError::io("follow", path.as_bytes())(Errno::LOOP))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_at_the_end_of_a_path_are_followed_inside_the_root() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        std::fs::create_dir_all(root.join("srv/d")).unwrap();
        std::fs::write(root.join("srv/file"), "x").unwrap();
        for (link, target) in [
            ("srv/abs", "/etc/issue"),
            ("srv/near", "file"),
            ("srv/twice", "near"),
            ("srv/loop", "loop"),
            ("srv/dir", "d"),
        ] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let side = Side::new(std::fs::File::open(root).unwrap().into());
        for (path, expected) in [
            ("/srv/file", "/srv/file"),
            ("/srv/abs", "/etc/issue"),
            ("/srv/twice", "/srv/file"),
            ("/srv/dir/", "/srv/d/"),
            ("/srv/none", "/srv/none"),
        ] {
            assert_eq!(side.followed(path).unwrap(), expected, "{path}");
        }
        assert!(side.followed("/srv/loop").is_err());
    }
}
