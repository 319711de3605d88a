//! Places to mount on, in a root that its maker may have filled with traps: opened relative to its
//! descriptor, and made where they are missing, which is reported. Knows nothing of what is mounted.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::report::Reporter;
use super::tree;

/// How many links a target may go through.
const MAX_LINKS: usize = 40;

/// The places of one root.
pub(super) struct Targets<'a> {
    root: OwnedFd,
    device: u64,
    reporter: &'a Reporter,
}

impl<'a> Targets<'a> {
    /// Those of a root that is attached at `/root`.
    pub(super) fn new(root: OwnedFd, reporter: &'a Reporter) -> Result<Self, Errno> {
        let device = rustix::fs::fstat(&root)?.st_dev;
        Ok(Self {
            root,
            device,
            reporter,
        })
    }

    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub(super) fn into_root(self) -> OwnedFd {
        self.root
    }

    /// A directory that every system has; made, and kept, when this one has not.
    pub(super) fn standard(&self, name: &str) -> Result<OwnedFd, Errno> {
        match tree::without_links(&self.root, name) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&self.root, name, Mode::from_raw_mode(0o755))?;
                tree::without_links(&self.root, name)
            }
            found => found,
        }
    }

    /// Opens a target, making what is missing of it.
    pub(super) fn open(&self, path: &str, directory: bool) -> Result<OwnedFd, Errno> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match tree::inside(&self.root, &path) {
                Err(Errno::NOENT) => match self.complete(&path, directory)? {
                    Some(relinked) => path = relinked,
                    None => return tree::inside(&self.root, &path),
                },
                found => return found,
            }
        }
        Err(Errno::LOOP)
    }

    /// Makes the missing components of `path`; gives another path to try when a link that leads
    /// nowhere stands in the way.
    fn complete(&self, path: &str, directory: bool) -> Result<Option<String>, Errno> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut known = String::new();
        for (index, part) in parts.iter().enumerate() {
            let next = format!("{known}/{part}");
            match tree::inside(&self.root, &next) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    let parent = tree::inside(&self.root, &known)?;
                    let last = index + 1 == parts.len();
                    match create(&parent, part, directory || !last) {
                        Ok(true) => self.note(&parent, part),
                        Ok(false) => {
                            let link = rustix::fs::readlinkat(&parent, *part, Vec::new())?;
                            let link = link.to_str().map_err(|_| Errno::ILSEQ)?.to_owned();
                            let rest = parts[index + 1..].join("/");
                            return Ok(Some(if link.starts_with('/') {
                                format!("{link}/{rest}")
                            } else {
                                format!("{known}/{link}/{rest}")
                            }));
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
            known = next;
        }
        Ok(None)
    }

    /// Reports a stub, if it is in the root file system and not in something mounted on it.
    fn note(&self, parent: &OwnedFd, name: &str) {
        let in_root = rustix::fs::fstat(parent).is_ok_and(|stat| stat.st_dev == self.device);
        let path = format!("/proc/self/fd/{}", parent.as_raw_fd());
        if let Ok(path) = rustix::fs::readlinkat(CWD, path, Vec::new())
            && in_root
            && let Some(below) = path
                .to_str()
                .ok()
                .and_then(|path| path.strip_prefix("/root"))
        {
            self.reporter
                .stub(format!("{below}/{name}").trim_start_matches('/'));
        }
    }
}

/// Makes an empty file or directory; false when the name is taken.
pub(super) fn create(parent: &OwnedFd, name: &str, directory: bool) -> Result<bool, Errno> {
    let made = if directory {
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(parent.as_fd(), name, flags, Mode::from_raw_mode(0o644)).map(drop)
    };
    match made {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}
