//! Unpacks a layer's tar into a new layer. Everything in it is hostile.
//!
//! One thread reads the archive and makes names, in its order, so that the last of equal names
//! wins and hard links find their files. Others fill the files, which they have by descriptor:
//! write, digest, owner, mode, attributes, time. Directories get theirs at the end.

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use image::tar::{OPAQUE_WHITEOUT, Reader, WHITEOUT_PREFIX};
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use solver::ContentDigest;

use super::fill::{self, Filler};
use crate::disk::Root;
use crate::layer::entry::{is_within, join, split};
use crate::layer::error::lossy;
use crate::layer::place::Place;
use crate::layer::{Entry, Kind, LayerError, NewLayer, Timestamp, place};
use crate::snapshot::resolve::{Lookup, resolve};
use crate::store::Xattrs;

/// What a layer's tar holds, on disk already.
#[derive(Debug)]
pub struct Unpacked {
    pub(in crate::layer) entries: Vec<Entry>,
    /// Directories that things are in, and that the archive does not have.
    pub(in crate::layer) implied: Vec<Vec<u8>>,
}

impl Unpacked {
    /// Whether the layer is the same on any tree: it is not when things are in directories that the
    /// archive does not have itself.
    pub fn fits_everywhere(&self) -> bool {
        self.implied.is_empty()
    }

    /// The entries, sorted, for those who commit them otherwise.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}

impl NewLayer {
    /// Unpacks a layer's tar (plain, as a diff id names it) into this layer, to be
    /// [committed](Self::commit_unpacked). Reads the stream to its end, so that what digests it on
    /// the way has all of it.
    pub fn unpack(&self, tar: &mut dyn Read) -> Result<Unpacked, LayerError> {
        let root = Root::of(self.fs.clone());
        let mut unpacking = Unpacking {
            place: Place::new(&root, self.xattrs()),
            root: &root,
            xattrs: self.xattrs(),
            seen: Seen::default(),
            implied: Vec::new(),
            parents: HashMap::new(),
        };
        let filled = fill::with_fillers(&root, |filler| unpacking.read(tar, filler))?;
        for (at, content, held) in filled {
            let entry = &mut unpacking.seen.entries[at];
            entry.placeholder |= !held;
            if let Kind::File {
                content: digest, ..
            } = &mut entry.kind
            {
                *digest = content;
            }
        }
        unpacking.finish()
    }
}

/// Entries in the order of the archive, and where each path is.
#[derive(Default)]
struct Seen {
    entries: Vec<Entry>,
    /// Whether an entry is gone again; hard links to it live on.
    gone: Vec<bool>,
    paths: HashMap<Vec<u8>, usize>,
    /// A hard link's first name, by position of the link.
    links: HashMap<usize, usize>,
}

impl Seen {
    fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.paths.get(path).map(|at| &self.entries[*at])
    }

    fn put(&mut self, entry: Entry) -> usize {
        let at = self.entries.len();
        self.paths.insert(entry.path.clone(), at);
        self.entries.push(entry);
        self.gone.push(false);
        at
    }

    /// Forgets what is at `path` and in it.
    fn forget(&mut self, path: &[u8]) {
        let is_dir = self.get(path).is_some_and(Entry::is_dir);
        self.forget_only(path);
        if is_dir {
            self.paths.retain(|inner, at| {
                let inside = is_within(inner, path);
                self.gone[*at] |= inside;
                !inside
            });
        }
    }
}

impl Lookup for Seen {
    type Node = Entry;
    type Error = LayerError;

    fn at(&self, path: &[u8]) -> Result<Option<Entry>, LayerError> {
        Ok(self.get(path).cloned())
    }

    fn target<'n>(&self, entry: &'n Entry) -> Option<&'n [u8]> {
        match &entry.kind {
            Kind::Symlink { target } => Some(target),
            _ => None,
        }
    }

    fn too_many_links(&self, path: &[u8]) -> LayerError {
        LayerError::Links { path: lossy(path) }
    }
}

struct Unpacking<'r> {
    root: &'r Root,
    xattrs: Xattrs,
    place: Place<'r>,
    seen: Seen,
    implied: Vec<Vec<u8>>,
    /// Real paths of parents, by how the archive calls them.
    parents: HashMap<Vec<u8>, Vec<u8>>,
}

fn refused(path: &[u8], reason: &'static str) -> LayerError {
    LayerError::Path {
        path: lossy(path),
        reason,
    }
}

/// A path of an archive, relative to the root.
fn clean(path: &[u8]) -> Result<Vec<u8>, LayerError> {
    let names: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .collect();
    let clean = names.join(&b'/');
    crate::layer::index::check(&clean)?;
    Ok(clean)
}

