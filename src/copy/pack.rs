//! A tree of files to a tar. No link is followed below the path that was asked for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use image::tar::{Entry, Kind, Time, Writer};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat};

use super::CopyError;
use super::side::{BENEATH, Side, open};

/// The one extended attribute that is carried.
pub(super) const CAPABILITY: &str = "security.capability";
/// Bytes of the longest file capability.
const LONGEST: usize = 24;

/// Writes what is at `path` to a tar, under `name`; what is in the directory `path`, when the name is
/// empty or `.`. A link at the end of the path is followed if `follow`. Sockets are left out.
///
/// # Errors
/// What could not be read, or written.
pub fn pack(
    side: &Side,
    path: &str,
    follow: bool,
    name: &[u8],
    out: &mut dyn Write,
) -> Result<(), CopyError> {
    let fail = || CopyError::io("read", path.as_bytes());
    let link = if follow {
        OFlags::empty()
    } else {
        OFlags::NOFOLLOW
    };
    let top = side.open(path, OFlags::PATH | link)?;
    let stat = rustix::fs::fstat(&top).map_err(fail())?;
    let mut packing = Packing {
        tar: Writer::new(out),
        links: HashMap::new(),
    };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let top = side.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        packing.tree(top.as_fd(), &stat, name)?;
    } else {
        let read = || {
            side.open(
                path,
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | link,
            )
        };
        let target = || rustix::fs::readlinkat(&top, "", Vec::new());
        packing.one(&stat, name, path.as_bytes(), read, target)?;
    }
    packing.tar.finish()?;
    Ok(())
}

struct Packing<W: Write> {
    tar: Writer<W>,
    /// First names of files that have several.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packing<W> {
    /// A directory and everything in it, level by level of one branch after the other: neither
    /// descriptors nor the stack grow with its depth.
    fn tree(&mut self, top: BorrowedFd<'_>, stat: &Stat, name: &[u8]) -> Result<(), CopyError> {
        if !name.is_empty() {
            self.append(entry(stat, name, Kind::Dir), &mut std::io::empty())?;
        }
        let mut open_dirs = vec![Vec::new()];
        while let Some(dir) = open_dirs.pop() {
            let fail = || CopyError::io("read", &dir);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let open_dir = open(top, &dir, flags, BENEATH).map_err(fail())?;
            // In the order of the alphabet: the same tree is the same tar.
            let mut names = BTreeMap::new();
            for found in Dir::read_from(&open_dir).map_err(fail())? {
                let found = found.map_err(fail())?.file_name().to_owned();
                if !matches!(found.to_bytes(), b"." | b"..") {
                    match rustix::fs::statat(&open_dir, &found, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => drop(names.insert(found, stat)),
                        // It went away meanwhile.
                        Err(rustix::io::Errno::NOENT) => {}
                        Err(errno) => return Err(fail()(errno)),
                    }
                }
            }
            let mut inner = Vec::new();
            for (own, stat) in &names {
                let path = join(&dir, own.to_bytes());
                let shown = join(name, &path);
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    self.append(entry(stat, &shown, Kind::Dir), &mut std::io::empty())?;
                    inner.push(path);
                    continue;
                }
                let read = || {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                    open(&open_dir, own.to_bytes(), flags, BENEATH)
                        .map_err(CopyError::io("open", &path))
                };
                let target = || rustix::fs::readlinkat(&open_dir, own, Vec::new());
                self.one(stat, &shown, &path, read, target)?;
            }
            open_dirs.extend(inner.into_iter().rev());
        }
        Ok(())
    }

    /// Something that is no directory.
    fn one(
        &mut self,
        stat: &Stat,
        name: &[u8],
        path: &[u8],
        read: impl FnOnce() -> Result<std::os::fd::OwnedFd, CopyError>,
        target: impl FnOnce() -> Result<std::ffi::CString, rustix::io::Errno>,
    ) -> Result<(), CopyError> {
        let (major, minor) = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let inode = (stat.st_dev, stat.st_ino);
                if let Some(first) = self.links.get(&inode) {
                    let target = first.clone();
                    let link = entry(stat, name, Kind::HardLink { target });
                    return self.append(link, &mut std::io::empty());
                }
                if stat.st_nlink > 1 {
                    self.links.insert(inode, name.to_vec());
                }
                let file = File::from(read()?);
                let mut entry = entry(stat, name, Kind::File);
                entry.size = u64::try_from(stat.st_size).unwrap_or_default();
                let mut value = [0_u8; LONGEST];
                if let Ok(length) = rustix::fs::fgetxattr(&file, CAPABILITY, &mut value[..]) {
                    let value = value[..length].to_vec();
                    entry.xattrs.insert(CAPABILITY.as_bytes().to_vec(), value);
                }
                let size = entry.size;
                return self.append(entry, &mut file.take(size));
            }
            FileType::Symlink => Kind::Symlink {
                target: target().map_err(CopyError::io("read", path))?.into_bytes(),
            },
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            _ => return Ok(()),
        };
        self.append(entry(stat, name, kind), &mut std::io::empty())
    }

    fn append(&mut self, entry: Entry, body: &mut dyn Read) -> Result<(), CopyError> {
        Ok(self.tar.append(&entry, body)?)
    }
}

fn entry(stat: &Stat, path: &[u8], kind: Kind) -> Entry {
    Entry {
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time {
            seconds: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        },
        ..Entry::new(path, kind, stat.st_mode & 0o7777)
    }
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match (dir, name) {
        (b"", path) | (path, b"") => path.to_vec(),
        (dir, name) => [dir, b"/", name].concat(),
    }
}
