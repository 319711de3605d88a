//! The names in a directory, all in one buffer. Knows nothing of what they name.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::RawDir;
use rustix::io::Errno;

/// Bytes that the kernel is asked for at once.
const BUFFER: usize = 16 << 10;

/// The names in one directory, without `.` and `..`, sorted.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Each name with a zero byte at its end.
    bytes: Vec<u8>,
    /// Where each begins, and its length without the zero byte.
    all: Vec<(u32, u32)>,
}

impl Names {
    /// Reads the open directory `dir`.
    pub fn read(dir: BorrowedFd<'_>) -> io::Result<Self> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER];
        let mut entries = RawDir::new(dir, &mut buffer);
        let mut names = Self::default();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name)?;
            }
        }
        let bytes = &names.bytes;
        names
            .all
            .sort_unstable_by(|a, b| slice(bytes, *a).cmp(slice(bytes, *b)));
        Ok(names)
    }

    fn push(&mut self, name: &CStr) -> io::Result<()> {
        // Four gigabytes of names in one directory.
        let start = u32::try_from(self.bytes.len()).map_err(|_| Errno::OVERFLOW)?;
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
        self.all.push((start, name.to_bytes().len() as u32));
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// One of them.
    pub fn get(&self, at: usize) -> &[u8] {
        slice(&self.bytes, self.all[at])
    }

    /// The same for system calls.
    pub fn c_str(&self, at: usize) -> &CStr {
        let (start, len) = self.all[at];
        let name = &self.bytes[start as usize..][..=len as usize];
        CStr::from_bytes_with_nul(name).expect("a directory's names hold no zero bytes")
    }
}

fn slice(bytes: &[u8], (start, len): (u32, u32)) -> &[u8] {
    &bytes[start as usize..][..len as usize]
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn names_are_all_there_and_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let longest = "n".repeat(255);
        let mut written: Vec<Vec<u8>> = (0..700).map(|n| format!("f{n}").into_bytes()).collect();
        written.extend([b"a\xff".to_vec(), b"a".to_vec(), longest.into_bytes()]);
        for name in &written {
            std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
        }
        written.sort();
        let open = std::fs::File::open(dir.path()).unwrap();
        let names = Names::read(open.as_fd()).unwrap();
        let read: Vec<&[u8]> = (0..names.len()).map(|at| names.get(at)).collect();
        assert_eq!(read, written);
        assert!((0..names.len()).all(|at| names.c_str(at).to_bytes() == names.get(at)));
    }
}
