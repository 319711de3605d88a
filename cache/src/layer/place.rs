//! Changes to a layer's files on disk, by path beneath its directory. Never follows a link.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::entry::split;
use super::{Entry, Kind, LayerError, Timestamp};
use crate::disk::{self, Root};
use crate::store::Xattrs;

/// Works on one tree; keeps the last parent directory open, as paths come sorted.
pub(super) struct Place<'r> {
    root: &'r Root,
    xattrs: Xattrs,
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl<'r> Place<'r> {
    pub fn new(root: &'r Root, xattrs: Xattrs) -> Self {
        Self {
            root,
            xattrs,
            last: None,
        }
    }

    /// The open directory that `path` is in, and its name there.
    pub fn parent(&mut self, path: &[u8]) -> io::Result<(BorrowedFd<'_>, CString)> {
        let (dir, name) = split(path);
        let name = CString::new(name)?;
        if self.last.as_ref().is_none_or(|(last, _)| last != dir) {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            self.last = Some((
                dir.to_vec(),
                disk::open_beneath(self.root.dir()?, dir, flags)?,
            ));
        }
        match &self.last {
            Some((_, open)) => Ok((open.as_fd(), name)),
            None => Err(Errno::NOENT.into()),
        }
    }

    /// Forgets the open directory: somebody may remove it.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// Removes a file, a whiteout or an empty directory, if it is there.
    pub fn remove(&mut self, path: &[u8]) -> io::Result<()> {
        let (dir, name) = match self.parent(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            parent => parent?,
        };
        match rustix::fs::unlinkat(dir, &name, AtFlags::empty()) {
            Err(Errno::ISDIR) => rustix::fs::unlinkat(dir, &name, AtFlags::REMOVEDIR)?,
            Err(Errno::NOENT) => {}
            other => other?,
        }
        Ok(())
    }

    /// Makes a whiteout: a character device 0:0 (Documentation/filesystems/overlayfs.rst).
    pub fn whiteout(&mut self, path: &[u8]) -> io::Result<()> {
        let (dir, name) = self.parent(path)?;
        Ok(rustix::fs::mknodat(
            dir,
            &name,
            FileType::CharacterDevice,
            Mode::empty(),
            0,
        )?)
    }

    /// Takes an opaque mark away.
    pub fn unmark(&mut self, path: &[u8]) -> io::Result<()> {
        let name = self.xattrs.opaque();
        let dir = disk::open_beneath(self.root.dir()?, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        match rustix::fs::fremovexattr(dir, name) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives a directory that may not be there yet the owner, mode and time of `entry`.
    pub fn dir(&mut self, entry: &Entry) -> io::Result<()> {
        let (parent, name) = self.parent(&entry.path)?;
        match rustix::fs::mkdirat(parent, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = disk::open_beneath(self.root.dir()?, &entry.path, flags)?;
        let held = chown(dir.as_fd(), entry.uid, entry.gid)?;
        debug_assert!(held || !entry.placeholder || entry.is_dir());
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(entry.mode))?;
        Ok(rustix::fs::futimens(&dir, &times(entry.mtime))?)
    }

    /// Sets only the time.
    pub fn time(&mut self, entry: &Entry) -> io::Result<()> {
        let (dir, name) = self.parent(&entry.path)?;
        Ok(rustix::fs::utimensat(
            dir,
            &name,
            &times(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }
}

/// Gives an open file its owner; false when this process may not, or has no such id.
pub(super) fn chown(file: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<bool> {
    match rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// For utimensat(2): the access time is the modification time.
pub(super) fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Makes the disk hold what a difference says and nothing else. Directories keep the time that
/// their entry has.
pub(super) fn trim(
    place: &mut Place<'_>,
    difference: &super::against::Difference,
) -> Result<(), LayerError> {
    let root = place.root;
    let mut touched = std::collections::BTreeSet::<&[u8]>::new();
    let fail = |action, path: &[u8]| LayerError::io(action, root.join(path));
    for path in &difference.remove {
        place.forget_within(path);
        place.remove(path).map_err(fail("remove", path))?;
        touched.insert(split(path).0);
    }
    for path in &difference.unmark {
        place.unmark(path).map_err(fail("unmark", path))?;
    }
    for path in &difference.whiteouts {
        place.whiteout(path).map_err(fail("make", path))?;
        touched.insert(split(path).0);
    }
    let touched_dirs = difference
        .entries
        .iter()
        .filter(|e| e.is_dir() && !e.path.is_empty() && touched.contains(&e.path[..]));
    for entry in touched_dirs {
        place.time(entry).map_err(fail("touch", &entry.path))?;
    }
    debug_assert!(
        !difference
            .entries
            .iter()
            .any(|e| matches!(e.kind, Kind::Dir { opaque: true }))
    );
    Ok(())
}

impl Place<'_> {
    fn forget_within(&mut self, path: &[u8]) {
        if self
            .last
            .as_ref()
            .is_some_and(|(last, _)| super::entry::is_within(last, path))
        {
            self.forget();
        }
    }
}
