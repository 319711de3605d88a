//! This program once more, with one of its system calls tampered with.

use std::path::Path;
use std::process::{Command, Stdio};

/// Executes it with `mode` and `path` under strace's injection. Comes back when everything that had
/// the standard output is gone: the exit code, and what was said. None without strace.
pub fn tampered(injection: &str, mode: &str, path: &Path) -> Option<(i32, String)> {
    let output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e"])
        .arg(format!("inject={injection}"))
        .arg(std::env::current_exe().unwrap())
        .arg(mode)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.code().unwrap_or(-1), words))
}