impl Unpacking<'_> {
    fn read(&mut self, tar: &mut dyn Read, filler: &Filler<'_>) -> Result<(), LayerError> {
        let mut reader = Reader::new(std::io::BufReader::with_capacity(128 << 10, tar));
        while let Some(header) = reader.next_entry()? {
            let path = clean(&header.path)?;
            let (dir, name) = split(&path);
            if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
                self.whiteout(&path, dir, name, hidden)?;
                continue;
            }
            if path.is_empty() {
                // the root can be nothing else
                if header.kind == image::tar::Kind::Dir {
                    self.seen.forget_only(b"");
                    self.seen
                        .put(entry(Vec::new(), Kind::Dir { opaque: false }, &header));
                }
                continue;
            }
            let parent = self.parent(dir)?;
            let path = join(&parent, name);
            self.make(path, &header, &mut reader, filler)?;
        }
        let mut rest = reader.into_inner();
        std::io::copy(&mut rest, &mut std::io::sink())
            .map_err(|e| LayerError::Archive(e.into()))?;
        Ok(())
    }

    fn whiteout(
        &mut self,
        path: &[u8],
        dir: &[u8],
        name: &[u8],
        hidden: &[u8],
    ) -> Result<(), LayerError> {
        let parent = self.parent(dir)?;
        if name == OPAQUE_WHITEOUT {
            if parent.is_empty() && self.seen.get(b"").is_none() {
                self.seen.put(Entry::dir("", 0o755));
                self.implied.push(Vec::new());
            }
            if let Some(at) = self.seen.paths.get(&parent)
                && let Kind::Dir { opaque } = &mut self.seen.entries[*at].kind
            {
                *opaque = true;
            }
            return Ok(());
        }
        // aufs's own marks
        if hidden.starts_with(WHITEOUT_PREFIX) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(refused(path, "it hides a name that cannot be"));
        }
        let path = join(&parent, hidden);
        self.remove(&path)?;
        self.seen.put(Entry::whiteout(path));
        Ok(())
    }

    /// The real path of the directory that the archive calls `dir`, made if need be.
    fn parent(&mut self, dir: &[u8]) -> Result<Vec<u8>, LayerError> {
        if let Some(known) = self.parents.get(dir) {
            return Ok(known.clone());
        }
        let (real, _) = resolve(&self.seen, dir, true)?;
        let mut at = 0;
        while at < real.len() {
            at = real[at + 1..]
                .iter()
                .position(|byte| *byte == b'/')
                .map_or(real.len(), |next| at + 1 + next);
            let path = &real[..at];
            match self.seen.get(path).map(|entry| &entry.kind) {
                Some(Kind::Dir { .. }) => {}
                Some(Kind::Whiteout) | None => {
                    let header = image::tar::Entry::new(path, image::tar::Kind::Dir, 0o755);
                    self.dir(path.to_vec(), &header)?;
                    self.implied.push(path.to_vec());
                }
                Some(_) => {
                    return Err(refused(
                        dir,
                        "something is in it, and it is not a directory",
                    ));
                }
            }
        }
        self.parents.insert(dir.to_vec(), real.clone());
        Ok(real)
    }

    /// Removes what the archive had at `path` before.
    fn remove(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let Some(old) = self.seen.get(path) else {
            return Ok(());
        };
        let fail = || LayerError::io("remove", self.root.join(path));
        if old.is_dir() {
            self.place.forget();
            self.parents.clear();
            self.implied.retain(|dir| !is_within(dir, path));
            let whole = self.root.join(path);
            std::fs::remove_dir_all(&whole).map_err(fail())?;
        } else if old.kind != Kind::Whiteout {
            if matches!(old.kind, Kind::Symlink { .. }) {
                self.parents.clear();
            }
            self.place.remove(path).map_err(fail())?;
        }
        self.seen.forget(path);
        Ok(())
    }

    fn dir(&mut self, path: Vec<u8>, header: &image::tar::Entry) -> Result<(), LayerError> {
        let old = self.seen.get(&path).map(|entry| entry.kind.clone());
        let opaque = match old {
            Some(Kind::Dir { opaque }) => {
                self.implied.retain(|dir| *dir != path);
                self.seen.forget_only(&path);
                opaque
            }
            old => {
                self.remove(&path)?;
                let fail = || LayerError::io("make", self.root.join(&path));
                let (parent, name) = self.place.parent(&path).map_err(fail())?;
                rustix::fs::mkdirat(parent, &name, Mode::RWXU).map_err(|e| fail()(e.into()))?;
                // a deletion and a directory of that name in one layer: nothing below shows through
                old == Some(Kind::Whiteout)
            }
        };
        self.seen.put(entry(path, Kind::Dir { opaque }, header));
        Ok(())
    }

    fn make<R: Read>(
        &mut self,
        path: Vec<u8>,
        header: &image::tar::Entry,
        reader: &mut Reader<R>,
        filler: &Filler<'_>,
    ) -> Result<(), LayerError> {
        let fail = || LayerError::io("make", self.root.join(&path));
        if header.kind == image::tar::Kind::Dir {
            return self.dir(path, header);
        }
        if let image::tar::Kind::HardLink { target } = &header.kind {
            return self.hard_link(path, target);
        }
        if matches!(
            header.kind,
            image::tar::Kind::CharDevice { major: 0, minor: 0 }
        ) {
            return Err(refused(&path, "a device 0:0 would be taken for a deletion"));
        }
        self.remove(&path)?;
        let (parent, name) = self.place.parent(&path).map_err(fail())?;
        let mode = Mode::from_raw_mode(header.mode);
        let made = match &header.kind {
            image::tar::Kind::File => {
                let file = create(parent, &name).map_err(fail())?;
                let content = ContentDigest([0; 32]);
                let kind = Kind::File {
                    size: header.size,
                    content,
                    link: None,
                };
                let one = entry(path, kind, header);
                let job = fill::Job::new(self.seen.entries.len(), file, &one, header);
                self.seen.put(one);
                return filler.fill(job, reader.body());
            }
            image::tar::Kind::Symlink { target } => {
                self.parents.clear();
                rustix::fs::symlinkat(target.as_slice(), parent, &name).map(|()| Kind::Symlink {
                    target: target.clone(),
                })
            }
            image::tar::Kind::CharDevice { major, minor } => {
                let number = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(parent, &name, FileType::CharacterDevice, mode, number).map(
                    |()| Kind::CharDevice {
                        major: *major,
                        minor: *minor,
                    },
                )
            }
            image::tar::Kind::BlockDevice { major, minor } => {
                let number = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(parent, &name, FileType::BlockDevice, mode, number).map(|()| {
                    Kind::BlockDevice {
                        major: *major,
                        minor: *minor,
                    }
                })
            }
            _ => rustix::fs::mknodat(parent, &name, FileType::Fifo, mode, 0).map(|()| Kind::Fifo),
        };
        let mut stand_in = false;
        let kind = match (made, &header.kind) {
            (Ok(kind), _) => kind,
            // not without CAP_MKNOD: an empty file stands in
            (Err(Errno::PERM), image::tar::Kind::CharDevice { major, minor }) => {
                create(parent, &name).map_err(fail())?;
                stand_in = true;
                Kind::CharDevice {
                    major: *major,
                    minor: *minor,
                }
            }
            (Err(Errno::PERM), image::tar::Kind::BlockDevice { major, minor }) => {
                create(parent, &name).map_err(fail())?;
                stand_in = true;
                Kind::BlockDevice {
                    major: *major,
                    minor: *minor,
                }
            }
            (Err(errno), _) => return Err(fail()(errno.into())),
        };
        let mut one = entry(path.clone(), kind, header);
        let held = self.attributes(&one).map_err(LayerError::io(
            "set the attributes of",
            self.root.join(&path),
        ))?;
        one.placeholder = stand_in || !held;
        self.seen.put(one);
        Ok(())
    }

    /// Owner, mode and time of what has no descriptor; false when its owner cannot be held.
    fn attributes(&mut self, entry: &Entry) -> std::io::Result<bool> {
        let (parent, name) = self.place.parent(&entry.path)?;
        let owner = (
            rustix::fs::Uid::from_raw(entry.uid),
            rustix::fs::Gid::from_raw(entry.gid),
        );
        let held = match rustix::fs::chownat(
            parent,
            &name,
            Some(owner.0),
            Some(owner.1),
            AtFlags::SYMLINK_NOFOLLOW,
        ) {
            Ok(()) => true,
            Err(Errno::PERM | Errno::INVAL) => false,
            Err(errno) => return Err(errno.into()),
        };
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            // it was made a moment ago and is no link
            rustix::fs::chmodat(
                parent,
                &name,
                Mode::from_raw_mode(entry.mode),
                AtFlags::empty(),
            )?;
        }
        let times = place::times(entry.mtime);
        rustix::fs::utimensat(parent, &name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(held)
    }

    fn hard_link(&mut self, path: Vec<u8>, target: &[u8]) -> Result<(), LayerError> {
        let target = clean(target)?;
        let (dir, name) = split(&target);
        let (dir, _) = resolve(&self.seen, dir, true)?;
        let target = join(&dir, name);
        if target == path {
            return Ok(());
        }
        let Some(at) = self.seen.paths.get(&target).copied() else {
            return Err(refused(
                &path,
                "it is a hard link to something that is not in the archive",
            ));
        };
        let old = self.seen.entries[at].clone();
        if old.is_dir() || old.kind == Kind::Whiteout {
            return Err(refused(
                &path,
                "it is a hard link to something that is not a file",
            ));
        }
        self.remove(&path)?;
        let fail = || LayerError::io("link", self.root.join(&path));
        let from: Arc<OwnedFd> = Arc::new(
            crate::disk::open_beneath(
                self.root.dir().map_err(fail())?,
                &dir,
                OFlags::PATH | OFlags::DIRECTORY,
            )
            .map_err(fail())?,
        );
        let (parent, name_here) = self.place.parent(&path).map_err(fail())?;
        rustix::fs::linkat(&from, name, parent, &name_here, AtFlags::empty())
            .map_err(|e| fail()(e.into()))?;
        let at = self.seen.links.get(&at).copied().unwrap_or(at);
        let link = self.seen.put(Entry { path, ..old });
        self.seen.links.insert(link, at);
        Ok(())
    }

    /// Names hard links, makes what comes last, and gives directories their attributes.
    fn finish(mut self) -> Result<Unpacked, LayerError> {
        for (link, first) in &self.seen.links {
            // the first name may have been replaced meanwhile: the group lives on by position
            let group = format!("{first}").into_bytes();
            let Entry {
                kind, placeholder, ..
            } = self.seen.entries[*first].clone();
            for at in [link, first] {
                let entry = &mut self.seen.entries[*at];
                if !matches!(entry.kind, Kind::File { .. }) {
                    continue;
                }
                entry.kind = kind.clone();
                entry.placeholder = placeholder;
                if let Kind::File { link, .. } = &mut entry.kind {
                    *link = Some(group.clone());
                }
            }
        }
        let mut gone = self.seen.gone.into_iter();
        let mut entries: Vec<Entry> = self.seen.entries;
        entries.retain(|_| gone.next() != Some(true));
        crate::layer::index::sort(&mut entries);
        for entry in &entries {
            if entry.kind == Kind::Whiteout {
                let fail = LayerError::io("make", self.root.join(&entry.path));
                self.place.whiteout(&entry.path).map_err(fail)?;
            }
        }
        let (root, xattrs) = (self.root, self.xattrs);
        // children first: making something in a directory changes its time
        entries
            .par_iter_mut()
            .filter(|entry| entry.is_dir())
            .try_for_each(|entry| {
                dir_attributes(root, xattrs, entry).map_err(LayerError::io(
                    "set the attributes of",
                    root.join(&entry.path),
                ))
            })?;
        Ok(Unpacked {
            entries,
            implied: self.implied,
        })
    }
}

