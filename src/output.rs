//! Standard output: where results go. Whoever reads it may stop reading, which is no error of ours.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

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

/// Why an archive that goes to `dest`, or to standard output for `-` and for none, is not whole.
pub fn archive_failure(dest: Option<&Path>, error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    while let Some(next) = cause {
        if let Some(io) = next.downcast_ref::<io::Error>()
            && io.kind() == ErrorKind::BrokenPipe
            && dest.is_none_or(|dest| dest == Path::new("-"))
        {
            return failure(io);
        }
        cause = next.source();
    }
    Failure::from_error(Class::System, error)
}
