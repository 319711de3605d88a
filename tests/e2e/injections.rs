//! Every system call of a build, refused or never come back from: the build succeeds or says what
//! failed with a documented exit code, nothing hangs and nothing is left, and the next build is
//! right.
//!
//! The calls are those that a traced build makes, in rbuild, its launcher and the new processes of
//! its containers; strace counts the calls of each thread from 1. The ordinary run takes each call
//! at one of its times with one of the faults, another one each time; the long run takes them all.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kills::{Dice, builds_right, emptied, project, words};
use crate::place::{Place, binary, is_long, said};
use crate::still;

/// Times at which a call is tampered with; beyond that there is little that is new.
const TIMES: &[usize] = &[1, 2, 3, 4, 6, 9, 14, 20, 30];

/// What is done to a call. The kernel has no thread and no memory to give under load; a disk is full
/// or broken.
fn faults(call: &str) -> &'static [&'static str] {
    match call {
        "clone3" | "clone" | "vfork" | "fork" => &["error=EAGAIN", "error=ENOMEM", "signal=KILL"],
        "mmap" | "mremap" => &["error=ENOMEM", "signal=KILL"],
        // The program of the step, which is static, faults at once without it; and what faults as a
        // traced first process does so for ever.
        "brk" => &["signal=KILL"],
        // They do not fail so, whatever happens: who is told that they do believes the kernel.
        "exit" | "exit_group" | "rt_sigreturn" | "set_tid_address" | "set_robust_list" | "rseq"
        | "gettid" | "getpid" | "getuid" | "geteuid" | "getgid" | "getegid" | "arch_prctl"
        | "futex" | "sched_yield" | "restart_syscall" | "getrandom" | "clock_nanosleep"
        | "close" | "mprotect" | "munmap" | "umask" | "prlimit64" | "rt_sigaction"
        | "sigaltstack" => &["signal=KILL"],
        _ => &["error=EIO", "error=ENOSPC", "signal=KILL"],
    }
}

/// strace before rbuild, which builds this round.
fn traced(place: &Place, round: &str, options: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq"])
        .args(options)
        .arg(binary())
        .args(words(place, round))
        .env("RBUILD_ROOT", place.path("store"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// The calls of a build, each with the largest number of times that one thread made it.
fn calls(place: &Place) -> Option<BTreeMap<String, usize>> {
    let trace = place.path("trace");
    let output = traced(place, "traced", &["-o", trace.to_str()?]).output();
    if !output.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        // 1234 openat(…) = 3, and 1234 <... openat resumed>…
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        if let Some((call, _)) = rest.trim_start().split_once('(')
            && !call.is_empty()
            && call
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            *counts
                .entry((call.to_owned(), thread.to_owned()))
                .or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((call, _), count) in counts {
        let known: &mut usize = most.entry(call).or_default();
        *known = count.max(*known);
    }
    Some(most)
}

/// Runs a build with something tampered with; gives its exit code and its words.
fn tampered(place: &Place, round: &str, injection: &str) -> (i32, String) {
    if is_long() {
        eprintln!("{injection}");
    }
    let inject = format!("inject={injection}");
    let mut child = traced(place, round, &["-o", "/dev/null", "-e", &inject])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_mins(1) {
            let left = still::left(place);
            for process in left.iter().filter_map(|line| line.strip_prefix("process ")) {
                let pid = process.split(':').next().unwrap_or_default();
                let _ = Command::new("kill").args(["-9", pid]).status();
            }
            return (-1, format!("it hangs: {left:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let said = said(child.wait_with_output().unwrap());
    (said.code, said.err)
}

/// What is wrong with how a build ended.
fn judge(injection: &str, code: i32, words: &str) -> Option<String> {
    // strace ends as what it ran: by the same signal.
    let documented = matches!(code, 0..=3 | 141)
        || (code == 137 && injection.contains("signal=KILL"))
        // Without memory a program ends at once, as does one whose loader or runtime cannot begin.
        || (matches!(code, 134 | 139) && injection.contains("ENOMEM"))
        || (code == 134 && injection.starts_with("poll:") && words.is_empty())
        || (code == 127 && words.contains("error while loading shared libraries"));
    // The thread that waits for signals reads from a socket of its own; the build goes on without it.
    // The standard library ends a process whose pipe to a child cannot be made non-blocking; of the
    // one that calls newuidmap it is said that it failed.
    let elsewhere = ["/signal-hook-", "/std/src/sys/process/"];
    let panicked = words.lines().any(|line| {
        line.contains("panicked at") && !elsewhere.iter().any(|place| line.contains(place))
    });
    if documented && !panicked {
        return None;
    }
    Some(format!("{injection}: {code}: {words}"))
}

#[test]
fn a_build_survives_every_call_that_fails_or_is_its_last() {
    let Some(place) = project() else { return };
    builds_right(&place, "warm");
    let Some(calls) = calls(&place) else {
        eprintln!("SKIPPED: no usable strace");
        return;
    };
    assert!(calls.len() > 60, "the trace lacks something: {calls:?}");
    // For who looks for the cause of something: only these calls.
    let chosen = std::env::var("RBUILD_TEST_CALLS").ok();
    let is_chosen = |call: &String| {
        let chosen = chosen.as_deref();
        chosen.is_none_or(|chosen| chosen.split(',').any(|one| one == call))
    };
    let before = emptied(&place);
    let mut dice = Dice::new("injections");
    let (mut done, mut wrong) = (0, Vec::new());
    for (call, count) in calls.iter().filter(|(call, _)| is_chosen(call)) {
        let times: Vec<usize> = TIMES.iter().copied().filter(|when| when <= count).collect();
        let all: Vec<(usize, &str)> = times
            .iter()
            .flat_map(|when| faults(call).iter().map(|fault| (*when, *fault)))
            .collect();
        let some = if is_long() {
            all
        } else {
            vec![all[dice.below(all.len() as u64) as usize]]
        };
        for (when, fault) in some {
            let injection = format!("{call}:{fault}:when={when}");
            let (code, words) = tampered(&place, &format!("i{done}"), &injection);
            wrong.extend(judge(&injection, code, &words));
            still::nothing_runs(&place);
            done += 1;
        }
        if is_long() || done % 8 == 0 {
            builds_right(&place, &format!("after {done}"));
        }
    }
    eprintln!(
        "injections: {done} into {} calls, wrong: {}",
        calls.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    builds_right(&place, "last");
    still::nothing_runs(&place);
    assert_eq!(emptied(&place), before);
}
