//! Networks in a private network namespace that stands for the host: nothing of this machine's is
//! touched. Each test has its own.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests say what they skip, and fail by a panic"
)]

mod fixture;

mod bridges;
mod names;
