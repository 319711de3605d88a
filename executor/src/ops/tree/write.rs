//! Writes the entries of a tree into the directory of a new layer.
//!
//! Directories first, then files in parallel, then links, then what directories are like from the
//! deepest up, so that a read-only one can be filled. Every path is entered with openat2 below the
//! layer's directory, without following links. What the disk refuses to an ordinary user (a
//! device, an owner) is replaced by something else, which the entry then says.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use cache::layer::entry::split;
use cache::{Entry, Kind, Timestamp};
use rayon::prelude::*;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
    chownat, fchmod, fchown, fsetxattr, futimens, linkat, makedev, mkdirat, mknodat, openat2,
    symlinkat, utimensat,
};
use rustix::io::Errno;

use super::{Content, Contents, copy_bytes};
use crate::ops::error::OpError;

/// Files that one task writes: enough to share one opened directory, few enough to spread.
const BATCH: usize = 64;

/// Writes sorted entries into the empty directory `root`; sets `placeholder` where the disk could not
/// hold what an entry says.
pub(super) fn write(
    root: BorrowedFd<'_>,
    entries: &mut [Entry],
    contents: &Contents,
) -> Result<(), OpError> {
    let (mut dirs, rest): (Vec<_>, Vec<_>) = entries
        .iter_mut()
        .filter(|entry| !entry.path.is_empty())
        .partition(|entry| entry.is_dir());
    let mut parent = Opened::default();
    for entry in &dirs {
        let (dir, name) = parent.enter(root, &entry.path)?;
        mkdirat(dir, name, Mode::RWXU).map_err(|e| OpError::io("make", &entry.path, e))?;
    }
    drop(parent);

    let (links, mut firsts): (Vec<_>, Vec<_>) = rest.into_iter().partition(
        |entry| matches!(&entry.kind, Kind::File { link: Some(first), .. } if *first != entry.path),
    );
    batches(&mut firsts)
        .into_par_iter()
        .try_for_each(|batch| write_batch(root, batch, contents))?;
    for entry in links {
        let Kind::File {
            link: Some(first), ..
        } = &entry.kind
        else {
            continue;
        };
        let (mut from, mut to) = (Opened::default(), Opened::default());
        let (from_dir, from_name) = from.enter(root, first)?;
        let (to_dir, to_name) = to.enter(root, &entry.path)?;
        linkat(from_dir, from_name, to_dir, to_name, AtFlags::empty())
            .map_err(|e| OpError::io("link", &entry.path, e))?;
        if let Some(Content::Spool(path)) = contents.get(&entry.path) {
            // The first of the group was moved from there already, or this copy is not needed.
            let _ = std::fs::remove_file(path);
        }
    }
    for entry in dirs.iter_mut().rev() {
        let dir = open_dir(root, &entry.path)?;
        entry.placeholder = finish(dir.as_fd(), entry, None)?;
    }
    Ok(())
}

/// Cuts sorted entries into pieces that lie in one directory each.
fn batches<'a, 'b>(mut entries: &'a mut [&'b mut Entry]) -> Vec<&'a mut [&'b mut Entry]> {
    let mut batches = Vec::new();
    while let Some(first) = entries.first() {
        let dir = split(&first.path).0;
        let end = entries
            .iter()
            .take(BATCH)
            .position(|entry| split(&entry.path).0 != dir)
            .unwrap_or_else(|| entries.len().min(BATCH));
        let (batch, rest) = entries.split_at_mut(end);
        batches.push(batch);
        entries = rest;
    }
    batches
}

