//! Where a file system lays what is made in a directory.

use std::path::Path;

use rustix::fs::{IFlags, Mode, OFlags};

/// Asks the file system to lay each directory made in `path` apart from the others.
///
/// What is made beside each other here has nothing to do with each other: layers of two builds, the
/// changes of two containers. ext2, ext3 and ext4 otherwise lay them into the block group of their
/// parent, where everyone asks for inodes in turn, and where one without a journal first looks at each
/// inode that was freed in the last minutes (`T` of chattr(1)). The flag is a hint: a file system
/// that does not know it is left as it is.
pub(super) fn spread(path: &Path) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::open(path, flags, Mode::empty()) else {
        return;
    };
    if let Ok(had) = rustix::fs::ioctl_getflags(&dir) {
        let _ = rustix::fs::ioctl_setflags(&dir, had | IFlags::TOPDIR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_taken_where_the_file_system_has_it_and_adds_to_the_flags_that_are_there() {
        let place = tempfile::tempdir().unwrap();
        let flags = || {
            let dir = std::fs::File::open(place.path()).unwrap();
            rustix::fs::ioctl_getflags(&dir).ok()
        };
        let before = flags();
        spread(place.path());
        // other file systems may know flags, and not this one
        let is_ext = rustix::fs::statfs(place.path()).unwrap().f_type == 0xEF53;
        let with_hint = before.map(|had| had | IFlags::TOPDIR);
        assert!(
            flags() == with_hint || !is_ext && flags() == before,
            "{before:?} {:?}",
            flags()
        );
        // nothing to say about what is not there
        spread(&place.path().join("missing"));
    }
}
