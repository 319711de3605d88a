//! A tar to a tree of files. Paths of the tar are hostile: nothing is made outside the directory that
//! it is unpacked in, and no link in there is followed.

use std::fs::File;
use std::io::{Read, copy};
use std::os::fd::{AsFd, OwnedFd};

use image::tar::{Entry, Kind, Reader};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::CopyError;
use super::pack::CAPABILITY;
use super::side::{BENEATH, open};

/// Whose the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Whoever copies.
    Caller,
    /// As the tar says.
    Same,
}

/// Unpacks a tar into the open directory `dir`.
///
/// # Errors
/// What could not be made; what was made before that stays.
pub fn place(tar: impl Read, dir: &OwnedFd, owners: Owners) -> Result<(), CopyError> {
    let mut tar = Reader::new(tar);
    let mut dirs = Vec::new();
    while let Some(entry) = tar.next_entry()? {
        let path = clean(&entry.path)?;
        if path.is_empty() {
            // The directory itself is there, and stays as it is.
            continue;
        }
        let making = Making {
            dir,
            owners,
            entry: &entry,
            path: &path,
        };
        making.make(&mut tar.body())?;
        if entry.kind == Kind::Dir {
            dirs.push((path, entry));
        }
    }
    // Last, and the inner ones first: what is made in a directory changes its time, and its mode may
    // forbid it.
    for (path, entry) in dirs.iter().rev() {
        let fail = || CopyError::io("set the attributes of", path);
        let open_dir = open(dir, path, OFlags::RDONLY | OFlags::DIRECTORY, BENEATH);
        let open_dir = open_dir.map_err(fail())?;
        rustix::fs::fchmod(&open_dir, Mode::from_raw_mode(entry.mode)).map_err(fail())?;
        rustix::fs::futimens(&open_dir, &times(entry)).map_err(fail())?;
    }
    Ok(())
}

/// A path without empty parts and dots.
fn clean(path: &[u8]) -> Result<Vec<u8>, CopyError> {
    let mut parts = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(CopyError::Out(String::from_utf8_lossy(path).into_owned())),
            part => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// One entry on its way.
struct Making<'a> {
    dir: &'a OwnedFd,
    owners: Owners,
    entry: &'a Entry,
    path: &'a [u8],
}

