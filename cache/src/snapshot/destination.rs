//! Entries of layers made as files in somebody else's directory. What is in that directory is not
//! trusted: no link in it is followed.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::merged::Skipped;
use crate::disk::{self, Root};
use crate::layer::entry::{is_within, split};
use crate::layer::{Entry, Kind, Layer, LayerError, Timestamp};

/// A directory that is being filled, by entries sorted by path.
pub(super) struct Destination {
    root: Arc<Root>,
    /// The directory of the last entry.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories around the last entry: they get mode and time once nothing more is put in them.
    around: Vec<Entry>,
    /// Whether files get the owners that they have in the tree, and their capabilities.
    owners: bool,
    skipped: Skipped,
}

impl Destination {
    pub fn open(dir: &Path) -> Result<Self, LayerError> {
        let root = Root::of(dir.to_owned());
        root.dir().map_err(LayerError::io("open", dir))?;
        Ok(Self {
            root,
            last: None,
            around: Vec::new(),
            owners: false,
            skipped: Skipped::default(),
        })
    }

    /// From now on files get the owners that they have in the tree.
    #[must_use]
    pub fn with_owners(mut self) -> Self {
        self.owners = true;
        self
    }

    /// Gives the directory itself what `entry` says, once all is in it.
    pub fn root(&mut self, entry: Entry) {
        self.around.push(Entry {
            path: Vec::new(),
            ..entry
        });
    }

    /// Makes one entry of `layer`.
    pub fn put(&mut self, layer: &Layer, entry: Entry) -> Result<(), LayerError> {
        let source = entry.path.clone();
        self.put_from(layer, entry, &source)
    }

    /// Makes one entry of `layer`, where it is at `source`.
    pub fn put_from(
        &mut self,
        layer: &Layer,
        entry: Entry,
        source: &[u8],
    ) -> Result<(), LayerError> {
        self.leave(&entry.path)?;
        let made = self.make(layer, &entry, source);
        made.map_err(LayerError::io("write", self.root.join(&entry.path)))?;
        if entry.is_dir() {
            self.around.push(entry);
        }
        Ok(())
    }

    /// Finishes the directories; what was left out.
    pub fn finish(mut self) -> Result<Skipped, LayerError> {
        while let Some(dir) = self.around.pop() {
            self.settle(&dir)?;
        }
        Ok(self.skipped)
    }

    /// Finishes the directories that `path` is not in.
    fn leave(&mut self, path: &[u8]) -> Result<(), LayerError> {
        while let Some(dir) = self.around.pop_if(|dir| !is_within(path, &dir.path)) {
            self.settle(&dir)?;
        }
        Ok(())
    }

