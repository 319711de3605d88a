//! Unpacks an archive below a directory of a tree, which acts as the root for it.
//!
//! As the reference does: `..` and absolute links stop at the destination, members replace what is
//! there but for directories over directories, owners come from the archive unless given, and a
//! name that begins like a whiteout is a name.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use cache::layer::entry::{join, split};
use cache::{Entry, Kind, Resolved, TimeRule, Timestamp};
use image::tar::{self, Reader};
use solver::{Cancel, ContentDigest};

use super::{Archive, BUFFER};
use crate::ops::error::OpError;
use crate::ops::owner::Owner;
use crate::ops::tree::{Content, Making, Tree, not_a_directory};

/// More members than any archive has that somebody means to unpack.
const MAX_MEMBERS: u64 = 10_000_000;
/// What an archive may hold however small it is, in bytes.
const ALWAYS_ALLOWED: u64 = 4 << 30;
/// Beyond that, how many times its own size: more than gzip can reach with honest content.
const MAX_RATIO: u64 = 1100;

const CAPABILITY: &[u8] = b"security.capability";

/// Unpacks `archive` into the directory `dest`, which has no links in its path. Missing parents
/// of members are made 0755 and root's.
pub fn add(
    archive: Archive,
    tree: &mut Tree,
    dest: &[u8],
    owner: Option<Owner>,
    cancel: &Cancel,
) -> Result<(), OpError> {
    let failed = |source: io::Error| OpError::BadArchive {
        archive: archive.name.clone(),
        source,
    };
    let refused = |reason: String| OpError::ArchiveRefused {
        archive: archive.name.clone(),
        reason,
    };
    let (plain, check) = archive.open().map_err(failed)?;
    let mut reader = Reader::new(BufReader::with_capacity(BUFFER, plain));
    let limit = ALWAYS_ALLOWED.max(archive.size.saturating_mul(MAX_RATIO));
    let (mut members, mut total) = (0, 0_u64);
    while let Some(member) = reader.next_entry().map_err(|e| failed(e.into()))? {
        if cancel.is_cancelled() {
            return Err(OpError::Cancelled);
        }
        members += 1;
        total = total.saturating_add(member.size);
        if members > MAX_MEMBERS {
            return Err(refused(format!("it has more than {MAX_MEMBERS} members")));
        }
        if total > limit {
            return Err(refused(format!(
                "{} bytes would become more than {limit}",
                archive.size
            )));
        }
        let name = clean(&member.path);
        if name.is_empty() {
            if member.kind == tar::Kind::Dir {
                continue;
            }
            return Err(refused(
                "a member that is no directory is named `.`".to_owned(),
            ));
        }
        let path = place(tree, dest, &name)?.ok_or_else(|| {
            let name = String::from_utf8_lossy(&name);
            refused(format!(
                "{name}: no such file or directory: a link before it leads nowhere"
            ))
        })?;
        let mut entry = Entry {
            uid: owner.map_or(member.uid, |owner| owner.uid),
            gid: owner.map_or(member.gid, |owner| owner.gid),
            mtime: Timestamp {
                seconds: member.mtime.seconds,
                nanos: member.mtime.nanos,
            },
            xattrs: capability(&member),
            ..Entry::new(path, Kind::Fifo, member.mode)
        };
        entry.kind = match member.kind {
            tar::Kind::File => {
                let spool = tree.spool_path();
                let (kind, content) = if member.size == 0 {
                    let kind = file(0, ContentDigest::of(b""));
                    (kind, Content::Nothing)
                } else {
                    let digest = write(&mut reader.body(), &spool, member.size).map_err(failed)?;
                    (file(member.size, digest), Content::Spool(spool))
                };
                entry.kind = kind;
                tree.put(entry, content, None)?;
                continue;
            }
            tar::Kind::HardLink { target } => {
                let missing = |target: &[u8]| OpError::MissingLinkTarget {
                    archive: archive.name.clone(),
                    member: String::from_utf8_lossy(&name).into_owned(),
                    target: String::from_utf8_lossy(target).into_owned(),
                };
                hard_link(tree, dest, entry.path, &target)?.ok_or_else(|| missing(&target))?;
                continue;
            }
            tar::Kind::Symlink { target } => {
                entry.mode = 0o777;
                Kind::Symlink { target }
            }
            tar::Kind::Dir => Kind::Dir { opaque: false },
            tar::Kind::Fifo => Kind::Fifo,
            // the kernel lets nobody make a file of an overlay that hides one below it
            tar::Kind::CharDevice { major: 0, minor: 0 } => {
                let name = String::from_utf8_lossy(&name);
                return Err(refused(format!("{name}: operation not permitted")));
            }
            tar::Kind::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            tar::Kind::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
        };
        tree.put(entry, Content::Nothing, None)?;
    }
    drop(reader);
    if check.finish().map_err(failed)? {
        Ok(())
    } else {
        Err(OpError::SelectionChanged { path: archive.name })
    }
}

