//! Prints the SHA-256 of each file that is named.

use std::process::ExitCode;

use sha2::{Digest, Sha256};

fn main() -> ExitCode {
    for path in std::env::args().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => println!("{:x}  {path}", Sha256::digest(bytes)),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
