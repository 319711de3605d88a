//! Every system call that a launcher or a new process depends on, refused, or never come back from:
//! there is an error that names it, nothing hangs, and nothing is left.

use std::path::Path;

use executor::container::spec::Upper;
use executor::container::{Attachments, Stdio};

use crate::Case;
use crate::fixture::{Fixture, launch, spec};
use crate::tampered::tampered;

pub const CASES: &[Case] = &[("faults::refused", refused), ("faults::killed", killed)];

/// The argument that makes this program run one container and tell by its exit code how it went.
pub const ONCE: &str = "run-a-container-once";

/// Exit codes: the container ran, was killed, or there was an error.
const RAN: i32 = 0;
const KILLED: i32 = 9;
const FAILED: i32 = 3;

pub fn once(args: &[String]) -> i32 {
    let upper = Upper {
        fs: "fault/fs".into(),
        work: "fault/work".into(),
    };
    let outcome = launch(Path::new(&args[0])).and_then(|launcher| {
        let spec = spec(Some(upper), "true");
        let running = launcher.run(&spec, Attachments::default(), Stdio::Inherit)?;
        running.wait(&|| false, &mut |_, _| {})
    });
    match outcome {
        Ok(exit) if exit.status.code() == 0 => RAN,
        Ok(_) => KILLED,
        Err(error) => {
            eprintln!("{error}");
            FAILED
        }
    }
}

/// Runs a container with one system call tampered with. Comes back when everything that had the
/// standard output is gone. None without strace.
fn tamper(fixture: &Fixture, injection: &str) -> Option<(i32, String)> {
    let at = fixture.store.path().join("fault");
    let _ = std::fs::remove_dir_all(&at);
    for directory in ["fs", "work"] {
        std::fs::create_dir_all(at.join(directory)).unwrap();
    }
    tampered(injection, ONCE, fixture.store.path())
}

fn usable(fixture: &Fixture) -> bool {
    let usable = matches!(tamper(fixture, "chroot:error=EIO"), Some((RAN, _)));
    if !usable {
        eprintln!("SKIPPED: no usable strace");
    }
    usable
}

fn refused(fixture: &Fixture) {
    if !usable(fixture) {
        return;
    }
    let calls = [
        "clone3",
        "fsopen",
        "fsconfig",
        "fsmount",
        "move_mount",
        "open_tree",
        "mount_setattr",
        "openat2",
        "pivot_root",
        "umount2",
        "setsid",
        "sethostname",
        "close_range",
        "prctl",
        "setgroups",
        "seccomp",
        "setresuid",
        "capset",
        "getcwd",
        "symlinkat",
    ];
    // where there is one id, there are no groups to set
    let denied = std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text == "deny\n");
    for call in calls {
        if call == "setgroups" && denied {
            eprintln!("SKIPPED: setgroups is never called here");
            continue;
        }
        let (code, words) = tamper(fixture, &format!("{call}:error=EIO:when=1+")).unwrap();
        assert_eq!(code, FAILED, "{call}: {words}");
        assert!(
            words.contains("Input/output error") || words.contains("ended"),
            "{call}: {words}"
        );
    }
}

fn killed(fixture: &Fixture) {
    if !usable(fixture) {
        return;
    }
    // the launcher uses some of them too, and then it is the launcher that dies
    for call in [
        "fsopen",
        "move_mount",
        "pivot_root",
        "umount2",
        "sethostname",
        "seccomp",
        "capset",
    ] {
        for when in [1, 2] {
            let (code, words) =
                tamper(fixture, &format!("{call}:signal=KILL:when={when}")).unwrap();
            assert!(
                [KILLED, FAILED, RAN].contains(&code),
                "{call} {when}: {code} {words}"
            );
            assert!(code != RAN || when == 2, "{call} {when} did nothing");
        }
    }
}
