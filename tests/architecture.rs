//! Holds the house to its plan: which room may know which, where unsafe code is allowed, and how
//! long a file may be.
#![expect(
    clippy::unwrap_used,
    reason = "a project that cannot be read fails the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Each room with the rooms that it may know.
const EDGES: [(&str, &[&str]); 6] = [
    ("image", &[]),
    ("solver", &["image"]),
    ("frontend", &["image", "solver"]),
    ("cache", &["image", "solver"]),
    ("executor", &["cache", "image", "solver"]),
    (".", &["cache", "executor", "frontend", "image", "solver"]),
];

/// Longest file, in lines, that needs no reason.
const LONGEST: usize = 600;

/// Where the sources are now, which may be another place than where this was built.
fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let now = std::env::var_os("CARGO_MANIFEST_DIR");
        now.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
            .into()
    });
    &ROOT
}

/// Names under `[dependencies]` and its kin of a manifest.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut listed = false;
    manifest
        .lines()
        .filter(|line| {
            if line.starts_with('[') {
                listed = line.ends_with("dependencies]") && !line.starts_with("[workspace");
            }
            listed && !line.starts_with('[')
        })
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

/// A line without its comment.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether a file of `src` holds nothing but unit tests.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// All of the project's own code with its path from the root.
fn sources() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for (room, _) in EDGES {
        for part in ["src", "tests", "benches", "examples"] {
            let dir = root().join(room).join(part);
            if dir.is_dir() {
                rust_files(&dir, &mut files);
            }
        }
    }
    files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            (
                name.trim_start_matches("./").to_owned(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}

#[test]
fn rooms_know_only_whom_they_may() {
    let rooms: Vec<&str> = EDGES.iter().map(|(room, _)| *room).collect();
    for (room, allowed) in EDGES {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let known = dependencies(&manifest);
        assert!(!known.is_empty(), "{room}: no dependencies were read");
        for name in known {
            assert!(
                !rooms.contains(&name) || allowed.contains(&name),
                "{room} depends on {name}; it may know {allowed:?}"
            );
        }
    }
}

/// What a room's own code, its tests left out, may not name: it does not know it.
const UNKNOWN: [(&str, &[&str]); 3] = [
    (
        "solver/src/",
        &[
            "std::fs",
            "std::net::Tcp",
            "std::net::Udp",
            "std::process",
            "std::env",
            "rustix::",
            "nix::",
            "libc::",
        ],
    ),
    (
        "frontend/src/",
        &[
            "std::fs",
            "std::net::Tcp",
            "std::net::Udp",
            "std::process",
            "std::env",
            "rustix::",
            "nix::",
            "libc::",
        ],
    ),
    (
        "cache/src/",
        &["std::process::Command", "Clone::", "unshare("],
    ),
];

#[test]
fn rooms_do_not_touch_what_they_do_not_know() {
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let words = UNKNOWN
            .iter()
            .filter(|(room, _)| path.starts_with(room) && !is_test(&path))
            .flat_map(|(_, words)| *words);
        for word in words {
            assert!(
                !code.lines().any(|line| code_of(line).contains(word)),
                "{path} knows {word}"
            );
        }
    }
}

#[test]
fn the_runtime_knows_no_solver() {
    for (path, text) in sources() {
        if path.starts_with("executor/src/container/") || path.starts_with("executor/src/sys") {
            assert!(!text.contains("solver::"), "{path} knows the solver");
            assert!(!text.contains("crate::ops"), "{path} knows the ops");
        }
    }
}

#[test]
fn unsafe_code_is_in_one_place() {
    for (path, text) in sources() {
        if path.starts_with("executor/src/sys") || path == "tests/architecture.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = code_of(line);
            assert!(
                !code.contains("unsafe {")
                    && !code.contains("unsafe fn")
                    && !code.contains("allow(unsafe"),
                "{path}:{}: unsafe code belongs in executor/src/sys",
                number + 1
            );
        }
    }
}

#[test]
fn modules_say_what_they_are_and_stay_small() {
    for (path, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//!"),
            "{path} does not begin with `//!` and what it does"
        );
        let reason = text
            .lines()
            .take(12)
            .any(|line| line.starts_with("//! Long because"));
        let length = text.lines().count();
        assert!(
            length <= LONGEST || reason,
            "{path} has {length} lines: it holds two ideas, or says `//! Long because …` at its top"
        );
    }
}

#[test]
fn nothing_below_the_binary_prints() {
    for (path, text) in sources() {
        let library = EDGES
            .iter()
            .any(|(room, _)| *room != "." && path.starts_with(&format!("{room}/src/")));
        if !library || is_test(&path) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["println!(", "eprintln!(", "print!(", "dbg!("] {
            assert!(
                !code.lines().any(|line| code_of(line).contains(word)),
                "{path} prints"
            );
        }
    }
}
