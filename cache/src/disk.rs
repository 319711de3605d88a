//! System calls on trees of files, by directory descriptor: names ([`names`]), opening beneath a
//! directory, digests of contents ([`digest`]). Knows no layers and no contexts; never follows a link.

mod digest;
mod names;

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat, Timespec};
use rustix::io::Errno;

use crate::layer::Timestamp;
pub(crate) use digest::{ReadFile, digest, digest_keeping};
pub(crate) use names::Names;

/// A directory that is opened when it is first needed, and then kept open.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    dir: OnceLock<OwnedFd>,
}

impl Root {
    pub fn of(path: PathBuf) -> Arc<Self> {
        let dir = OnceLock::new();
        Arc::new(Self { path, dir })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open directory.
    pub fn dir(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir.as_fd());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&self.path, flags, Mode::empty())?;
        Ok(self.dir.get_or_init(|| dir).as_fd())
    }

    /// Opens the regular file at `path` for reading; no component may be a link.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        open_file(self.dir()?, path)
    }

    /// A path below it, for messages.
    pub fn join(&self, path: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        self.path.join(std::ffi::OsStr::from_bytes(path))
    }
}

/// Opens what is at `path` beneath `dir` by openat2(2): no component may be a link, nothing may
/// lead out. Paths longer than the kernel takes at once are walked in pieces.
pub(crate) fn open_beneath(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    const LONGEST: usize = 4000;
    if path.len() > LONGEST {
        let cut = path[..LONGEST]
            .iter()
            .rposition(|byte| *byte == b'/')
            .ok_or(io::Error::from(Errno::NAMETOOLONG))?;
        let next = open_beneath(dir, &path[..cut], OFlags::PATH | OFlags::DIRECTORY)?;
        return open_beneath(next.as_fd(), &path[cut + 1..], flags);
    }
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // a rename somewhere in the tree, or a signal
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Opens the regular file at `path` beneath `dir` for reading. Never waits: not for the other side of a pipe either.
pub(crate) fn open_file(dir: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(open_beneath(dir, path, flags)?.into())
}

/// Opens the directory `name` in `dir` for reading.
pub(crate) fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?)
}

/// The clock of a file system: a file without a name, whose times are set to now and read.
#[derive(Debug)]
pub(crate) struct Clock(OwnedFd);

impl Clock {
    /// That of the one that the directory `dir` is on.
    pub fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self(nameless(dir)?))
    }

    /// The time that a file made now would have.
    pub fn now(&self) -> io::Result<Timestamp> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        rustix::fs::futimens(&self.0, &times)?;
        Ok(mtime(&rustix::fs::fstat(&self.0)?))
    }
}

/// The time of a file that is made now in the directory `dir`, by the clock of its file system.
pub(crate) fn now(dir: &Path) -> io::Result<Timestamp> {
    Ok(mtime(&rustix::fs::fstat(nameless(dir)?)?))
}

/// A file in the directory `dir` that has no name and goes when it is closed.
fn nameless(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR) {
        Err(Errno::NOTSUP | Errno::ISDIR | Errno::INVAL) => {
            let path = dir.join(format!(".now-{}", std::process::id()));
            let file = rustix::fs::open(
                &path,
                OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW,
                Mode::RUSR,
            )?;
            rustix::fs::unlink(&path)?;
            Ok(file)
        }
        file => Ok(file?),
    }
}

/// lstat(2) of `name` in `dir`.
pub(crate) fn stat(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// When the content changed.
pub(crate) fn mtime(stat: &Stat) -> Timestamp {
    Timestamp {
        seconds: stat.st_mtime,
        nanos: stat.st_mtime_nsec as u32,
    }
}

/// When content or attributes changed.
pub(crate) fn ctime(stat: &Stat) -> Timestamp {
    Timestamp {
        seconds: stat.st_ctime,
        nanos: stat.st_ctime_nsec as u32,
    }
}

/// Permission bits with set-id and sticky.
pub(crate) fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

/// An extended attribute of an open file; none if it has none or the file system knows none.
pub(crate) fn xattr(file: BorrowedFd<'_>, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0_u8; 64];
    match rustix::fs::fgetxattr(file, name, &mut buffer) {
        Ok(len) => Ok(Some(buffer[..len].to_vec())),
        Err(Errno::RANGE) => {
            let len = rustix::fs::fgetxattr(file, name, &mut [0_u8; 0][..])?;
            let mut value = vec![0; len];
            let len = rustix::fs::fgetxattr(file, name, &mut value[..])?;
            value.truncate(len);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// `security.capability` of an open file, in its v2 form: without the namespace it is valid in
/// (capabilities(7), "File capability extended attribute versioning").
pub(crate) fn capability(file: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
    Ok(xattr(file, CAPABILITY)?.map(capability_v2))
}

/// The one extended attribute that layers have.
pub(crate) const CAPABILITY: &str = "security.capability";

/// The v2 form of a file capability.
pub(crate) fn capability_v2(mut value: Vec<u8>) -> Vec<u8> {
    const V3_SIZE: usize = 24;
    const V2_SIZE: usize = 20;
    if value.len() == V3_SIZE && value[3] == 3 {
        value.truncate(V2_SIZE);
        value[3] = 2;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_never_followed_and_pipes_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d/f"), "x").unwrap();
        std::os::unix::fs::symlink("d", dir.path().join("l")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("d/l")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("p"),
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        let root = Root::of(dir.path().to_owned());
        assert!(root.open_file(b"d/f").is_ok());
        for path in [&b"l/f"[..], b"d/l", b"../x", b"d/../d/f/x"] {
            assert!(
                root.open_file(path).is_err(),
                "{}",
                String::from_utf8_lossy(path)
            );
        }
        assert!(root.open_file(b"p").is_ok());
    }

    #[test]
    fn a_clock_says_what_a_new_file_would() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::of(dir.path()).unwrap();
        for _ in 0..1000 {
            let before = clock.now().unwrap();
            std::fs::write(dir.path().join("f"), "x").unwrap();
            let made = mtime(&rustix::fs::stat(dir.path().join("f")).unwrap());
            let anew = now(dir.path()).unwrap();
            let after = clock.now().unwrap();
            assert!(
                before <= made && made <= after && before <= anew && anew <= after,
                "{before:?} {made:?} {anew:?} {after:?}"
            );
            std::fs::remove_file(dir.path().join("f")).unwrap();
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn capabilities_lose_their_namespace() {
        let v3: Vec<u8> = [1, 0, 0, 3].into_iter().chain(1..21).collect();
        let v2: Vec<u8> = [1, 0, 0, 2].into_iter().chain(1..17).collect();
        assert_eq!(capability_v2(v3), v2);
        assert_eq!(capability_v2(v2.clone()), v2);
    }
}
