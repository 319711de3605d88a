//! Fills a new file with the bytes of another: by sharing extents, in the kernel, or by hand.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

/// Below this size sharing extents costs more than copying.
const CLONE_FROM: u64 = 64 << 10;
const BUFFER: usize = 128 << 10;

/// Whether the store's file system refused to share extents once: it always will.
static CLONING_REFUSED: AtomicBool = AtomicBool::new(false);

/// Copies `from`, which has `size` bytes, into the empty `to`. Holes stay holes.
///
/// # Errors
/// An `UnexpectedEof` if there are fewer bytes.
pub fn copy_bytes(from: &File, to: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    if size >= CLONE_FROM && !CLONING_REFUSED.load(Ordering::Relaxed) {
        match ioctl_ficlone(to, from) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY | Errno::INVAL) => {
                CLONING_REFUSED.store(true, Ordering::Relaxed);
            }
            // Another file system: the next file may be of this one.
            Err(_) => {}
        }
    }
    let sparse = size >= CLONE_FROM && {
        let stat = rustix::fs::fstat(from)?;
        (stat.st_blocks as u64) * 512 < size
    };
    if !sparse {
        return copy_range(from, to, 0, size);
    }
    let mut at = 0;
    while at < size {
        let start = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data after this: the file ends with a hole.
            Err(Errno::NXIO) => break,
            Err(_) => return copy_range(from, to, at, size),
        };
        let end = seek(from, SeekFrom::Hole(start))?.min(size);
        if start < end {
            copy_range(from, to, start, end)?;
        }
        at = end.max(start);
    }
    Ok(ftruncate(to, size)?)
}

/// Copies the bytes from `start` to `end`, to the same place.
fn copy_range(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    let (mut read_at, mut write_at) = (start, start);
    while read_at < end {
        let want = usize::try_from(end - read_at)
            .unwrap_or(usize::MAX)
            .min(1 << 30);
        match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), want) {
            Ok(0) => return copy_by_hand(from, to, read_at, end),
            Ok(_) | Err(Errno::INTR) => {}
            Err(
                Errno::XDEV
                | Errno::NOSYS
                | Errno::INVAL
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::BADF
                | Errno::IO,
            ) => return copy_by_hand(from, to, read_at, end),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, to: &File, start: u64, end: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0; BUFFER];
    let mut at = start;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        match from.read_at(&mut buffer[..want], at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                to.write_all_at(&buffer[..count], at)?;
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn bytes_arrive_and_holes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(dir.path().join(name))
                .unwrap()
        };
        let from = open("from");
        from.write_all_at(b"begin", 0).unwrap();
        from.write_all_at(&vec![7; 70_000], 4 << 20).unwrap();
        from.set_len(9 << 20).unwrap();
        let to = open("to");
        copy_bytes(&from, &to, 9 << 20).unwrap();
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        assert!(read("from") == read("to"));
        let sparse = from.metadata().unwrap().blocks() < 9 << 11;
        assert!(!sparse || to.metadata().unwrap().blocks() < 9 << 11);

        let by_hand = open("by hand");
        copy_by_hand(&from, &by_hand, 0, 9 << 20).unwrap();
        assert!(read("from") == read("by hand"));
        assert!(copy_by_hand(&from, &by_hand, 0, (9 << 20) + 1).is_err());
    }
}