fn write_batch(
    root: BorrowedFd<'_>,
    batch: &mut [&mut Entry],
    contents: &Contents,
) -> Result<(), OpError> {
    let mut parent = Opened::default();
    for entry in batch {
        let path = entry.path.clone();
        let (dir, name) = parent.enter(root, &path)?;
        match &entry.kind {
            Kind::File { size, .. } => {
                let content = contents.get(&path).unwrap_or(&Content::Nothing);
                entry.placeholder = write_file(dir, name, entry, *size, content)?;
            }
            Kind::Symlink { target } => {
                symlinkat(&target[..], dir, name).map_err(|e| OpError::io("link", &path, e))?;
                entry.placeholder = finish_named(dir, name, entry)?;
            }
            Kind::CharDevice { major, minor } => {
                let number = makedev(*major, *minor);
                special(dir, name, entry, FileType::CharacterDevice, number)?;
            }
            Kind::BlockDevice { major, minor } => {
                let number = makedev(*major, *minor);
                special(dir, name, entry, FileType::BlockDevice, number)?;
            }
            Kind::Fifo => special(dir, name, entry, FileType::Fifo, 0)?,
            // The overlay file system's own: a character device 0:0.
            Kind::Whiteout => mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(|e| OpError::io("make", &path, e))?,
            Kind::Dir { .. } => {}
        }
    }
    Ok(())
}

/// Makes a device or a named pipe; where that is refused, an empty file takes its place.
fn special(
    dir: BorrowedFd<'_>,
    name: &[u8],
    entry: &mut Entry,
    kind: FileType,
    number: u64,
) -> Result<(), OpError> {
    let made = if number == 0 && kind == FileType::CharacterDevice {
        // To an overlay this device is a whiteout: it would delete what is below.
        Err(Errno::PERM)
    } else {
        mknodat(dir, name, kind, Mode::from_raw_mode(0o600), number)
    };
    match made {
        Ok(()) => {
            let placeholder = finish_named(dir, name, entry)?;
            rustix::fs::chmodat(dir, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
                .map_err(|e| OpError::io("change the mode of", &entry.path, e))?;
            entry.placeholder = placeholder;
        }
        Err(Errno::PERM) => {
            create(dir, name, 0o600, &entry.path)?;
            entry.placeholder = true;
        }
        Err(error) => return Err(OpError::io("make", &entry.path, error)),
    }
    Ok(())
}

/// Writes a regular file; whether the disk could not hold all of what the entry says.
fn write_file(
    dir: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    size: u64,
    content: &Content,
) -> Result<bool, OpError> {
    let path = &entry.path;
    if let Content::Spool(spooled) = content {
        rustix::fs::renameat(rustix::fs::CWD, spooled, dir, name)
            .map_err(|e| OpError::io("move", path, e))?;
        let file = rustix::fs::openat(
            dir,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| OpError::io("open", path, e))?;
        return finish(file.as_fd(), entry, None);
    }
    let file = create(dir, name, entry.mode, path)?;
    match content {
        Content::Bytes(bytes) => {
            (&file)
                .write_all(bytes)
                .map_err(|e| OpError::io("write", path, e))?;
        }
        Content::View(view, from) => {
            let from = view.open(from)?.ok_or_else(|| {
                OpError::io(
                    "read",
                    path,
                    std::io::Error::from(std::io::ErrorKind::NotFound),
                )
            })?;
            copy_bytes(&from, &file, size).map_err(|e| OpError::io("copy", path, e))?;
        }
        Content::Context(context, selected) => {
            // What was just read for the digest is not read again; it is what the digest says.
            if let Some(bytes) = context.take_read(selected)? {
                (&file)
                    .write_all(&bytes)
                    .map_err(|e| OpError::io("write", path, e))?;
                return finish(file.as_fd(), entry, Some(entry.mode & 0o777 & !umask()));
            }
            let checked = context.open_checked(selected)?;
            copy_bytes(&checked.file, &file, size).map_err(|e| OpError::io("copy", path, e))?;
            checked.verify(&file)?;
        }
        Content::Nothing | Content::Spool(_) => {}
    }
    finish(file.as_fd(), entry, Some(entry.mode & 0o777 & !umask()))
}

/// A new file, open for writing and reading.
fn create(dir: BorrowedFd<'_>, name: &[u8], mode: u32, path: &[u8]) -> Result<File, OpError> {
    // Without its owner's own permission the file can be open all the same: it is new.
    rustix::fs::openat(
        dir,
        name,
        OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::from_raw_mode(mode & 0o777),
    )
    .map(File::from)
    .map_err(|e| OpError::io("make", path, e))
}

/// Gives an open file or directory its owner, mode, attributes and time; `mode` is what it has
/// already. Whether the disk refused some of it.
fn finish(file: BorrowedFd<'_>, entry: &Entry, mode: Option<u32>) -> Result<bool, OpError> {
    let mut refused = false;
    if (entry.uid, entry.gid) != ids() {
        match fchown(
            file,
            Some(Uid::from_raw(entry.uid)),
            Some(Gid::from_raw(entry.gid)),
        ) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::PERM) => refused = true,
            Err(e) => return Err(OpError::io("change the owner of", &entry.path, e)),
        }
    }
    if mode != Some(entry.mode) {
        fchmod(file, Mode::from_raw_mode(entry.mode))
            .map_err(|e| OpError::io("change the mode of", &entry.path, e))?;
    }
    for (name, value) in &entry.xattrs {
        match fsetxattr(file, name.as_str(), value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::OPNOTSUPP) => refused = true,
            Err(e) => return Err(OpError::io("set an attribute of", &entry.path, e)),
        }
    }
    futimens(file, &times(entry.mtime))
        .map_err(|e| OpError::io("set the time of", &entry.path, e))?;
    Ok(refused)
}

