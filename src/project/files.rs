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
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

/// Bytes of names that are read at once.
const NAMES: usize = 32 << 10;
/// Bytes by which a file is judged.
const HEAD: u64 = 1024;

/// A directory with all that is in it. What cannot be read is not there.
#[derive(Debug)]
pub struct Directory(pub PathBuf);

impl ContextFiles for Directory {
    fn visit(&self, visit: &mut dyn FnMut(&[u8], u64)) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = rustix::fs::open(&self.0, flags, Mode::empty()) else {
            return;
        };
        let mut buffer = vec![MaybeUninit::uninit(); NAMES];
        let mut open = vec![CString::default()];
        while let Some(path) = open.pop() {
            let dir = if path.is_empty() {
                rustix::fs::openat(&root, c".", flags, Mode::empty())
            } else {
                rustix::fs::openat(&root, &*path, flags | OFlags::NOFOLLOW, Mode::empty())
            };
            if let Ok(dir) = dir {
                list(&dir, path.as_bytes(), &mut buffer, &mut open, visit);
            }
        }
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

/// Tells `visit` of the files of one directory, and adds its directories to `open`.
fn list(
    dir: &OwnedFd,
    path: &[u8],
    buffer: &mut [MaybeUninit<u8>],
    open: &mut Vec<CString>,
    visit: &mut dyn FnMut(&[u8], u64),
) {
    let mut whole = path.to_vec();
    if !path.is_empty() {
        whole.push(b'/');
    }
    let above = whole.len();
    let mut entries = RawDir::new(dir, buffer);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let mut kind = entry.file_type();
        let mut size = None;
        if matches!(kind, FileType::RegularFile | FileType::Unknown) {
            let Ok(stat) = rustix::fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            kind = FileType::from_raw_mode(stat.st_mode);
            size = u64::try_from(stat.st_size).ok();
        }
        whole.truncate(above);
        whole.extend_from_slice(name.to_bytes());
        match (kind, size) {
            (FileType::RegularFile, Some(size)) => visit(&whole, size),
            (FileType::Directory, _) => open.extend(CString::new(whole.clone())),
            _ => {}
        }
    }
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
        let mut found = Vec::new();
        files.visit(&mut |path, size| {
            found.push((String::from_utf8_lossy(path).into_owned(), size));
        });
        found.sort();
        assert_eq!(found, [("a/b/y".to_owned(), 0), ("x".to_owned(), 3)]);
        assert_eq!(files.head("x"), b"123");
        assert_eq!(files.head("link"), b"");
        Directory(dir.path().join("none")).visit(&mut |_, _| panic!("it has no files"));
    }
}
