//! Runs cases one after the other in this process, for tests that must be alone in it: entering a
//! user namespace executes the program again, and wants no other thread. Speaks as cargo's own runner does.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does what the arguments ask for with `cases`, each of which gets what `world` makes; nothing is
/// run where it makes nothing, and has said why.
pub fn run<W, C: Fn(&W)>(
    cases: impl IntoIterator<Item = (&'static str, C)>,
    world: impl FnOnce() -> Option<W>,
) {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == "--list") {
        for (name, _) in cases {
            println!("{name}: test");
        }
        return;
    }
    let Some(world) = world() else {
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
        let good = catch_unwind(AssertUnwindSafe(|| case(&world))).is_ok();
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
