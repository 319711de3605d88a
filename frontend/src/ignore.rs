//! The ignore file: which files of a context COPY can see.

/// The rules of one ignore file, in order; the last that matches wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRules {
    // the patterns, by solver::pattern
}
