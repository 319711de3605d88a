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
mod credentials;
mod run;
#[path = "../harness/runner.rs"]
mod runner;
mod sources;
mod world;

use executor::container::{LAUNCHER_ARGUMENT, launcher_main};
use executor::namespace;

/// A test and its name.
type Case = (&'static str, fn());

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|arg| arg == LAUNCHER_ARGUMENT) {
        std::process::exit(launcher_main());
    }
    let cases: Vec<Case> = [
        copy::CASES,
        add::CASES,
        sources::CASES,
        credentials::CASES,
        run::CASES,
    ]
    .concat();
    let cases = cases
        .into_iter()
        .map(|(name, case)| (name, move |(): &()| case()));
    runner::run(cases, || {
        // A user gets a namespace first; the program is executed again in it. Without one, layers can
        // be made all the same, only no container started.
        if let Err(error) = namespace::enter() {
            eprintln!("SKIPPED: containers: {error}");
            world::without_containers();
        }
        Some(())
    });
}
