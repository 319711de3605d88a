//! Results of `Http` and `Git` vertices: made when their state is asked for, given when they run.
//!
//! Across builds the store remembers, for each question (a commit, a validated body), which
//! snapshot answered it; that a remembered one is still there is made sure of before it counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cache::Snapshot;
use cache::pins::Pin;
use solver::op::{GitOp, HttpOp};

use super::Executor;
use super::error::OpError;

/// Which source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// A file behind a URL.
    Http(String),
    /// A commit of a repository.
    Git(String),
}

impl Question {
    /// The question that an `Http` op is.
    pub fn http(op: &HttpOp) -> Result<Self, OpError> {
        encode(op).map(Self::Http)
    }

    /// The question that a `Git` op is.
    pub fn git(op: &GitOp) -> Result<Self, OpError> {
        encode(op).map(Self::Git)
    }
}

/// An op as text.
pub fn encode(op: &impl serde::Serialize) -> Result<String, OpError> {
    serde_json::to_string(op).map_err(|source| OpError::Encode { source })
}

/// What sources gave in this build.
#[derive(Default)]
pub struct Sources {
    answers: Mutex<HashMap<Question, Snapshot>>,
    pins: Mutex<Vec<Pin>>,
}

impl Sources {
    /// The answer of this build.
    pub fn get(&self, question: &Question) -> Option<Snapshot> {
        let sources = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get(question).cloned()
    }

    /// Keeps the answer for this build.
    pub fn keep(&self, question: Question, snapshot: &Snapshot) {
        let mut sources = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        sources.insert(question, snapshot.clone());
    }

    /// Keeps a pin as long as this build's executor lives.
    pub fn pin(&self, pin: Pin) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.push(pin);
    }
}

impl Executor {
    /// The snapshot that the store remembers in `domain` for `question`, if all of it is there.
    pub(super) fn remembered(
        &self,
        domain: &str,
        question: &str,
    ) -> Result<Option<Snapshot>, OpError> {
        let Some(answer) = self.store().memo(domain, question)? else {
            return Ok(None);
        };
        // An answer that cannot be read is none: it will be written anew.
        let Ok(snapshot) = serde_json::from_slice::<Snapshot>(&answer) else {
            return Ok(None);
        };
        Ok(self.pinned(&snapshot)?.then_some(snapshot))
    }

    /// Pins a snapshot as long as this executor lives, because the step that uses it has not asked
    /// yet; whether it is still there.
    pub(super) fn pinned(&self, snapshot: &Snapshot) -> Result<bool, OpError> {
        let Some(pin) = self.store().pin(&snapshot.layers)? else {
            return Ok(false);
        };
        self.sources.pin(pin);
        Ok(true)
    }

    /// Remembers a snapshot.
    pub(super) fn remember(
        &self,
        domain: &str,
        question: &str,
        snapshot: &Snapshot,
    ) -> Result<(), OpError> {
        let answer = encode(snapshot)?;
        Ok(self.store().set_memo(domain, question, answer.as_bytes())?)
    }
}
