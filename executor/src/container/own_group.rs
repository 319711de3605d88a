//! The control group of this process, below which alone an ordinary user may make others.
//!
//! A group that hands controllers on may hold no process itself (cgroup-v2.rst, "No Internal Process
//! Constraint"). Whoever asked for limits is in that group, and so is the shell that started it: before
//! the first limit all of them move one group down.

use std::io::Write;
use std::path::Path;

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

/// Moves the processes of an ordinary user's own group aside, so that limits can be set below it. Does
/// nothing where the group is not the user's to divide: setting the limit will say why it cannot be.
pub(crate) fn step_aside() {
    if namespace::is_initial() && namespace::is_admin() {
        // root's groups are made at the top of the tree
        return;
    }
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if let Some(own) = own(&text) {
        let group = Path::new("/sys/fs/cgroup").join(own.trim_start_matches('/'));
        empty(&group);
    }
}

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
            // one that has ended meanwhile, or is another's
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
}
