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

use std::panic::{AssertUnwindSafe, catch_unwind};

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
    let Some(world) = World::new() else {
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
        let result = catch_unwind(AssertUnwindSafe(|| case(&world)));
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