impl Seen {
    fn forget_only(&mut self, path: &[u8]) {
        if let Some(at) = self.paths.remove(path) {
            self.gone[at] = true;
        }
    }
}

/// Makes a file that nothing is at.
fn create(parent: std::os::fd::BorrowedFd<'_>, name: &std::ffi::CStr) -> std::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(
        parent,
        name,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?)
}

/// Owner, mode, mark and time of a directory in which nothing is made any more.
pub(in crate::layer) fn dir_attributes(
    root: &Root,
    xattrs: Xattrs,
    entry: &mut Entry,
) -> std::io::Result<()> {
    use std::os::fd::AsFd;
    let dir =
        crate::disk::open_beneath(root.dir()?, &entry.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    entry.placeholder |= !place::chown(dir.as_fd(), entry.uid, entry.gid)?;
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(entry.mode))?;
    if matches!(entry.kind, Kind::Dir { opaque: true }) {
        rustix::fs::fsetxattr(&dir, xattrs.opaque(), b"y", rustix::fs::XattrFlags::empty())?;
    }
    Ok(rustix::fs::futimens(&dir, &place::times(entry.mtime))?)
}

/// An entry as the index has it.
fn entry(path: Vec<u8>, kind: Kind, header: &image::tar::Entry) -> Entry {
    let capability = header.xattrs.get(crate::disk::CAPABILITY.as_bytes());
    let capability = capability.filter(|_| matches!(kind, Kind::File { .. }));
    Entry {
        uid: header.uid,
        gid: header.gid,
        mtime: Timestamp {
            seconds: header.mtime.seconds,
            nanos: header.mtime.nanos,
        },
        xattrs: capability
            .map(|value| {
                (
                    crate::disk::CAPABILITY.to_owned(),
                    crate::disk::capability_v2(value.clone()),
                )
            })
            .into_iter()
            .collect(),
        ..Entry::new(path, kind, header.mode)
    }
}
