//! Why a Dockerfile that parses cannot be built.

use solver::Span;

use crate::expansion::{Cause, ExpandError};
use crate::instruction::Warning;

/// Why a Dockerfile that parses cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// What is wrong, in the reference's words where it has some.
    pub message: String,
    /// Where; none when it is the request that is wrong.
    pub span: Option<Span>,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether a source could not be asked for at all: nothing is wrong with the Dockerfile then.
    pub unreachable: bool,
    /// What the checks had found until then.
    pub warnings: Vec<Warning>,
    /// Whether it is only the checks that are not content, and the file wants that to be an error.
    pub is_violation: bool,
}

impl PlanError {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            help: None,
            unreachable: false,
            warnings: Vec::new(),
            is_violation: false,
        }
    }

    /// The error, at `span` unless it has a place already.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The error, with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<ExpandError> for PlanError {
    fn from(error: ExpandError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<Cause> for PlanError {
    fn from(cause: Cause) -> Self {
        Self::new(cause.to_string())
    }
}
