//! Templates of `--format`: the part of Go's text/template that people use, over JSON documents.
//! Knows no images and no containers: which fields of a document are maps is said by its owner.
//!
//! - `lex`: text and actions, cut into tokens
//! - `parse`: tokens to a tree
//! - `run`: the tree over a document
//! - `call`: the functions
//! - `value`: Go's values, and how Go prints them

mod call;
mod lex;
mod parse;
mod run;
mod value;

use std::fmt;

pub use value::{Shape, Value};

/// Blocks in blocks and parentheses in parentheses: more than this nobody writes.
const DEEPEST: usize = 100;
/// The most that one template may write, in bytes.
const LONGEST: usize = 64 << 20;

/// A template, ready to be used.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    nodes: Vec<parse::Node>,
}

/// A template that is none, or that a document does not fit. The messages are Go's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Line, from 1.
    line: usize,
    /// Byte in the line, and the text there; only when a document does not fit.
    at: Option<(usize, String)>,
    message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: :{}", self.line)?;
        if let Some((column, text)) = &self.at {
            write!(f, ":{column}: executing \"\" at <{text}>")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for TemplateError {}

impl TemplateError {
    fn parsing(text: &str, at: usize, message: impl Into<String>) -> Self {
        Self {
            line: line(text, at),
            at: None,
            message: message.into(),
        }
    }

    fn running(text: &str, span: &std::ops::Range<usize>, message: impl Into<String>) -> Self {
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: line(text, span.start),
            at: Some((span.start - start, text[span.clone()].to_owned())),
            message: message.into(),
        }
    }
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            text: text.to_owned(),
            nodes: parse::parse(text)?,
        })
    }

    /// What it makes of a document.
    pub fn render(&self, document: &Value) -> Result<String, TemplateError> {
        run::run(&self.text, &self.nodes, document)
    }
}

#[cfg(test)]
mod tests;
