//! Standard output: where results go. Whoever reads it may stop reading, which is no error of ours.

use std::io::{self, ErrorKind, Write};

use crate::report::{Class, Failure};

/// Writes a result.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| failure(&error))
}

/// Why standard output could not be written.
pub fn failure(error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::new(Class::Unread, "nobody reads standard output any more");
    }
    let mut failure = Failure::new(Class::System, "cannot write to standard output");
    failure.causes = vec![error.to_string()];
    failure
}
