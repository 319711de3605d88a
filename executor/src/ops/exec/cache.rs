//! Cache mounts of a step: directories of the store that outlive the build.
//!
//! All of a step's are taken together or none, so that two steps never wait for each other with
//! half of what they need.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache::mounts::{CacheMount, MountAnswer, MountRequest, NewCacheMount};
use cache::{Snapshot, View};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use solver::op::{ExecOp, MountKind, Sharing};
use solver::{Event, Job, TreeDigest};

use super::bind;
use crate::ops::Executor;
use crate::ops::error::OpError;
use crate::ops::tree::Tree;

/// Pause between two attempts at a mount that somebody else has.
const PAUSE: Duration = Duration::from_millis(50);

/// Identities that were made anew in this build, because it forces its steps.
#[derive(Default)]
pub struct Renewed(Mutex<HashSet<String>>);

/// What one mount asks for.
pub struct Wanted<'a> {
    sharing: Sharing,
    seed: Option<(usize, &'a str)>,
    owner: (u32, u32),
    mode: u32,
}

/// The instances of a step, by identity.
pub type Taken = BTreeMap<String, CacheMount>;

/// What selects a directory of its own: the id, and the rest where it is not the usual.
pub fn identity(kind: &MountKind, seed: Option<&TreeDigest>) -> Option<String> {
    let MountKind::Cache {
        id, uid, gid, mode, ..
    } = kind
    else {
        return None;
    };
    if (*uid, *gid, *mode) == (0, 0, 0o755) && seed.is_none() {
        return Some(id.clone());
    }
    let seed = seed.map(TreeDigest::hex).unwrap_or_default();
    Some(format!("{id}\n{uid}:{gid}:{mode:o}:{seed}"))
}

/// Takes all cache mounts of a step; waits for those that others have for themselves.
pub fn take(executor: &Executor, job: &Job<'_, Snapshot>, op: &ExecOp) -> Result<Taken, OpError> {
    let mut wanted = BTreeMap::new();
    let mut selections = job.selections.iter();
    for mount in &op.mounts {
        match &mount.kind {
            MountKind::Bind { .. } => drop(selections.next()),
            kind @ MountKind::Cache {
                sharing,
                from,
                source,
                uid,
                gid,
                mode,
                ..
            } => {
                let seed = from.map(|input| (input, source.as_str()));
                let digest = seed.and_then(|_| selections.next());
                let Some(identity) = identity(kind, digest) else {
                    continue;
                };
                wanted.entry(identity).or_insert(Wanted {
                    sharing: *sharing,
                    seed,
                    owner: (*uid, *gid),
                    mode: *mode,
                });
            }
            _ => {}
        }
    }
    let mut told = false;
    loop {
        if job.cancel.is_cancelled() {
            return Err(OpError::Cancelled);
        }
        match attempt(executor, job, &wanted)? {
            Ok(taken) => return Ok(taken),
            Err(busy) if !told => {
                told = true;
                let id = busy.lines().next().unwrap_or_default();
                job.events.event(Event::Waiting {
                    vertex: job.id,
                    owner: format!("another step that uses the cache mount {id}"),
                });
            }
            Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
}

/// All of them, or the identity of one that somebody else has.
fn attempt(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    wanted: &BTreeMap<String, Wanted<'_>>,
) -> Result<Result<Taken, String>, OpError> {
    let mut taken = Taken::new();
    for (identity, wanted) in wanted {
        let mut renewed = executor
            .renewed
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = job.forced && !renewed.contains(identity);
        let answer = executor.store().cache_mount(&MountRequest {
            identity: identity.clone(),
            sharing: wanted.sharing,
            fresh,
        })?;
        let mount = match answer {
            MountAnswer::Busy => return Ok(Err(identity.clone())),
            MountAnswer::Ready(mount) => mount,
            MountAnswer::New(new) => {
                prepare(executor, job, wanted, &new)?;
                new.ready()?
            }
        };
        if fresh {
            renewed.insert(identity.clone());
        }
        drop(renewed);
        taken.insert(identity.clone(), mount);
    }
    Ok(Ok(taken))
}

/// Gives a new instance its owner and mode, or its seed with the seed's.
fn prepare(
    executor: &Executor,
    job: &Job<'_, Snapshot>,
    wanted: &Wanted<'_>,
    new: &NewCacheMount,
) -> Result<(), OpError> {
    let path = new.fs();
    let name = path.as_os_str().as_encoded_bytes();
    let (mut owner, mut mode) = (wanted.owner, wanted.mode);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir =
        rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| OpError::io("open", name, e))?;
    if let Some((input, source)) = wanted.seed {
        let selector = bind::selector(source);
        let selected = executor.selected(job, input, &selector)?;
        let origin = executor.origin(job, input)?;
        let below = Arc::new(View::new(Vec::new()));
        let mut tree = Tree::new(below, executor.store().new_layer()?);
        if let Some(root) = selected.roots.first() {
            if !root.is_dir {
                return Err(OpError::Unsupported {
                    what: format!("a cache mount from the file {source}"),
                });
            }
            if let Some(first) = root.entries.first() {
                owner = (first.entry.uid, first.entry.gid);
                mode = first.entry.mode;
            }
            bind::put_root(&mut tree, &origin, root, b"")?;
        }
        tree.write_into(dir.as_fd())?;
    }
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    match rustix::fs::fchown(&dir, Some(uid), Some(gid)) {
        // An owner that this user namespace does not have is no owner of the step either.
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
        Err(error) => return Err(OpError::io("change the owner of", name, error)),
    }
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))
        .map_err(|e| OpError::io("change the mode of", name, e))
}

/// The directory of an instance, relative to the store.
pub fn relative(root: &Path, mount: &CacheMount) -> std::path::PathBuf {
    let fs = mount.fs();
    fs.strip_prefix(root).unwrap_or(fs).to_owned()
}
