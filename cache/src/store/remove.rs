//! Removing a tree that a container may have made: whatever its modes, and never through a link.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::StoreError;

/// How many directories below each other are open at once.
const DEPTH: usize = 32;

/// Removes what is at `path`, a tree or a file; nothing there is no error.
pub(crate) fn tree(path: &Path) -> Result<(), StoreError> {
    let remove = || match rustix::fs::unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // The kernel says the one, POSIX the other.
        Err(Errno::ISDIR | Errno::PERM) => {
            let top = open(CWD, path)?;
            let mut moved = 0;
            // Each round removes DEPTH levels; what is deeper was moved up for the next one.
            while empty(&top, &top, DEPTH, &mut moved)? {}
            rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)
        }
        Err(errno) => Err(errno),
    };
    remove().map_err(|errno| StoreError::io("remove", path)(errno.into()))
}

/// Removes the work directory of an overlay that is gone. What the kernel leaves in one is known, so
/// it is removed by name, from the inside out; anything else is looked for.
pub(crate) fn work(path: &Path) -> Result<(), StoreError> {
    if rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    let (file, dir) = (AtFlags::empty(), AtFlags::REMOVEDIR);
    for (name, kind) in [
        ("work/incompat/volatile/dirty", file),
        ("work/incompat/volatile", dir),
        ("work/incompat", dir),
        ("work", dir),
    ] {
        let _ = rustix::fs::unlinkat(CWD, path.join(name), kind);
    }
    match rustix::fs::unlinkat(CWD, path, dir) {
        Ok(()) => Ok(()),
        Err(_) => tree(path),
    }
}

/// Opens a directory so that entries can be removed from it; gives it the mode for that.
fn open(at: impl AsFd, path: impl rustix::path::Arg + Copy) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let rwx = Mode::RUSR | Mode::WUSR | Mode::XUSR;
    match rustix::fs::openat(&at, path, flags, Mode::empty()) {
        Ok(dir) => {
            // Only its owner may; for others the removal itself says what is wrong.
            let _ = rustix::fs::fchmod(&dir, rwx);
            Ok(dir)
        }
        Err(Errno::ACCESS) => {
            // chmod by name follows links; a path descriptor of the directory itself does not.
            let itself = rustix::fs::openat(&at, path, flags | OFlags::PATH, Mode::empty())?;
            let name = format!("/proc/self/fd/{}", itself.as_raw_fd());
            rustix::fs::chmodat(CWD, name, rwx, AtFlags::empty())?;
            rustix::fs::openat(&at, path, flags, Mode::empty())
        }
        Err(errno) => Err(errno),
    }
}

/// Removes everything in `dir`. Directories below `depth` are moved into `top` instead; whether
/// there were any is the answer.
fn empty(top: &OwnedFd, dir: &OwnedFd, depth: usize, moved: &mut u64) -> rustix::io::Result<bool> {
    let mut again = false;
    // Removing while reading is what rm(1) does: an entry is read once or was there no more.
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) if entry.file_type() == FileType::Unknown => (),
                other => {
                    other?;
                    continue;
                }
            }
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) => continue,
            Err(Errno::NOTEMPTY | Errno::EXIST) => (),
            Err(errno) => return Err(errno),
        }
        let below = open(dir, name)?;
        if depth > 0 {
            again |= empty(top, &below, depth - 1, moved)?;
            rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?;
        } else {
            *moved += 1;
            let place = format!(".rbuild-removes-{moved}");
            rustix::fs::renameat_with(dir, name, top, place, RenameFlags::NOREPLACE)?;
            again = true;
        }
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn directories_without_any_mode_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let shut = dir.path().join("top/shut");
        std::fs::create_dir_all(shut.join("deep")).unwrap();
        std::fs::write(shut.join("file"), "x").unwrap();
        std::os::unix::fs::symlink("/", shut.join("link")).unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&shut.join("deep"), 0);
        mode(&shut, 0);
        tree(&dir.path().join("top")).unwrap();
        assert!(!dir.path().join("top").exists());
        tree(&dir.path().join("top")).unwrap();
    }

    #[test]
    fn work_directories_are_removed_whatever_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("work");
        let made: [&[&str]; 4] = [
            &[],
            &["work"],
            &["work/incompat/volatile"],
            &["work/incompat/other/dir", "index/x"],
        ];
        for dirs in made {
            std::fs::create_dir(&path).unwrap();
            for dir in dirs {
                std::fs::create_dir_all(path.join(dir)).unwrap();
                std::fs::write(path.join(dir).join("dirty"), "").unwrap();
            }
            work(&path).unwrap();
            assert!(!path.exists(), "{dirs:?}");
        }
        work(&path).unwrap();
    }

    #[test]
    fn a_tree_deeper_than_descriptors_go_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let mut at = open(CWD, &top).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            std::fs::write(format!("/proc/self/fd/{}/f", at.as_raw_fd()), "x").unwrap();
            at = open(&at, "d").unwrap();
        }
        tree(&top).unwrap();
        assert!(!top.exists());
    }

    #[test]
    fn what_a_link_points_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::os::unix::fs::symlink(&kept, dir.path().join("link")).unwrap();
        tree(&dir.path().join("link")).unwrap();
        assert!(kept.exists());
    }
}
