//! Rewriting what a rule found, where that changes nothing that a build makes, whatever it is asked.
//!
//! Only the letters that a rule is about are touched: comments, line ends, heredocs and blanks stay.
//! What is not exactly as the tree says it, because a continuation runs through a keyword for
//! example, is left alone.

mod expose;
mod pairs;

use solver::Span;

use super::{rule, tree};
use crate::instruction::{Command, Dockerfile, Instruction, Stage, Warning};

/// A piece of a Dockerfile that another text replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// Rules that [`edits`] can satisfy.
pub(crate) const FIXABLE: [&str; 7] = [
    rule::CONSISTENT_CASING,
    rule::EXPOSE_FORMAT,
    rule::EXPOSE_CASING,
    rule::FROM_AS_CASING,
    rule::LEGACY_KEY_VALUE,
    rule::EMPTY_CONTINUATION,
    rule::STAGE_NAME_CASING,
];

/// What to replace in `source`, which is `dockerfile`, so that `warnings` are said no more: those
/// that can be helped. The edits lie apart and in order. One may give another rule a reason, so ask
/// again until there are none.
pub fn edits(source: &str, dockerfile: &Dockerfile, warnings: &[Warning]) -> Vec<Edit> {
    let fixing = Fixing {
        source,
        dockerfile,
        warnings,
    };
    let mut edits = Vec::new();
    for stage in &dockerfile.stages {
        edits.extend(fixing.stage_name(stage));
        edits.extend(fixing.keyword(&stage.keyword, stage.span));
        for instruction in &stage.instructions {
            edits.extend(fixing.keyword(&instruction.keyword, instruction.span));
            edits.extend(fixing.arguments(instruction));
        }
    }
    if warnings
        .iter()
        .any(|warning| warning.rule == rule::EMPTY_CONTINUATION)
    {
        edits.extend(dockerfile.gaps.iter().map(|gap| Edit {
            span: *gap,
            text: String::new(),
        }));
    }
    edits.sort_by_key(|edit| edit.span);
    let mut end = 0;
    // A value over several lines may have a gap in it: each in its turn.
    edits.retain(|edit| {
        let is_apart = edit.span.start >= end;
        if is_apart {
            end = edit.span.end;
        }
        is_apart
    });
    edits
}

/// `source` with `edits`, which lie apart and in order.
pub fn apply(source: &str, edits: &[Edit]) -> String {
    let mut text = String::with_capacity(source.len());
    let mut done = 0;
    for edit in edits {
        text.push_str(&source[done..edit.span.start]);
        text.push_str(&edit.text);
        done = edit.span.end;
    }
    text.push_str(&source[done..]);
    text
}

struct Fixing<'a> {
    source: &'a str,
    dockerfile: &'a Dockerfile,
    warnings: &'a [Warning],
}

impl Fixing<'_> {
    /// Whether `rule` found something in the instruction at `span`.
    fn found(&self, rule: &str, span: Span) -> bool {
        let mut warnings = self.warnings.iter();
        warnings.any(|warning| warning.rule == rule && warning.span == span)
    }

    /// An edit of what stands at `span`, if it is `written`.
    fn replace(&self, span: Span, written: &str, text: String) -> Option<Edit> {
        let is_there = self.source.get(span.start..span.end) == Some(written);
        (is_there && text != written).then_some(Edit { span, text })
    }

    fn keyword(&self, keyword: &str, span: Span) -> Option<Edit> {
        if !self.found(rule::CONSISTENT_CASING, span) {
            return None;
        }
        let text = tree::majority(&self.dockerfile.stages).of(keyword);
        let place = Span::from(span.start..span.start + keyword.len());
        self.replace(place, keyword, text)
    }

    fn stage_name(&self, stage: &Stage) -> Vec<Edit> {
        let Some(name) = &stage.name else {
            return Vec::new();
        };
        let mut edits = Vec::new();
        if self.found(rule::FROM_AS_CASING, stage.span)
            && let Some(case) = tree::case_of(&stage.keyword)
        {
            let written = &name.keyword;
            edits.extend(self.replace(written.span, &written.text, case.of(&written.text)));
        }
        // FROM finds a stage by its lower-case name and everything else in any case, so who uses
        // the name is not concerned.
        if self.found(rule::STAGE_NAME_CASING, stage.span) {
            edits.extend(self.replace(name.word.span, &name.word.text, name.lower()));
        }
        edits
    }

    fn arguments(&self, instruction: &Instruction) -> Vec<Edit> {
        let found = |rule| self.found(rule, instruction.span);
        match &instruction.command {
            Command::Env(pairs) | Command::Label(pairs) if found(rule::LEGACY_KEY_VALUE) => {
                let escape = self.dockerfile.directives.escape;
                pairs::edits(self.source, instruction, pairs, escape)
            }
            Command::Expose(words) => {
                let wanted = expose::Wanted {
                    lower: found(rule::EXPOSE_CASING),
                    bare: found(rule::EXPOSE_FORMAT),
                };
                expose::edits(self.source, words, wanted)
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
