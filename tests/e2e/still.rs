//! What a place has on the machine: processes, mounts, locks and files. After everything has ended
//! there are no processes, mounts and locks, and the files are those that were there before.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::place::{PATIENCE, Place};

/// What of the store is there only for something: nothing may be left over.
const KEPT: &[&str] = &[
    "layers/v1",
    "mounts/v1",
    "blobs/sha256",
    "tmp",
    "containers",
];

/// The files of a store that are there for something.
pub fn files(place: &Place) -> BTreeSet<String> {
    let store = place.path("store");
    KEPT.iter()
        .flat_map(|dir| {
            let entries = fs::read_dir(store.join(dir))
                .into_iter()
                .flatten()
                .flatten();
            entries.map(move |entry| format!("{dir}/{}", entry.file_name().display()))
        })
        .collect()
}

/// Fails unless the processes of a place end and leave no mount and no lock.
#[track_caller]
pub fn nothing_runs(place: &Place) {
    let begun = Instant::now();
    loop {
        let left = left(place);
        if left.is_empty() {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "these are left:\n{}",
            left.join("\n")
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Processes that have to do with a place, with their mounts, and locks on its files.
pub fn left(place: &Place) -> Vec<String> {
    let token = place.path("");
    let token = token.to_str().unwrap().trim_end_matches('/');
    let own = std::process::id().to_string();
    let mut left = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let name = process.file_name().into_string().unwrap();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == own {
            continue;
        }
        if let Some(what) = concerns(&process.path(), token) {
            left.push(format!("process {name}: {what}"));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(token));
    left.extend(mounts.map(|line| format!("mount {line}")));
    left.extend(locks(&place.path("store")));
    left
}

/// What of a process has to do with files below `token`.
fn concerns(process: &Path, token: &str) -> Option<String> {
    for name in ["cmdline", "environ", "mountinfo"] {
        let bytes = fs::read(process.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if text.contains(token) {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            return Some(format!("{name} ({})", String::from_utf8_lossy(&line)));
        }
    }
    let links = ["cwd", "root", "exe"].map(|name| process.join(name));
    let open = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    links
        .into_iter()
        .chain(open.map(|entry| entry.path()))
        .filter_map(|link| fs::read_link(link).ok())
        .find(|target| target.to_string_lossy().contains(token))
        .map(|target| target.display().to_string())
}

/// Locks on a store's own files.
fn locks(store: &Path) -> Vec<String> {
    let of = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| {
                let dev = metadata.dev();
                let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
                format!("{major:02x}:{minor:02x}:{}", metadata.ino())
            })
            .collect()
    };
    let mut inodes = of(store);
    inodes.extend(of(&store.join("tmp")));
    let all = fs::read_to_string("/proc/locks").unwrap_or_default();
    all.lines()
        .filter(|line| {
            // 1: OFDLCK ADVISORY WRITE -1 08:01:1234 0 EOF
            line.split_whitespace()
                .any(|word| inodes.iter().any(|own| own == word))
        })
        .map(|line| format!("lock {line}"))
        .collect()
}
