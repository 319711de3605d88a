//! Digests of files' contents: plain BLAKE3, of a large file by all threads of the pool, each
//! reading a part of it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use solver::ContentDigest;

/// Buffer of a thread that digests: small files are read whole.
const CHUNK: usize = 128 << 10;
/// From this size on a file is digested by all threads of the pool.
const LARGE: u64 = 4 << 20;
/// What one task of a large file reads at once. A power of two, as BLAKE3's tree has it.
const LEAF: u64 = 512 << 10;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Digests `file`, which stands at its beginning, and counts its bytes. `expected_size` is what it most likely
/// has; any other is right too.
pub(crate) fn digest(file: &File, expected_size: u64) -> io::Result<(ContentDigest, u64)> {
    if expected_size >= LARGE
        && let Some(content) = large(file, expected_size)?
    {
        return Ok((content, expected_size));
    }
    with_buffer(CHUNK, |buffer| in_order(buffer, file))
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct ReadFile {
    pub content: ContentDigest,
    /// Bytes it had.
    pub size: u64,
    /// Those, if there were few.
    pub bytes: Option<Box<[u8]>>,
}

/// As [`digest`], and gives the bytes too, if there are no more than `keep` of them.
pub(crate) fn digest_keeping(file: &File, expected_size: u64, keep: usize) -> io::Result<ReadFile> {
    if expected_size > keep.min(CHUNK - 1) as u64 {
        let (content, size) = digest(file, expected_size)?;
        return Ok(ReadFile {
            content,
            size,
            bytes: None,
        });
    }
    with_buffer(CHUNK, |buffer| {
        let (content, size) = in_order(buffer, file)?;
        // a file that ends within the first buffer is in it
        let bytes = usize::try_from(size).ok().filter(|size| *size <= keep);
        let bytes = bytes.and_then(|size| buffer.get(..size));
        let whole = bytes.filter(|bytes| bytes.len() < CHUNK);
        Ok(ReadFile {
            content,
            size,
            bytes: whole.map(Box::from),
        })
    })
}

/// Runs `work` with a buffer of this thread's.
fn with_buffer<T>(size: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    // Taken out for as long as it is used: the pool may run another digest on this thread meanwhile.
    let mut buffer = BUFFER.take();
    if buffer.len() < size {
        buffer.resize(size, 0);
    }
    let result = work(&mut buffer[..size]);
    BUFFER.set(buffer);
    result
}

/// One chunk after the other.
fn in_order(buffer: &mut [u8], file: &File) -> io::Result<(ContentDigest, u64)> {
    let mut hasher = None::<blake3::Hasher>;
    let mut size = 0;
    loop {
        let (filled, ended) = fill(buffer, file)?;
        size += filled as u64;
        if ended && hasher.is_none() {
            return Ok((ContentDigest::of(&buffer[..filled]), size));
        }
        let hasher = hasher.get_or_insert_with(blake3::Hasher::new);
        hasher.update(&buffer[..filled]);
        if ended {
            return Ok((ContentDigest(*hasher.finalize().as_bytes()), size));
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(buffer: &mut [u8], mut file: &File) -> io::Result<(usize, bool)> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok((filled, true)),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((filled, false))
}

/// A file of `size` bytes, its parts side by side; none if it has another size.
fn large(file: &File, size: u64) -> io::Result<Option<ContentDigest>> {
    let left = left_subtree_len(size);
    let (first, second) = rayon::join(
        || subtree(file, 0, left),
        || subtree(file, left, size - left),
    );
    let (Some(first), Some(second)) = (first?, second?) else {
        return Ok(None);
    };
    if file.read_at(&mut [0], size)? != 0 {
        return Ok(None);
    }
    let root = merge_subtrees_root(&first, &second, Mode::Hash);
    Ok(Some(ContentDigest(*root.as_bytes())))
}

/// The part of a file from `start` on, which is a subtree of BLAKE3's; none if the file ends before it does.
fn subtree(file: &File, start: u64, len: u64) -> io::Result<Option<ChainingValue>> {
    if len <= LEAF {
        return with_buffer(LEAF as usize, |buffer| {
            leaf(&mut buffer[..len as usize], file, start)
        });
    }
    let left = left_subtree_len(len);
    let (first, second) = rayon::join(
        || subtree(file, start, left),
        || subtree(file, start + left, len - left),
    );
    let (Some(first), Some(second)) = (first?, second?) else {
        return Ok(None);
    };
    Ok(Some(merge_subtrees_non_root(&first, &second, Mode::Hash)))
}

fn leaf(buffer: &mut [u8], file: &File, start: u64) -> io::Result<Option<ChainingValue>> {
    match file.read_exact_at(buffer, start) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(start).update(buffer);
    Ok(Some(hasher.finalize_non_root()))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn what_is_kept_is_what_was_digested() {
        for size in [0, 1, 70, 71, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
            for told in [0, size, 71] {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&bytes).unwrap();
                file.rewind().unwrap();
                let read = digest_keeping(&file, told as u64, 70).unwrap();
                let expected = (ContentDigest::of(&bytes), size as u64);
                assert_eq!((read.content, read.size), expected);
                let kept = read.bytes;
                assert!(
                    kept.is_none_or(|kept| size <= 70 && *kept == bytes),
                    "{size} {told}"
                );
            }
        }
    }

    #[test]
    fn digests_are_plain_blake3_whatever_the_size() {
        let large = LARGE as usize;
        let sizes = [
            0,
            1,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            large - 1,
            large,
            large + 1,
            9 * large / 2 + 7,
        ];
        for size in sizes {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let expected = (ContentDigest::of(&bytes), size as u64);
            // a size that is not so changes nothing
            for told in [size, 0, large, 2 * size + large] {
                file.rewind().unwrap();
                assert_eq!(
                    digest(&file, told as u64).unwrap(),
                    expected,
                    "{size} {told}"
                );
            }
        }
    }
}
