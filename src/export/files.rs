//! `type=local` and `type=tar`: the files alone.

use super::{Export, Written};
use crate::cli::value::Output;
use crate::report::{Class, Failure};

/// Refuses.
pub fn write(_: &Export<'_>, _: &Output) -> Result<Written, Failure> {
    Err(Failure::new(
        Class::Yours,
        "type=local and type=tar are not done yet",
    ))
}
