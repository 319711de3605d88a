//! Every system call of a list, refused or never come back from, in rbuild, its launcher and the
//! containers: the build succeeds or says what failed with a documented exit code, nothing hangs and
//! nothing is left, and the next build is right. A few calls in the ordinary run; in the long one
//! all of the list, each at its first dozen times.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kills::{builds_right, emptied, project, words};
use crate::place::{Place, binary, is_long, said};
use crate::still;

/// The calls that the ordinary run tampers with.
const FEW: &[&str] = &[
    "renameat2,rename,renameat",
    "fsmount",
    "mkdirat,mkdir",
    "pwrite64",
    "openat2",
];

/// All that a build depends on.
const MANY: &[&str] = &[
    "renameat2,rename,renameat",
    "mkdirat,mkdir",
    "openat",
    "openat2",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync,fdatasync",
    "copy_file_range",
    "linkat",
    "unlinkat,unlink,rmdir",
    "symlinkat",
    "fchmod,fchmodat,fchmodat2",
    "fchownat,fchown",
    "utimensat",
    "fcntl",
    "statx",
    "getdents64",
    "mmap",
    "socketpair",
    "sendmsg",
    "recvmsg",
    "clone3",
    "fsopen",
    "fsconfig",
    "fsmount",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "pivot_root",
    "umount2",
    "setns",
    "sethostname",
    "seccomp",
    "capset",
    "execve,execveat",
    "pidfd_send_signal",
    "waitid,wait4",
    "exit_group",
];

/// Runs a build with something tampered with; gives its exit code and its words.
fn tampered(place: &Place, round: &str, injection: &str) -> (i32, String) {
    let mut child = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("inject={injection}"),
        ])
        .arg(binary())
        .args(words(place, round))
        .env("RBUILD_ROOT", place.path("store"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_mins(1) {
            let left = still::left(place);
            child.kill().unwrap();
            panic!("{injection}: it hangs: {left:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = said(child.wait_with_output().unwrap());
    (said.code, said.err)
}

#[test]
fn a_build_survives_every_call_that_fails_or_is_its_last() {
    let Some(place) = project() else { return };
    let (code, _) = tampered(&place, "probe", "chroot:error=EIO");
    if code != 0 {
        eprintln!("SKIPPED: no usable strace");
        return;
    }
    builds_right(&place, "warm");
    let before = emptied(&place);
    let calls = if is_long() { MANY } else { FEW };
    let times: &[u32] = if is_long() {
        &[1, 2, 3, 4, 6, 8, 12, 20]
    } else {
        &[2]
    };
    let (mut done, mut wrong) = (0, Vec::new());
    for call in calls {
        for when in times {
            for fault in ["signal=KILL", "error=EIO", "error=ENOSPC"] {
                if !is_long() && fault == "error=ENOSPC" {
                    continue;
                }
                // A pool that cannot start its threads ends the program, and not by our words.
                if *call == "clone3" && fault != "signal=KILL" {
                    continue;
                }
                let injection = format!("{call}:{fault}:when={when}");
                let (code, words) = tampered(&place, &format!("i{done}"), &injection);
                // strace ends as what it ran: by the same signal.
                let documented =
                    matches!(code, 0 | 1 | 2 | 3 | 70) || (code == 137 && fault == "signal=KILL");
                if !documented || words.contains("panicked") {
                    wrong.push(format!("{injection}: {code}: {words}"));
                }
                if code == 70 {
                    wrong.push(format!("{injection}: said to be our fault: {words}"));
                }
                still::nothing_runs(&place);
                done += 1;
            }
        }
        builds_right(&place, &format!("after {done}"));
    }
    eprintln!("injections: {done}, wrong: {}", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    builds_right(&place, "last");
    still::nothing_runs(&place);
    assert_eq!(emptied(&place), before);
}
