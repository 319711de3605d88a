//! Containers that outlive whoever started them, end to end: real monitors, a static busybox as the base.
//! Runs as root, and as an ordinary user where the machine allows user namespaces; else it says what
//! it skips.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test runner"
)]

#[expect(
    dead_code,
    reason = "shared with the tests of containers that nobody keeps"
)]
#[path = "../container/fixture.rs"]
mod base;
mod exec;
mod faults;
mod foreign;
mod life;
mod options;
mod place;
#[path = "../harness/runner.rs"]
mod runner;
#[path = "../harness/tampered.rs"]
mod tampered;

use executor::container::{LAUNCHER_ARGUMENT, launcher_main};
use executor::monitor::{MONITOR_ARGUMENT, monitor_main};
use executor::namespace;
use place::World;

/// A test and its name.
type Case = (&'static str, fn(&World));

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(LAUNCHER_ARGUMENT) => std::process::exit(launcher_main()),
        Some(MONITOR_ARGUMENT) => std::process::exit(monitor_main()),
        Some(faults::ONCE) => std::process::exit(faults::once(&args[2])),
        Some(faults::STARTER) => std::process::exit(faults::starter(&args[2])),
        Some(place::AFTERWARDS) => std::process::exit(place::afterwards(&args[2])),
        _ => {}
    }
    let cases: Vec<Case> = [
        exec::CASES,
        faults::CASES,
        foreign::CASES,
        life::CASES,
        options::CASES,
    ]
    .concat();
    runner::run(cases, || {
        // a user gets a namespace first; the program is executed again in it
        if let Err(error) = namespace::enter() {
            eprintln!("SKIPPED: {error}");
            return None;
        }
        World::new()
    });
}
