//! The control group of this process, below which alone an ordinary user may make others.
//!
//! A group that hands controllers on may hold no process itself (cgroup-v2.rst, "No Internal Process
//! Constraint"). Whoever asked for limits is in that group, and so is the shell that started it: before
//! the first limit all of them move one group down.

use std::io::Write;
use std::path::Path;

use super::spec::Resources;
use crate::namespace;

/// Where the processes of a group go that hands controllers on.
const ASIDE: &str = "rbuild-own";
/// How often processes are moved that came while others were.
const ROUNDS: usize = 100;

/// The group of a process in the tree of version 2, from the text of /proc/self/cgroup.
pub(crate) fn own(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let moved = path
        .strip_suffix(ASIDE)
        .and_then(|path| path.strip_suffix('/'));
    Some(moved.unwrap_or(path))
}

/// Moves the processes of an ordinary user's own group aside, so that `limits` can be set below it. Does
/// nothing where there are none to set, and where the group is not the user's to divide: setting the
/// limit will say why it cannot be.
pub(crate) fn step_aside(limits: &Resources) {
    let is_root = namespace::is_initial() && namespace::is_admin();
    // root's groups are made at the top of the tree
    if is_root || *limits == Resources::default() {
        return;
    }
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if let Some(own) = own(&text) {
        let group = Path::new("/sys/fs/cgroup").join(own.trim_start_matches('/'));
        empty(&group);
    }
}

/// Moves the processes of `group` into one below it.
fn empty(group: &Path) {
    let aside = group.join(ASIDE);
    if !group.join("cgroup.procs").exists()
        || std::fs::create_dir(&aside).is_err() && !aside.is_dir()
    {
        return;
    }
    for _ in 0..ROUNDS {
        let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        let mut moved = false;
        for process in text.lines() {
            // fails for one that has ended meanwhile, or is another's
            let written = std::fs::OpenOptions::new()
                .write(true)
                .open(aside.join("cgroup.procs"))
                .and_then(|mut file| file.write_all(process.as_bytes()));
            moved |= written.is_ok();
        }
        if !moved {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn the_own_group_is_the_one_that_is_divided() {
        for (text, group) in [
            ("4:memory:/x\n0::/user.slice/a\n", Some("/user.slice/a")),
            ("0::/user.slice/a/rbuild-own\n", Some("/user.slice/a")),
            ("0::/\n", Some("/")),
            ("0::/not-rbuild-own\n", Some("/not-rbuild-own")),
            ("4:memory:/x\n", None),
        ] {
            assert_eq!(own(text), group, "{text}");
        }
    }

    /// Two directories stand for groups, and a pipe for the file that takes processes. The processes
    /// stay listed, as those do that are born as fast as others are moved.
    #[test]
    fn processes_are_moved_one_by_one_and_not_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let group = place.path();
        let (procs, aside) = (group.join("cgroup.procs"), group.join(ASIDE));
        empty(group);
        assert!(!aside.exists(), "that is no control group");

        std::fs::write(&procs, "12\n345\n").unwrap();
        empty(group);
        assert!(aside.is_dir());

        let taken = aside.join("cgroup.procs");
        rustix::fs::mknodat(CWD, &taken, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let mut pipe = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&taken)
            .unwrap();
        empty(group);
        pipe.write_all(b".").unwrap();
        let mut written = [0; 1000];
        let length = pipe.read(&mut written).unwrap();
        let all = "12345".repeat(ROUNDS) + ".";
        assert_eq!(String::from_utf8_lossy(&written[..length]), all);

        std::fs::write(&procs, "").unwrap();
        empty(group);
        pipe.write_all(b".").unwrap();
        assert_eq!(pipe.read(&mut written).unwrap(), 1);
    }

    #[test]
    fn a_group_that_is_not_the_users_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let (procs, aside) = (place.path().join("cgroup.procs"), place.path().join(ASIDE));
        std::fs::write(&procs, "12\n").unwrap();
        std::fs::write(&aside, "").unwrap();
        empty(place.path());
        assert_eq!(std::fs::read(&aside).unwrap(), b"");
        assert_eq!(std::fs::read(&procs).unwrap(), b"12\n");
    }
}
