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
#[path = "../harness/runner.rs"]
mod runner;
#[path = "../harness/tampered.rs"]
mod tampered;

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
    runner::run(cases, || {
        // a user gets a namespace first; the program is executed again in it
        if let Err(error) = namespace::enter() {
            eprintln!("SKIPPED: {error}");
            return None;
        }
        Fixture::new()
    });
}
