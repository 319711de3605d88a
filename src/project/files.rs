//! The files of a context's directory, for rules about them: names and sizes, and the beginning of
//! a file whose name is not enough.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use frontend::plan::ContextFiles;
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

/// Bytes of names that are read at once.
const NAMES: usize = 16 << 10;
/// Files of one directory whose sizes one thread asks for.
const AT_ONCE: usize = 256;
/// Bytes by which a file is judged.
const HEAD: u64 = 1024;

/// A directory with all that is in it. What cannot be read is not there.
#[derive(Debug)]
pub struct Directory(pub PathBuf);

/// Files with their sizes.
type Found = Vec<(Vec<u8>, u64)>;

impl ContextFiles for Directory {
    fn find(&self, wanted: &(dyn Fn(&[u8], u64) -> bool + Sync)) -> Found {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = rustix::fs::open(&self.0, flags, Mode::empty()) else {
            return Found::new();
        };
        // Without a store nobody has started them.
        if crate::threads::start().is_err() {
            return Found::new();
        }
        let mut found = Found::new();
        // All directories of one depth side by side: as many descriptors are open as there are threads.
        let mut level = vec![Vec::new()];
        while !level.is_empty() {
            let (files, next): (Vec<Found>, Vec<Vec<Vec<u8>>>) = level
                .into_par_iter()
                .map(|path| list(&root, &path, wanted))
                .unzip();
            found.extend(files.into_iter().flatten());
            level = next.into_iter().flatten().collect();
        }
        found
    }

    fn head(&self, path: &str) -> Vec<u8> {
        let mut head = Vec::new();
        // A pipe that has come in the file's place is not waited for.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = File::options()
            .read(true)
            .custom_flags(flags)
            .open(self.0.join(path));
        if let Ok(file) = file {
            // As much as could be read is judged.
            let _ = file.take(HEAD).read_to_end(&mut head);
        }
        head
    }
}

/// The wanted files of one directory, and its directories.
fn list(
    root: &OwnedFd,
    path: &[u8],
    wanted: &(dyn Fn(&[u8], u64) -> bool + Sync),
) -> (Found, Vec<Vec<u8>>) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let name = if path.is_empty() { b"." } else { path };
    let Ok(dir) = rustix::fs::openat(root, name, flags, Mode::empty()) else {
        return (Found::new(), Vec::new());
    };
    let whole = |name: &CString| {
        let mut whole = Vec::with_capacity(path.len() + 1 + name.as_bytes().len());
        if !path.is_empty() {
            whole.extend_from_slice(path);
            whole.push(b'/');
        }
        whole.extend_from_slice(name.as_bytes());
        whole
    };
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    let mut buffer = [MaybeUninit::uninit(); NAMES];
    let mut entries = RawDir::new(&dir, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        match entry.file_type() {
            FileType::Directory if matches!(name.to_bytes(), b"." | b"..") => {}
            FileType::Directory => directories.push(whole(&name.to_owned())),
            FileType::RegularFile | FileType::Unknown => files.push(name.to_owned()),
            _ => {}
        }
    }
    let stat = |name: &CString| {
        let stat = rustix::fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((
            FileType::from_raw_mode(stat.st_mode),
            u64::try_from(stat.st_size).ok()?,
        ))
    };
    // Where a file system does not tell kinds, a directory is among the files.
    let is_dot = |name: &CString| matches!(name.as_bytes(), b"." | b"..");
    let one = |name: &CString| match stat(name)? {
        (FileType::RegularFile, size) => {
            let path = whole(name);
            wanted(&path, size).then_some((path, Some(size)))
        }
        (FileType::Directory, _) if !is_dot(name) => Some((whole(name), None)),
        _ => None,
    };
    let told: Vec<_> = if files.len() > AT_ONCE {
        let files = files.par_iter().with_min_len(AT_ONCE);
        files.filter_map(one).collect()
    } else {
        files.iter().filter_map(one).collect()
    };
    let mut found = Found::new();
    for (path, size) in told {
        match size {
            Some(size) => found.push((path, size)),
            None => directories.push(path),
        }
    }
    (found, directories)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_listed_with_their_sizes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("x"), "123").unwrap();
        fs::write(dir.path().join("a/b/y"), "").unwrap();
        std::os::unix::fs::symlink("x", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(".", dir.path().join("a/loop")).unwrap();
        let files = Directory(dir.path().to_owned());
        let mut found = files.find(&|_, _| true);
        found.sort();
        assert_eq!(found, [(b"a/b/y".to_vec(), 0), (b"x".to_vec(), 3)]);
        assert_eq!(files.find(&|_, size| size > 0), [(b"x".to_vec(), 3)]);
        assert_eq!(files.head("x"), b"123");
        assert_eq!(files.head("link"), b"");
        let none = Directory(dir.path().join("none"));
        assert_eq!(none.find(&|_, _| true), []);
        for file in 0..2 * AT_ONCE + 3 {
            fs::write(dir.path().join(format!("a/{file}")), "").unwrap();
        }
        assert_eq!(files.find(&|_, size| size == 0).len(), 2 * AT_ONCE + 4);
    }
}
