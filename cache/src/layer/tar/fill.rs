//! Files filled side by side while an archive is read on.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use image::tar::Body;
use rustix::fs::{Mode, SeekFrom, XattrFlags};
use solver::ContentDigest;

use crate::disk::Root;
use crate::layer::{Entry, LayerError, place};

/// Larger files are filled by the thread that reads the archive.
const SMALL: u64 = 256 << 10;
/// Files that wait to be filled: with their bytes at most `SMALL` each.
const WAITING: usize = 64;
/// What a large file is copied by.
const CHUNK: usize = 1 << 20;
/// More threads than this only wait for the file system's journal.
const MOST_THREADS: usize = 8;

/// A file to be filled.
pub(super) struct Job {
    /// Position of its entry.
    at: usize,
    file: std::fs::File,
    entry: Entry,
    /// Other attributes of the archive's: kept on disk where that can be, and counting for nothing.
    user: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Job {
    pub fn new(at: usize, file: OwnedFd, entry: &Entry, header: &image::tar::Entry) -> Self {
        let is_user =
            |name: &[u8]| name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        let user = header.xattrs.iter().filter(|(name, _)| is_user(name));
        Self {
            at,
            file: file.into(),
            entry: entry.clone(),
            user: user
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    /// Owner, mode, attributes and time, once all is written; false when the disk cannot hold them.
    fn finish(&self) -> io::Result<bool> {
        let file = self.file.as_fd();
        let mut held = place::chown(file, self.entry.uid, self.entry.gid)?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.entry.mode))?;
        for (name, value) in &self.entry.xattrs {
            held &= rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()).is_ok();
        }
        for (name, value) in &self.user {
            // some file systems have no room for them, or do not know them
            let _ = rustix::fs::fsetxattr(file, name.as_slice(), value, XattrFlags::empty());
        }
        rustix::fs::futimens(file, &place::times(self.entry.mtime))?;
        Ok(held)
    }
}

/// Position of an entry, its content, and whether the disk holds its attributes.
pub(super) type Filled = (usize, ContentDigest, bool);

/// Where files go to be filled.
pub(super) struct Filler<'r> {
    root: &'r Root,
    jobs: Sender<(Job, Vec<u8>)>,
    done: Sender<Result<Filled, LayerError>>,
}

/// Runs `read` beside threads that fill the files it makes; what they filled.
pub(super) fn with_fillers(
    root: &Root,
    read: impl FnOnce(&Filler<'_>) -> Result<(), LayerError>,
) -> Result<Vec<Filled>, LayerError> {
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(1, MOST_THREADS);
    let (jobs, waiting) = bounded(WAITING);
    let (done, filled) = unbounded();
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..threads {
            let (waiting, done) = (waiting.clone(), done.clone());
            let spawned = std::thread::Builder::new()
                .spawn_scoped(scope, move || work(root, &waiting, &done));
            match spawned {
                Ok(_) => started += 1,
                // Those that there are fill all of them.
                Err(_) if started > 0 => break,
                Err(error) => {
                    return Err(LayerError::io("start a thread for", root.join(b""))(error));
                }
            }
        }
        drop(waiting);
        read(&Filler { root, jobs, done })?;
        filled.iter().collect()
    })
}

fn work(
    root: &Root,
    waiting: &Receiver<(Job, Vec<u8>)>,
    done: &Sender<Result<Filled, LayerError>>,
) {
    for (mut job, bytes) in waiting {
        let filled = job.file.write_all(&bytes).and_then(|()| {
            let content = ContentDigest::of(&bytes);
            Ok((job.at, content, job.finish()?))
        });
        let filled = filled.map_err(LayerError::io("write", root.join(&job.entry.path)));
        let failed = filled.is_err();
        if done.send(filled).is_err() || failed {
            return;
        }
    }
}

impl Filler<'_> {
    /// Fills a file with what the archive has for it.
    pub fn fill<R: Read>(&self, job: Job, mut body: Body<'_, R>) -> Result<(), LayerError> {
        let crate::layer::Kind::File { size, .. } = job.entry.kind else {
            return Ok(());
        };
        let archive = |error: io::Error| LayerError::Archive(error.into());
        if size > SMALL {
            let fail = LayerError::io("write", self.root.join(&job.entry.path));
            let filled = fill_large(&job, size, &mut body).map_err(|error| match error {
                Failed::Archive(error) => archive(error),
                Failed::File(error) => fail(error),
            })?;
            let _ = self.done.send(Ok(filled));
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(size as usize);
        body.read_to_end(&mut bytes).map_err(archive)?;
        if bytes.len() as u64 != size {
            return Err(archive(io::ErrorKind::UnexpectedEof.into()));
        }
        // when no thread is left, one of them failed and has said why
        let _ = self.jobs.send((job, bytes));
        Ok(())
    }
}

enum Failed {
    Archive(io::Error),
    File(io::Error),
}

fn fill_large<R: Read>(job: &Job, size: u64, body: &mut Body<'_, R>) -> Result<Filled, Failed> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let mut file = &job.file;
    let mut written = 0;
    while written < size {
        let hole = body.skip_hole();
        if hole > 0 {
            buffer.fill(0);
            let mut left = hole;
            while left > 0 {
                let piece = left.min(CHUNK as u64);
                hasher.update(&buffer[..piece as usize]);
                left -= piece;
            }
            rustix::fs::seek(file, SeekFrom::Current(hole as i64))
                .map_err(|e| Failed::File(e.into()))?;
            written += hole;
            continue;
        }
        let read = match body.read(&mut buffer) {
            Ok(0) => return Err(Failed::Archive(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failed::Archive(error)),
        };
        hasher.update_rayon(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(Failed::File)?;
        written += read as u64;
    }
    // a hole at the end
    rustix::fs::ftruncate(file, size).map_err(|e| Failed::File(e.into()))?;
    let held = job.finish().map_err(Failed::File)?;
    Ok((job.at, ContentDigest(*hasher.finalize().as_bytes()), held))
}