impl Making<'_> {
    fn make(&self, body: &mut dyn Read) -> Result<(), CopyError> {
        let (above, name) = split(self.path);
        let parent = self.parent(above)?;
        let fail = |action| CopyError::io(action, self.path);
        if self.clear(&parent, name)? {
            return Ok(());
        }
        match &self.entry.kind {
            Kind::Dir => {
                rustix::fs::mkdirat(&parent, name, Mode::RWXU).map_err(fail("make"))?;
            }
            Kind::File => return self.file(&parent, name, body),
            Kind::HardLink { target } => {
                let target = clean(target)?;
                let (dir, first) = split(&target);
                let from = open(self.dir, dir, OFlags::PATH | OFlags::DIRECTORY, BENEATH)
                    .map_err(fail("link"))?;
                // The first name has the attributes.
                return rustix::fs::linkat(&from, first, &parent, name, AtFlags::empty())
                    .map_err(fail("link"));
            }
            Kind::Symlink { target } => {
                rustix::fs::symlinkat(&target[..], &parent, name).map_err(fail("make"))?;
            }
            kind => {
                let (kind, major, minor) = match kind {
                    Kind::CharDevice { major, minor } => {
                        (FileType::CharacterDevice, *major, *minor)
                    }
                    Kind::BlockDevice { major, minor } => (FileType::BlockDevice, *major, *minor),
                    _ => (FileType::Fifo, 0, 0),
                };
                let device = rustix::fs::makedev(major, minor);
                rustix::fs::mknodat(&parent, name, kind, Mode::RUSR, device)
                    .map_err(fail("make"))?;
            }
        }
        self.own(|uid, gid| {
            rustix::fs::chownat(&parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        })?;
        match self.entry.kind {
            // Directories get theirs when they are full.
            Kind::Dir => return Ok(()),
            Kind::Symlink { .. } => {}
            _ => rustix::fs::chmodat(&parent, name, self.mode(), AtFlags::empty())
                .map_err(fail("set the mode of"))?,
        }
        rustix::fs::utimensat(&parent, name, &times(self.entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(fail("set the time of"))
    }

    /// The directory that the entry is in, made if it is not there.
    fn parent(&self, above: &[u8]) -> Result<OwnedFd, CopyError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fail = || CopyError::io("open", above);
        match open(self.dir, above, flags, BENEATH) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(fail()),
        }
        let (around, name) = split(above);
        let around = self.parent(around)?;
        match rustix::fs::mkdirat(&around, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(CopyError::io("make", above)(errno)),
        }
        open(self.dir, above, flags, BENEATH).map_err(fail())
    }

    /// Takes away what is in the way; whether there is a directory already, where one is to be.
    fn clear(&self, parent: &OwnedFd, name: &[u8]) -> Result<bool, CopyError> {
        let fail = |action| CopyError::io(action, self.path);
        let found = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            found => found.map_err(fail("look at"))?,
        };
        let is_dir = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        let shown = || format!("/{}", String::from_utf8_lossy(self.path));
        match (is_dir, self.entry.kind == Kind::Dir) {
            (true, true) => Ok(true),
            (true, false) => Err(CopyError::DirectoryInTheWay(shown())),
            (false, true) => Err(CopyError::FileInTheWay(shown())),
            (false, false) => {
                rustix::fs::unlinkat(parent, name, AtFlags::empty()).map_err(fail("replace"))?;
                Ok(false)
            }
        }
    }

    fn file(&self, parent: &OwnedFd, name: &[u8], body: &mut dyn Read) -> Result<(), CopyError> {
        let fail = |action| CopyError::io(action, self.path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(parent, name, flags | OFlags::CLOEXEC, Mode::RUSR)
            .map_err(fail("make"))?;
        let mut file = File::from(file);
        copy(body, &mut file).map_err(|source| CopyError::Io {
            action: "write",
            path: String::from_utf8_lossy(self.path).into_owned().into(),
            source,
        })?;
        self.own(|uid, gid| rustix::fs::fchown(&file, uid, gid))?;
        rustix::fs::fchmod(&file, self.mode()).map_err(fail("set the mode of"))?;
        if let Some(value) = self.entry.xattrs.get(CAPABILITY.as_bytes()) {
            // Not every file system has them, nor may everybody give them.
            let _ = rustix::fs::fsetxattr(
                file.as_fd(),
                CAPABILITY,
                value,
                rustix::fs::XattrFlags::empty(),
            );
        }
        rustix::fs::futimens(&file, &times(self.entry)).map_err(fail("set the time of"))
    }

    fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.entry.mode)
    }

    /// Gives the entry its owner, if it is to have one and this user may give it away.
    fn own(
        &self,
        give: impl FnOnce(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> Result<(), CopyError> {
        if self.owners == Owners::Caller {
            return Ok(());
        }
        let uid = Some(Uid::from_raw(self.entry.uid));
        let gid = Some(Gid::from_raw(self.entry.gid));
        match give(uid, gid) {
            // This user has no such id.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => Ok(()),
            Err(errno) => Err(CopyError::io("set the owner of", self.path)(errno)),
        }
    }
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec {
        tv_sec: entry.mtime.seconds,
        tv_nsec: entry.mtime.nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Side;
    use super::*;

    #[test]
    fn a_tree_comes_out_as_it_went_in_and_nothing_leaves_the_directory() {
        let from = tempfile::tempdir().unwrap();
        let to = tempfile::tempdir().unwrap();
        let at = |name: &str| from.path().join("d").join(name);
        std::fs::create_dir_all(at("e")).unwrap();
        std::fs::write(at("e/f"), "text").unwrap();
        std::fs::hard_link(at("e/f"), at("g")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("l")).unwrap();
        let open_dir = |path: &std::path::Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            rustix::fs::open(path, flags, Mode::empty()).unwrap()
        };
        let side = Side::new(open_dir(from.path()));
        let goal = Side::new(open_dir(to.path()));
        super::super::copy(&side, "/d", false, &goal, ("/", b"new"), Owners::Caller).unwrap();
        let new = to.path().join("new");
        assert_eq!(std::fs::read_to_string(new.join("g")).unwrap(), "text");
        let link = std::fs::read_link(new.join("l")).unwrap();
        assert_eq!(link, std::path::Path::new("/etc/passwd"));
        // What is in the way is not written through.
        std::fs::remove_dir_all(new.join("e")).unwrap();
        std::os::unix::fs::symlink("/tmp", new.join("e")).unwrap();
        let again = super::super::copy(&side, "/d/.", true, &goal, ("/new", b""), Owners::Caller);
        assert!(
            matches!(again, Err(CopyError::FileInTheWay(_))),
            "{again:?}"
        );
        for bad in [&b"../x"[..], b"a/../../x"] {
            assert!(matches!(clean(bad), Err(CopyError::Out(_))));
        }
        assert_eq!(clean(b"/a/./b//c/").unwrap(), b"a/b/c");
    }
}
