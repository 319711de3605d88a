//! When a remote source was last changed: what a SOURCE_DATE_EPOCH can mean that names one.
//!
//! Of a file behind a URL what the server says, or else the newest regular file in it if it is an
//! archive; of a repository the time of the commit. Knows nothing of what the time is for.

use solver::{Cancel, Op};

use super::error::OpError;
use super::{Executor, git, http};

impl Executor {
    /// When the `Http` or `Git` source `op` was last changed, in seconds since 1970; none if
    /// nothing says so, and for other ops. A file is fetched, and remembered for the step that adds it.
    ///
    /// # Errors
    /// The source cannot be fetched.
    pub fn modified(&self, op: &Op, cancel: &Cancel) -> Result<Option<i64>, OpError> {
        match op {
            Op::Http(op) => http::modified(self, op, cancel),
            Op::Git(op) => git::modified(self, op, cancel).map(Some),
            _ => Ok(None),
        }
    }
}
