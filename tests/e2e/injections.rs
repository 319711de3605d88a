//! Every system call of a build, refused or never come back from: the build succeeds or says what
//! failed with a documented exit code, nothing hangs and nothing is left, and the next build is
//! right.
//!
//! The calls are those that a traced build makes, in each of its processes: rbuild, the one that has
//! the ids mapped, the launcher's two, and a step's until it becomes the step's program. The ordinary
//! run takes each call of each process at one of its times with one of the faults. The long run takes
//! every time of each call of the launcher's and the step's, kills them before every call of which
//! anything can be seen, and takes some times of each call of rbuild. `RBUILD_TEST_ROLES` and
//! `RBUILD_TEST_CALLS` choose among them, for who looks for the cause of something.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;

use crate::kills::{Dice, builds_right, emptied, project, words};
use crate::place::{Place, binary, is_long};
use crate::still;
use crate::tracer::{Fault, Role, Tampering, Traced, trace};

/// What a build may take when it does not hang, however busy the machine is.
const LIMIT: Duration = Duration::from_mins(3);

/// Times at which a call of rbuild is tampered with; beyond that there is little that is new.
const TIMES: &[usize] = &[1, 2, 3, 4, 6, 9, 14, 20, 30, 60, 120, 400, 1000];

/// Calls that change nothing outside of their process: it is the same before several in a row.
const QUIET: &[&str] = &[
    "brk",
    "close",
    "fcntl",
    "mmap",
    "mprotect",
    "munmap",
    "prctl",
    "pread64",
    "read",
    "rt_sigaction",
];

/// Up to which time a call fails in each of its ways; later ones take turns.
const BOTH: usize = 3;

const ROLES: &[Role] = &[
    Role::Rbuild,
    Role::Mapper,
    Role::Outer,
    Role::Launcher,
    Role::Child,
];

/// What is done to a call. The kernel has no thread and no memory to give under load; a disk is full
/// or broken.
fn faults(call: &str) -> &'static [Fault] {
    const KILL: Fault = Fault::Kill;
    const BUSY: Fault = Fault::Error(Errno::EAGAIN);
    const NO_MEMORY: Fault = Fault::Error(Errno::ENOMEM);
    const BROKEN: Fault = Fault::Error(Errno::EIO);
    const FULL: Fault = Fault::Error(Errno::ENOSPC);
    match call {
        "clone3" | "clone" | "vfork" | "fork" => &[BUSY, NO_MEMORY, KILL],
        "mmap" | "mremap" | "brk" => &[NO_MEMORY, KILL],
        // They do not fail so, whatever happens: who is told that they do believes the kernel.
        "exit" | "exit_group" | "rt_sigreturn" | "set_tid_address" | "set_robust_list" | "rseq"
        | "gettid" | "getpid" | "getuid" | "geteuid" | "getgid" | "getegid" | "arch_prctl"
        | "futex" | "sched_yield" | "restart_syscall" | "getrandom" | "clock_nanosleep"
        | "close" | "mprotect" | "munmap" | "umask" | "prlimit64" | "rt_sigaction"
        | "sigaltstack" => &[KILL],
        _ => &[BROKEN, FULL, KILL],
    }
}

/// A build of this round, of which the calls of `watched` are counted and one is tampered with; and
/// its words.
fn traced(
    place: &Place,
    round: &str,
    watched: &[Role],
    tampering: Option<&Tampering>,
) -> (Traced, String) {
    let mut command = Command::new(binary());
    command
        .args(words(place, round))
        .env("RBUILD_ROOT", place.path("store"));
    let said = place.path("said");
    let errors = fs::File::create(&said).unwrap();
    let left = std::sync::Mutex::new(Vec::new());
    let end = || {
        let mut left = left.lock().unwrap();
        *left = still::left(place);
        for process in left.iter().filter_map(|line| line.strip_prefix("process ")) {
            let pid = process.split(':').next().unwrap_or_default();
            let _ = Command::new("kill").args(["-9", pid]).status();
        }
    };
    let traced = trace(&command, watched, tampering, errors, LIMIT, &end);
    let mut words = fs::read_to_string(said).unwrap();
    if traced.hung {
        words = format!("it hangs: {:?}\n{words}", left.into_inner().unwrap());
    }
    (traced, words)
}

