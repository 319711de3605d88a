//! `$name` and `${name…}` in the words of instructions, quotes and escapes.
//!
//! Knows nothing of instructions: it is given a word and somebody who knows values. What it does
//! is what the reference's lexer does: `$v`, `${v}`, `:-` `-` `:+` `+` `:?` `?`, `#` `##` `%` `%%`
//! with `?` and `*`, and `/pattern/replacement` and `//pattern/replacement`. Nothing here calls
//! itself: nesting in the input costs memory, never stack.

mod lexer;
mod pattern;
#[cfg(test)]
mod tests;

use std::cell::Cell;

/// Who knows the values of variables.
pub trait Variables {
    /// The value of `name`; none if it is not set.
    fn get(&self, name: &str) -> Option<&str>;
}

/// No variable is set.
#[derive(Debug, Clone, Copy)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _name: &str) -> Option<&str> {
        None
    }
}

/// How much text substitution may make in one plan, in bytes: a few lines of `ENV A=$A$A` would
/// otherwise fill any memory.
#[derive(Debug)]
pub struct Budget(Cell<u64>);

impl Budget {
    /// A budget of `bytes`.
    pub const fn new(bytes: u64) -> Self {
        Self(Cell::new(bytes))
    }

    /// Takes `bytes` out of it.
    ///
    /// # Errors
    /// There are not that many left.
    pub fn spend(&self, bytes: usize) -> Result<(), Cause> {
        let left = self.0.get().checked_sub(bytes as u64);
        self.0.set(left.unwrap_or(0));
        left.map(drop).ok_or(Cause::TooMuchText)
    }
}

/// How a word is read.
#[derive(Debug, Clone, Copy)]
pub struct Lexer<'a> {
    /// The character that takes the meaning from the next one.
    pub escape: char,
    /// Quotes stay in the result.
    pub keep_quotes: bool,
    /// Quotes are ordinary characters: the body of a heredoc.
    pub plain_quotes: bool,
    /// Variables that are not set stay as they were written.
    pub keep_unset: bool,
    /// What substitution may use up.
    pub budget: &'a Budget,
}

/// What came out of one word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// The word with everything replaced.
    pub text: String,
    /// Variables that had a value, each once, in the order of their first use.
    pub used: Vec<String>,
    /// Variables that had none, likewise.
    pub undefined: Vec<String>,
}

/// What came out of one word that may become several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// The words: blanks in values and outside quotes separate them.
    pub words: Vec<String>,
    /// Variables that had no value, each once.
    pub undefined: Vec<String>,
}

/// A word that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {}: {cause}", shortened(.word))]
pub struct ExpandError {
    /// The word as written.
    pub word: String,
    /// What is wrong with it.
    pub cause: Cause,
    /// Variables without a value up to there, each once.
    pub undefined: Vec<String>,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Cause {
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    #[error("unsupported modifier ({0}) in substitution")]
    UnsupportedModifier(String),
    #[error("unexpected end of statement while looking for matching {0}")]
    Unmatched(&'static str),
    #[error("{name}: {message}")]
    Required { name: String, message: String },
    #[error("invalid pattern ({pattern}) in substitution: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("variables expand to more text than a plan may hold")]
    TooMuchText,
}

impl<'a> Lexer<'a> {
    /// The ordinary reading: quotes are removed.
    pub const fn new(escape: char, budget: &'a Budget) -> Self {
        Self {
            escape,
            keep_quotes: false,
            plain_quotes: false,
            keep_unset: false,
            budget,
        }
    }

    /// The reading of a heredoc's body: quotes mean nothing, the escape is always `\`.
    pub const fn heredoc(budget: &'a Budget) -> Self {
        Self {
            plain_quotes: true,
            ..Self::new('\\', budget)
        }
    }

    /// The reading of a command that is only shown: quotes and unset variables stay.
    pub const fn shown(escape: char, budget: &'a Budget) -> Self {
        Self {
            keep_quotes: true,
            keep_unset: true,
            ..Self::new(escape, budget)
        }
    }

    /// Expands `word` to one word.
    ///
    /// # Errors
    /// Anything in [`Cause`].
    pub fn word(&self, word: &str, variables: &dyn Variables) -> Result<Expansion, ExpandError> {
        if self.is_plain(word) {
            return Ok(Expansion {
                text: word.to_owned(),
                ..Expansion::default()
            });
        }
        let (expansion, _) = lexer::run(self, word, variables, false)?;
        Ok(expansion)
    }

    /// Expands `word` and splits it at blanks that are not quoted, those in values included.
    ///
    /// # Errors
    /// Anything in [`Cause`].
    pub fn words(&self, word: &str, variables: &dyn Variables) -> Result<Split, ExpandError> {
        let (expansion, words) = lexer::run(self, word, variables, true)?;
        Ok(Split {
            words,
            undefined: expansion.undefined,
        })
    }

    /// Whether nothing in `word` means anything.
    fn is_plain(&self, word: &str) -> bool {
        !word
            .bytes()
            .any(|b| matches!(b, b'$' | b'\'' | b'"') || b == self.escape as u8)
    }
}

/// A word in quotes for an error, cut when it is long.
fn shortened(word: &str) -> String {
    let mut shown: String = word.chars().take(200).collect();
    if shown.len() < word.len() {
        shown.push('…');
    }
    crate::plan::quoted(&shown)
}
