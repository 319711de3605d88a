//! Text to tree; all errors of a file at once.

use solver::Span;

use crate::instruction::Dockerfile;

/// One thing that is wrong with a Dockerfile's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong, in the reference's words where it has some.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What was probably meant.
    pub help: Option<String>,
}

/// Reads a Dockerfile. Linear in its length; never panics.
///
/// # Errors
/// Every syntax error of the file, in order.
pub fn parse(source: &str) -> Result<Dockerfile, Vec<SyntaxError>> {
    let _ = source;
    todo!()
}