/// What is wrong with how a build ended.
fn judge(tampering: &Tampering, traced: &Traced, words: &str) -> Option<String> {
    let (role, code) = (tampering.role, traced.code);
    let killed = tampering.fault == Fault::Kill;
    let documented = matches!(code, 0..=3 | 141)
        || (role == Role::Rbuild && code == 137 && killed)
        // Without memory a program ends at once, as does one whose loader or runtime cannot begin.
        || (role == Role::Rbuild
            && matches!(code, 134 | 139)
            && tampering.fault == Fault::Error(Errno::ENOMEM))
        || (code == 134 && tampering.call == "poll" && words.is_empty())
        || (code == 127 && words.contains("error while loading shared libraries"));
    // The thread that waits for signals reads from a socket of its own; the build goes on without it.
    // The standard library ends a process whose pipe to a child cannot be made non-blocking; of the
    // one that calls newuidmap it is said that it failed. It also ends one that has no memory for a
    // second stack before `main` begins; of a launcher it is said that it cannot be started.
    let elsewhere = [
        "/signal-hook-",
        "/std/src/sys/process/",
        "/std/src/sys/pal/",
    ];
    let panicked = words.lines().any(|line| {
        line.contains("panicked at") && !elsewhere.iter().any(|place| line.contains(place))
    });
    if documented && !panicked && !traced.hung {
        return None;
    }
    Some(format!("{tampering}: {code}: {words}"))
}

/// What is to be done to the calls of one process, given in their order.
fn chosen(role: Role, order: &[&str]) -> Vec<Tampering> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut every = Vec::new();
    for (index, &call) in order.iter().enumerate() {
        let count = counts.entry(call).or_default();
        *count += 1;
        let again = index > 0 && order[index - 1] == call;
        every.push((call, *count, !(again && QUIET.contains(&call))));
    }
    let tampering = |call: &str, at: usize, fault: Fault| Tampering {
        role,
        call: call.to_owned(),
        at,
        fault,
    };
    if !is_long() {
        let one = |(call, count): (&&str, &usize)| {
            let mut dice = Dice::new(&format!("{role} {call}"));
            let times = TIMES.iter().filter(|at| *at <= count).count();
            let at = TIMES[dice.below(times as u64) as usize];
            let faults = faults(call);
            let fault = faults[dice.below(faults.len() as u64) as usize];
            tampering(call, at, fault)
        };
        return counts.iter().map(one).collect();
    }
    let mut chosen = Vec::new();
    for (call, at, changed) in every {
        if role == Role::Rbuild && !TIMES.contains(&at) {
            continue;
        }
        let errors: Vec<&Fault> = faults(call).iter().filter(|f| **f != Fault::Kill).collect();
        if at <= BOTH {
            chosen.extend(errors.iter().map(|fault| tampering(call, at, **fault)));
        } else if let Some(fault) = errors.get(at % errors.len().max(1)) {
            chosen.push(tampering(call, at, **fault));
        }
        if changed {
            chosen.push(tampering(call, at, Fault::Kill));
        }
    }
    chosen
}

/// Whether a list of words in this variable, if it is set, has the word.
fn is_asked_for(variable: &str, word: &str) -> bool {
    std::env::var(variable).map_or(true, |words| words.split(',').any(|one| one == word))
}

#[test]
fn a_build_survives_every_call_that_fails_or_is_its_last() {
    let Some(place) = project() else { return };
    builds_right(&place, "warm");
    let before = emptied(&place);
    let (plain, words) = traced(&place, "traced", ROLES, None);
    assert_eq!(plain.code, 0, "{words}");
    for (role, most) in [
        (Role::Rbuild, 1000),
        (Role::Outer, 100),
        (Role::Launcher, 300),
        (Role::Child, 150),
    ] {
        let made = plain.calls.get(&role).map_or(0, Vec::len);
        eprintln!("injections: {role} makes {made} calls");
        assert!(
            made > most,
            "the trace lacks something of {role}: {plain:?}"
        );
    }
    let (mut done, mut missed, mut wrong) = (0, 0, Vec::new());
    let asked = |role: &&Role| is_asked_for("RBUILD_TEST_ROLES", &role.to_string());
    for role in ROLES.iter().filter(asked) {
        let order = plain.calls.get(role).map(Vec::as_slice).unwrap_or_default();
        for tampering in chosen(*role, order) {
            if !is_asked_for("RBUILD_TEST_CALLS", &tampering.call) {
                continue;
            }
            let round = format!("i{done}");
            let (traced, words) = traced(&place, &round, &[*role], Some(&tampering));
            if is_long() {
                eprintln!("{tampering}: {}: {}", traced.met, traced.code);
            }
            wrong.extend(judge(&tampering, &traced, &words));
            still::nothing_runs(&place);
            done += 1;
            missed += usize::from(!traced.met);
            // One that succeeds all the same has the right files.
            if traced.code == 0 && traced.met {
                builds_right(&place, &round);
            } else if done % 8 == 0 {
                builds_right(&place, &format!("after {done}"));
            }
        }
    }
    eprintln!(
        "injections: {done}, of which {missed} met no such call; wrong: {}",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        missed * 4 <= done,
        "{missed} of {done} calls were not made again"
    );
    builds_right(&place, "last");
    still::nothing_runs(&place);
    assert_eq!(emptied(&place), before);
}
