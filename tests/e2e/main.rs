//! rbuild from the outside: the binary, a store of its own for each test, and a base image made of
//! the machine's static busybox. Runs as root and as an ordinary user.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests: what goes wrong fails one of them, and what is skipped is said"
)]

mod bad_input;
mod build;
mod cache;
mod check;
mod containers;
mod contexts;
mod deltas;
mod devices;
mod disks;
mod errors;
mod files;
mod fix;
mod graph;
mod guide;
mod heard;
mod hooks;
mod identity;
mod images;
// the registers of a call are those of this machine
#[cfg(target_arch = "x86_64")]
mod injections;
mod kills;
mod leases;
mod limits;
mod logins;
mod loopback;
mod many;
mod messages;
mod namespaces;
mod networks;
mod outputs;
mod place;
mod probe;
mod registry;
mod run;
mod runtimes;
mod still;
mod stops;
#[cfg(target_arch = "x86_64")]
mod tracer;
mod transfer;
mod verbs;
mod why;