fn file(size: u64, content: ContentDigest) -> Kind {
    Kind::File {
        size,
        content,
        link: None,
    }
}

/// The names of a path joined anew, `..` taken by the name before it or by the root.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut clean: Vec<&[u8]> = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(clean.pop()),
            name => clean.push(name),
        }
    }
    clean.join(&b'/')
}

/// The path in the tree of the member `name`: links in its directory are followed below `dest`.
/// None if one leads nowhere.
fn place(tree: &mut Tree, dest: &[u8], name: &[u8]) -> Result<Option<Vec<u8>>, OpError> {
    let (parent, name) = split(name);
    let parent = match tree.resolve_below(dest, parent, true)? {
        Resolved::Entry(entry) if entry.is_dir() => entry.path,
        Resolved::Entry(entry) => return Err(not_a_directory(&entry.path)),
        Resolved::Missing(path) => {
            if path != join(dest, parent) && has_dangling(tree, dest, parent)? {
                return Ok(None);
            }
            let making = Making {
                mode: 0o755,
                owner: Owner::default(),
                mtime: (tree.now()?, TimeRule::Now),
            };
            tree.make_dirs(&path, making)?
        }
    };
    Ok(Some(join(&parent, name)))
}

/// Whether a component of `path`, below `dest`, is a link that leads nowhere.
fn has_dangling(tree: &Tree, dest: &[u8], path: &[u8]) -> Result<bool, OpError> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    for end in slashes.map(|(at, _)| at).chain([path.len()]) {
        let is_there = |follow| {
            let found = tree.resolve_below(dest, &path[..end], follow)?;
            Ok::<_, OpError>(matches!(found, Resolved::Entry(_)))
        };
        if is_there(false)? && !is_there(true)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes `path` another name of the member or existing file `target`; none if there is none.
fn hard_link(
    tree: &mut Tree,
    dest: &[u8],
    path: Vec<u8>,
    target: &[u8],
) -> Result<Option<()>, OpError> {
    let Resolved::Entry(there) = tree.resolve_below(dest, &clean(target), false)? else {
        return Ok(None);
    };
    if there.is_dir() || there.path == path {
        return Ok(None);
    }
    let from = there.path.clone();
    if matches!(there.kind, Kind::File { .. }) {
        if let Some((inode, entry, content)) = tree.inode_of(&from) {
            tree.put(Entry { path, ..entry }, content, Some(inode))?;
        } else {
            // Below this layer: a hard link across layers is a file of its own.
            let content = tree.content_below(&from);
            let mut entry = Entry { path, ..there };
            if let Kind::File { link, .. } = &mut entry.kind {
                *link = None;
            }
            tree.put(entry, content, None)?;
        }
    } else {
        tree.put(Entry { path, ..there }, Content::Nothing, None)?;
    }
    Ok(Some(()))
}

/// Writes the `size` bytes of a member to a new file, blocks of zeros as holes.
fn write(body: &mut dyn Read, path: &std::path::Path, size: u64) -> io::Result<ContentDigest> {
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER))];
    let mut at = 0;
    let mut hole = false;
    while at < size {
        let count = body.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = &buffer[..count];
        hasher.update(bytes);
        hole = count >= 4096 && bytes.iter().all(|&byte| byte == 0);
        if !hole {
            file.write_all_at(bytes, at)?;
        }
        at += count as u64;
    }
    if hole {
        file.set_len(size)?;
    }
    Ok(ContentDigest(*hasher.finalize().as_bytes()))
}

/// The one attribute that layers keep, in the form without a user namespace's root (see
/// capabilities(7), "File capability extended attribute versioning").
fn capability(member: &tar::Entry) -> Vec<(String, Vec<u8>)> {
    const V2_LEN: usize = 20;
    const V3_LEN: usize = 24;
    let Some(value) = member.xattrs.get(CAPABILITY) else {
        return Vec::new();
    };
    let mut value = value.clone();
    if value.len() == V3_LEN && value[3] == 3 {
        value[3] = 2;
        value.truncate(V2_LEN);
    }
    vec![("security.capability".to_owned(), value)]
}
