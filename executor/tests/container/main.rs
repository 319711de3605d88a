//! Containers end to end: real namespaces, real mounts, a static busybox as the base. Runs as root,
//! and as an ordinary user where the machine allows user namespaces; else it says what it skips.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test runner"
)]

mod faults;
mod fixture;
mod isolation;
mod lifecycle;
mod mounts;
mod probe;
mod process;

use std::panic::{AssertUnwindSafe, catch_unwind};

use executor::container::{LAUNCHER_ARGUMENT, launcher_main};
use executor::namespace;
use fixture::Fixture;

/// A test and its name.
type Case = (&'static str, fn(&Fixture));

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == LAUNCHER_ARGUMENT) {
        std::process::exit(launcher_main());
    }
    if args.get(1).is_some_and(|arg| arg == faults::ONCE) {
        std::process::exit(faults::once(&args[2..]));
    }
    if args.get(1).is_some_and(|arg| arg == lifecycle::HOLD) {
        return lifecycle::hold(&args[2..]);
    }
    let cases: Vec<Case> = [
        faults::CASES,
        isolation::CASES,
        lifecycle::CASES,
        mounts::CASES,
        probe::CASES,
        process::CASES,
    ]
    .concat();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in cases {
            println!("{name}: test");
        }
        return;
    }
    // a user gets a namespace first; the program is executed again in it
    if let Err(error) = namespace::enter() {
        return eprintln!("SKIPPED: {error}");
    }
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let words: Vec<&String> = args[1..]
        .iter()
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut failed = Vec::new();
    for (name, case) in cases {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let result = catch_unwind(AssertUnwindSafe(|| case(&fixture)));
        println!(
            "test {name} ... {}",
            if result.is_ok() { "ok" } else { "FAILED" }
        );
        if result.is_err() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        eprintln!("failed: {}", failed.join(", "));
        std::process::exit(101);
    }
}