    fn settle(&self, entry: &Entry) -> Result<(), LayerError> {
        let settled = || -> io::Result<()> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let dir = disk::open_beneath(self.root.dir()?, &entry.path, flags)?;
            if self.owners {
                own(&dir, entry)?;
            }
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(entry.mode))?;
            Ok(rustix::fs::futimens(&dir, &times(entry.mtime))?)
        };
        settled().map_err(LayerError::io("write", self.root.join(&entry.path)))
    }

    fn make(&mut self, layer: &Layer, entry: &Entry, source: &[u8]) -> io::Result<()> {
        let owners = self.owners;
        let name = CString::new(entry.name())?;
        if let Kind::Dir { .. } = entry.kind {
            let dir = self.parent(&entry.path)?;
            return make_dir(dir, &name);
        }
        if let Kind::File {
            link: Some(first), ..
        } = &entry.kind
            && *first != entry.path
        {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let (from, target) = split(first);
            let from = disk::open_beneath(self.root.dir()?, from, flags)?;
            let dir = self.parent(&entry.path)?;
            clear(dir, &name)?;
            let target = CString::new(target)?;
            return Ok(rustix::fs::linkat(
                from,
                &target,
                dir,
                &name,
                AtFlags::empty(),
            )?);
        }
        let dir = self.parent(&entry.path)?;
        clear(dir, &name)?;
        match &entry.kind {
            Kind::Dir { .. } | Kind::Whiteout => return Ok(()),
            Kind::File { size, .. } => {
                let from = || layer.files.open_file(source);
                return fill(dir, &name, from, entry, *size, owners);
            }
            Kind::Symlink { target } => {
                rustix::fs::symlinkat(CString::new(target.as_slice())?, dir, &name)?;
            }
            Kind::Fifo => {
                let mode = Mode::from_raw_mode(entry.mode);
                rustix::fs::mknodat(dir, &name, FileType::Fifo, mode, 0)?;
                rustix::fs::chmodat(dir, &name, mode, AtFlags::empty())?;
            }
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                let kind = match entry.kind {
                    Kind::CharDevice { .. } => FileType::CharacterDevice,
                    _ => FileType::BlockDevice,
                };
                let mode = Mode::from_raw_mode(entry.mode);
                let device = rustix::fs::makedev(*major, *minor);
                match rustix::fs::mknodat(dir, &name, kind, mode, device) {
                    Ok(()) => rustix::fs::chmodat(dir, &name, mode, AtFlags::empty())?,
                    Err(Errno::PERM | Errno::ACCESS) => {
                        self.skipped.devices.push(entry.path.clone());
                        return Ok(());
                    }
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        if owners {
            let (uid, gid) = ids(entry);
            rustix::fs::chownat(dir, &name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            if !matches!(entry.kind, Kind::Symlink { .. }) {
                let mode = Mode::from_raw_mode(entry.mode);
                rustix::fs::chmodat(dir, &name, mode, AtFlags::empty())?;
            }
        }
        let time = times(entry.mtime);
        Ok(rustix::fs::utimensat(
            dir,
            &name,
            &time,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// The open directory that `path` is in.
    fn parent(&mut self, path: &[u8]) -> io::Result<BorrowedFd<'_>> {
        let dir = split(path).0;
        if self.last.as_ref().is_none_or(|(last, _)| last != dir) {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let open = disk::open_beneath(self.root.dir()?, dir, flags)?;
            self.last = Some((dir.to_vec(), open));
        }
        match &self.last {
            Some((_, open)) => Ok(open.as_fd()),
            None => Err(Errno::NOENT.into()),
        }
    }
}

/// Makes a directory that its maker can write to; one that is there already is as good.
fn make_dir(dir: BorrowedFd<'_>, name: &CString) -> io::Result<()> {
    match rustix::fs::mkdirat(dir, name, Mode::RWXU) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let found = disk::stat(dir, name)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Ok(());
    }
    clear(dir, name)?;
    Ok(rustix::fs::mkdirat(dir, name, Mode::RWXU)?)
}

/// Removes what stands where something else is to be: a file, a link, an empty directory.
fn clear(dir: BorrowedFd<'_>, name: &CString) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?),
        Err(errno) => Err(errno.into()),
    }
}

fn fill(
    dir: BorrowedFd<'_>,
    name: &CString,
    from: impl FnOnce() -> io::Result<File>,
    entry: &Entry,
    size: u64,
    owners: bool,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut to = File::from(rustix::fs::openat(
        dir,
        name,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?);
    if size > 0 {
        let mut from = from()?;
        let copied = io::copy(&mut from, &mut to)?;
        if copied != size {
            return Err(io::Error::other(format!(
                "its layer holds {copied} bytes of it, and its index says {size}"
            )));
        }
    }
    if owners {
        own(&to, entry)?;
    }
    rustix::fs::fchmod(&to, Mode::from_raw_mode(entry.mode))?;
    if owners {
        for (name, value) in &entry.xattrs {
            rustix::fs::fsetxattr(&to, name.as_str(), value, rustix::fs::XattrFlags::empty())?;
        }
    }
    Ok(rustix::fs::futimens(&to, &times(entry.mtime))?)
}

fn own(file: impl AsFd, entry: &Entry) -> io::Result<()> {
    let (uid, gid) = ids(entry);
    Ok(rustix::fs::fchown(file, uid, gid)?)
}

fn ids(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(entry.uid)),
        Some(Gid::from_raw(entry.gid)),
    )
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: mtime.nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