/// As [`finish`], for what cannot be opened; modes are not set.
fn finish_named(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<bool, OpError> {
    let mut refused = false;
    if (entry.uid, entry.gid) != ids() {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        match chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::PERM) => refused = true,
            Err(e) => return Err(OpError::io("change the owner of", &entry.path, e)),
        }
    }
    utimensat(dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| OpError::io("set the time of", &entry.path, e))?;
    Ok(refused)
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.seconds,
        tv_nsec: i64::from(mtime.nanos),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn ids() -> (u32, u32) {
    static IDS: OnceLock<(u32, u32)> = OnceLock::new();
    *IDS.get_or_init(|| {
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    })
}

/// This process's umask, read without changing it. See proc(5), `Umask` of `/proc/pid/status`.
fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| {
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix("Umask:"))?;
                u32::from_str_radix(line.trim(), 8).ok()
            })
            // Unknown: every mode is then set explicitly.
            .unwrap_or(0o777)
    })
}

/// The directory entered last, kept open: files come sorted.
#[derive(Default)]
struct Opened(Option<(Vec<u8>, OwnedFd)>);

impl Opened {
    /// The directory that `path` is in, and the name there.
    fn enter<'a, 'b: 'a>(
        &'a mut self,
        root: BorrowedFd<'b>,
        path: &'a [u8],
    ) -> Result<(BorrowedFd<'a>, &'a [u8]), OpError> {
        let (dir, name) = split(path);
        if dir.is_empty() {
            return Ok((root, name));
        }
        if self.0.as_ref().is_none_or(|(open, _)| open != dir) {
            self.0 = Some((dir.to_vec(), open_dir(root, dir)?));
        }
        let fd = self.0.as_ref().map_or(root, |(_, fd)| fd.as_fd());
        Ok((fd, name))
    }
}

/// Opens a directory of the layer by a path without links.
fn open_dir(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, OpError> {
    // Longer paths than the kernel takes at once are walked in pieces.
    const PIECE: usize = 2048;
    let mut open: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let (piece, after) = if rest.len() > PIECE {
            let cut = rest[..PIECE].iter().rposition(|&byte| byte == b'/');
            cut.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + 1..]))
        } else {
            (rest, &[][..])
        };
        let from = open.as_ref().map_or(root, |fd| fd.as_fd());
        let fd = openat2(
            from,
            piece,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )
        .map_err(|e| OpError::io("open", path, e))?;
        if after.is_empty() {
            return Ok(fd);
        }
        (open, rest) = (Some(fd), after);
    }
}
