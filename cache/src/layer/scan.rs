//! Reads back what a step wrote into an overlay's upper directory. Knows no layers below.
//!
//! Level by level, so that no depth of directories exhausts the stack or the descriptors;
//! directories of a level, and the files of one, are read and digested side by side.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rayon::prelude::*;
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::against::Raw;
use super::entry::{join, path_cmp};
use super::{Entry, Kind, LayerError, Stub};
use crate::disk::{self, Names, Root};
use crate::store::Xattrs;

/// Names that one task looks at.
const NAMES: usize = 64;

/// What an upper directory holds.
pub(super) struct Scanned {
    /// Its entries, sorted, the root's first.
    pub entries: Vec<Raw>,
    /// Sockets: they belong to no layer.
    pub sockets: Vec<Vec<u8>>,
}

/// One name, as it was found.
struct Found {
    entry: Entry,
    inode: (u64, u64),
    links: u64,
}

enum Name {
    Entry(Found),
    Socket(Vec<u8>),
    /// It went away meanwhile.
    Nothing,
}

/// Reads the tree in `root`.
pub(super) fn scan(root: &Root, xattrs: Xattrs, stubs: &[Stub]) -> Result<Scanned, LayerError> {
    let mut found = vec![root_entry(root)?];
    let mut sockets = Vec::new();
    let mut level = vec![Vec::new()];
    while !level.is_empty() {
        let dirs: Result<Vec<_>, LayerError> = level
            .par_iter()
            .map(|dir| read_dir(root, xattrs, dir))
            .collect();
        level.clear();
        for name in dirs?.into_iter().flatten() {
            match name {
                Name::Entry(one) => {
                    if one.entry.is_dir() {
                        level.push(one.entry.path.clone());
                    }
                    found.push(one);
                }
                Name::Socket(path) => sockets.push(path),
                Name::Nothing => {}
            }
        }
    }
    found.par_sort_unstable_by(|a, b| path_cmp(&a.entry.path, &b.entry.path));
    link_groups(&mut found);
    let entries = found
        .into_iter()
        .map(|found| Raw {
            stub: stubs
                .iter()
                .any(|stub| stub.inode == found.inode.1 && stub.path == found.entry.path),
            entry: found.entry,
        })
        .collect();
    Ok(Scanned { entries, sockets })
}

fn root_entry(root: &Root) -> Result<Found, LayerError> {
    let fail = || LayerError::io("read", root.path());
    let stat = rustix::fs::fstat(root.dir().map_err(fail())?).map_err(|e| fail()(e.into()))?;
    Ok(Found {
        entry: entry(Vec::new(), Kind::Dir { opaque: false }, &stat),
        inode: (0, 0),
        links: 1,
    })
}

fn read_dir(root: &Root, xattrs: Xattrs, path: &[u8]) -> Result<Vec<Name>, LayerError> {
    let fail = || LayerError::io("read", root.path());
    let dir = root
        .dir()
        .and_then(|root| disk::open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY))
        .map_err(|error| LayerError::io("read", root.join(path))(error))?;
    let names = Names::read(dir.as_fd()).map_err(fail())?;
    let read = |at| {
        let path = join(path, names.get(at));
        read_name(dir.as_fd(), xattrs, names.c_str(at), path.clone())
            .map_err(|error| LayerError::io("read", root.join(&path))(error))
    };
    let all = (0..names.len()).into_par_iter();
    all.with_min_len(NAMES).map(read).collect()
}

fn read_name(dir: BorrowedFd<'_>, xattrs: Xattrs, name: &CStr, path: Vec<u8>) -> io::Result<Name> {
    let stat = match disk::stat(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Name::Nothing),
        stat => stat?,
    };
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    let mut capability = None;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice if (major, minor) == (0, 0) => Kind::Whiteout,
        FileType::CharacterDevice => Kind::CharDevice { major, minor },
        FileType::BlockDevice => Kind::BlockDevice { major, minor },
        FileType::Fifo => Kind::Fifo,
        FileType::Symlink => Kind::Symlink {
            target: rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes(),
        },
        FileType::Directory => {
            let open = disk::open_dir(dir, name)?;
            let mark = disk::xattr(open.as_fd(), xattrs.opaque())?;
            Kind::Dir {
                opaque: mark.as_deref() == Some(b"y"),
            }
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(dir, name, flags, Mode::empty())?);
            if stat.st_size == 0 && disk::xattr(file.as_fd(), xattrs.whiteout())?.is_some() {
                Kind::Whiteout
            } else {
                capability = disk::capability(file.as_fd())?;
                let (content, size) = disk::digest(&file, stat.st_size as u64)?;
                Kind::File {
                    size,
                    content,
                    link: None,
                }
            }
        }
        _ => return Ok(Name::Socket(path)),
    };
    let mut entry = entry(path, kind, &stat);
    if let Some(value) = capability {
        entry.xattrs.push((disk::CAPABILITY.to_owned(), value));
    }
    Ok(Name::Entry(Found {
        entry,
        inode: (stat.st_dev, stat.st_ino),
        links: stat.st_nlink as u64,
    }))
}

fn entry(path: Vec<u8>, kind: Kind, stat: &Stat) -> Entry {
    Entry {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: disk::mtime(stat),
        ..Entry::new(path, kind, disk::mode(stat))
    }
}

/// Names hard links by their first path.
fn link_groups(found: &mut [Found]) {
    let mut firsts = HashMap::<(u64, u64), (usize, Vec<u8>)>::new();
    for at in 0..found.len() {
        let one = &found[at];
        if one.links < 2 || !matches!(one.entry.kind, Kind::File { .. }) {
            continue;
        }
        let Some((first, name)) = firsts.get(&one.inode).cloned() else {
            firsts.insert(one.inode, (at, one.entry.path.clone()));
            continue;
        };
        for member in [first, at] {
            if let Kind::File { link, .. } = &mut found[member].entry.kind {
                *link = Some(name.clone());
            }
        }
    }
}
