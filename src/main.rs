//! The `rbuild` binary: the only code that prints, reads the environment and picks exit codes.

fn main() {}
