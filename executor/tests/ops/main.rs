//! Ops end to end: a real store, real contexts, real layers; containers where the machine has a
//! static busybox. Runs as root and as an ordinary user; what it cannot try it says.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test runner"
)]

mod add;
mod copy;
mod run;
mod sources;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use executor::container::{LAUNCHER_ARGUMENT, launcher_main};
use executor::namespace;

/// A test and its name.
type Case = (&'static str, fn());

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == LAUNCHER_ARGUMENT) {
        std::process::exit(launcher_main());
    }
    let cases: Vec<Case> = [copy::CASES, add::CASES, sources::CASES, run::CASES].concat();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in cases {
            println!("{name}: test");
        }
        return;
    }
    // A user gets a namespace first; the program is executed again in it. Without one, layers can
    // be made all the same, only no container started.
    if let Err(error) = namespace::enter() {
        eprintln!("SKIPPED: containers: {error}");
        world::without_containers();
    }
    let words: Vec<&String> = args[1..]
        .iter()
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut failed = Vec::new();
    for (name, case) in cases {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let good = catch_unwind(AssertUnwindSafe(case)).is_ok();
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        if !good {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        eprintln!("failed: {}", failed.join(", "));
        std::process::exit(101);
    }
}
