//! One stage while its instructions are lowered: the state so far, the counting of steps, the
//! expansion of words, the names of vertices.

use std::fmt::Write;

use solver::op::Op;
use solver::{Span, Vertex, VertexId, VertexMeta};

use super::checks::rule;
use super::error::PlanError;
use super::lower::Lowering;
use super::stages::Step;
use super::state::StageState;
use crate::expansion::{ExpandError, Expansion, Lexer, Variables};
use crate::instruction::{Command, Instruction, Word};
use crate::suggest::nearest;

/// ARGs that never become variables.
pub(super) const NOT_VARIABLES: [&str; 2] =
    ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// Numbers the steps of a stage for the progress.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    /// The stage, as the progress shows it; empty when there is only one.
    pub(super) label: String,
    /// How many steps there will be; without any, nothing is numbered.
    pub(super) total: usize,
    /// How many there were.
    pub(super) count: usize,
}

impl Counter {
    /// `[platform stage 2/5] text` for the step that was counted last.
    pub(super) fn name(&self, platform: Option<&str>, trigger: bool, text: &str) -> String {
        if self.total == 0 {
            return text.to_owned();
        }
        let mut name = String::with_capacity(text.len() + 32);
        name.push('[');
        for part in [platform.unwrap_or_default(), &self.label] {
            if !part.is_empty() {
                name.push_str(part);
                name.push(' ');
            }
        }
        let width = self.total.ilog10() as usize + 1;
        // Writing to memory never fails.
        let _ = write!(name, "{:width$}/{}] ", self.count, self.total);
        if trigger {
            name.push_str("ONBUILD ");
        }
        name.push_str(text);
        name
    }
}

/// One stage while its instructions are lowered.
pub(super) struct Work<'w, 'a> {
    pub(super) lowering: &'w mut Lowering<'a>,
    pub(super) state: StageState,
    pub(super) counter: Counter,
    /// As vertices carry it.
    stage: String,
    /// Whether `--no-cache` or its filter means this stage.
    pub(super) forced: bool,
    /// Where CMD, ENTRYPOINT and HEALTHCHECK were seen last in this stage.
    pub(super) command: Option<Span>,
    pub(super) entrypoint: Option<Span>,
    pub(super) healthcheck: Option<Span>,
    /// Of the instruction that is being lowered.
    pub(super) span: Span,
    pub(super) comments: Vec<Word>,
    trigger: bool,
    undefined: Vec<String>,
}

impl<'w, 'a> Work<'w, 'a> {
    pub(super) fn new(
        lowering: &'w mut Lowering<'a>,
        number: usize,
        state: StageState,
        counter: Counter,
    ) -> Self {
        let node = lowering.node(number);
        let name = node.stage.name.as_ref().map(|name| name.lower());
        let request = lowering.scope.request;
        let filtered = name.as_ref().is_some_and(|name| {
            let filter = &request.no_cache_filter;
            filter.iter().any(|wanted| wanted.to_lowercase() == *name)
        });
        Self {
            stage: node.meta_stage(number),
            span: node.stage.span,
            forced: request.no_cache || filtered,
            lowering,
            state,
            counter,
            command: None,
            entrypoint: None,
            healthcheck: None,
            comments: Vec::new(),
            trigger: false,
            undefined: Vec::new(),
        }
    }

    /// Lowers one instruction.
    pub(super) fn step(&mut self, step: &Step<'_>) -> Result<(), PlanError> {
        let instruction = &*step.instruction;
        self.span = instruction.span;
        self.trigger = step.trigger;
        self.comments.clone_from(&instruction.comments);
        self.undefined.clear();
        match &instruction.command {
            Command::Run(run) => self.run(run, instruction, &step.sources),
            Command::Copy(copy) => self.copy(copy, instruction, &step.sources, false),
            Command::Add(copy) => self.copy(copy, instruction, &step.sources, true),
            _ => self.metadata(instruction),
        }
    }

    /// Replaces the variables of `word` and takes off its quotes.
    pub(super) fn expand(&mut self, word: &str) -> Result<String, PlanError> {
        let lexer = self.lowering.scope.lexer();
        let expanded = lexer.word(word, &self.state.variables);
        self.expanded(expanded)
    }

    /// Replaces the variables in the body of a heredoc.
    pub(super) fn expand_body(&mut self, body: &str) -> Result<String, PlanError> {
        let lexer = Lexer::heredoc(&self.lowering.scope.budget);
        let expanded = lexer.word(body, &self.state.variables);
        self.expanded(expanded)
    }

    /// The text of a word, after a report of the variables in it that are not set. They are
    /// compared with those set before the instruction, and reported of a word that fails too.
    pub(super) fn expanded(
        &mut self,
        expanded: Result<Expansion, ExpandError>,
    ) -> Result<String, PlanError> {
        let undefined = match &expanded {
            Ok(expansion) => &expansion.undefined,
            Err(error) => &error.undefined,
        };
        self.report_undefined(undefined);
        Ok(expanded?.text)
    }

    pub(super) fn report_undefined(&mut self, names: &[String]) {
        if self.state.base_unknown {
            return;
        }
        for name in names {
            let declared = self.state.args.iter().any(|(arg, _)| arg == name);
            if declared || NOT_VARIABLES.contains(&name.as_str()) || self.undefined.contains(name) {
                continue;
            }
            self.undefined.push(name.clone());
            let mut message = format!("Usage of undefined variable '${name}'");
            if let Some(meant) = nearest(name, self.state.variables.names()) {
                message.push_str(&format!(" (did you mean ${meant}?)"));
            }
            self.report(rule::UNDEFINED_VAR, message);
        }
    }

    /// Reports what a rule found at this instruction.
    pub(super) fn report(&self, rule: &'static str, message: String) {
        self.report_at(rule, self.span, message);
    }

    /// Reports what a rule found elsewhere because of this instruction.
    pub(super) fn report_at(&self, rule: &'static str, span: Span, message: String) {
        let checks = &self.lowering.scope.checks;
        checks.report(rule, span, &self.comments, message);
    }

    /// Adds to the image's history.
    pub(super) fn commit(
        &mut self,
        created_by: String,
        empty_layer: bool,
    ) -> Result<(), PlanError> {
        let scope = self.lowering.scope;
        scope.budget.spend(created_by.len())?;
        let history = &mut self.state.history;
        history.push(scope.created(), created_by, empty_layer);
        Ok(())
    }

    /// Adds a vertex of the step that was numbered last.
    pub(super) fn add(
        &mut self,
        op: Op,
        inputs: Vec<VertexId>,
        name: String,
        forced: bool,
    ) -> VertexId {
        self.lowering.graph.add(Vertex {
            op,
            inputs,
            meta: VertexMeta {
                name,
                span: Some(self.span),
                stage: self.stage.clone(),
                step: self.counter.count as u32,
                forced,
            },
        })
    }

    /// The instruction as it is shown: keyword in capitals, variables replaced.
    pub(super) fn shown(&self, instruction: &Instruction) -> String {
        let text = instruction.original.trim();
        let lexer = self.lowering.scope.lexer();
        let expanded = lexer.word(text, &self.state.variables);
        upper_keyword(expanded.map_or_else(|_| text.to_owned(), |e| e.text))
    }

    /// The same for a command that a shell will read: quotes and unset variables stay.
    pub(super) fn shown_command(&self, text: &str, variables: &dyn Variables) -> String {
        let scope = self.lowering.scope;
        let lexer = Lexer::shown(scope.dockerfile.directives.escape, &scope.budget);
        let expanded = lexer.word(text, variables);
        upper_keyword(expanded.map_or_else(|_| text.to_owned(), |e| e.text))
    }

    /// Counts a step: `[stage 2/5] text`.
    pub(super) fn numbered(&mut self, text: &str) -> String {
        self.counter.count += 1;
        self.prefixed(text)
    }

    /// The text with the number of the step that was counted last.
    pub(super) fn prefixed(&self, text: &str) -> String {
        let platform = self.lowering.scope.shows_platform();
        let platform =
            platform.then(|| format!("{}{}", self.state.platform, self.cross_platform()));
        self.counter.name(platform.as_deref(), self.trigger, text)
    }

    /// `->arm64` when the variables of a stage say that it builds for another machine.
    fn cross_platform(&self) -> String {
        let get = |name| self.state.variables.get(name);
        let own = &self.state.platform;
        let target = match get("TARGETPLATFORM").and_then(|text| text.parse().ok()) {
            Some(platform) => platform,
            None => {
                let parts = (get("TARGETOS"), get("TARGETARCH"), get("TARGETVARIANT"));
                if parts == (None, None, None) {
                    return String::new();
                }
                let or = |value: Option<&str>, own: &str| match value {
                    None | Some("") => own.to_owned(),
                    Some(value) => value.to_owned(),
                };
                image::Platform::new(
                    &or(parts.0, &own.os),
                    &or(parts.1, &own.architecture),
                    parts.2.unwrap_or_default(),
                )
            }
        };
        if target.os != own.os {
            return format!("->{target}");
        }
        if target.architecture == own.architecture {
            return String::new();
        }
        match target.variant.as_str() {
            "" => format!("->{}", target.architecture),
            variant => format!("->{}/{variant}", target.architecture),
        }
    }
}

fn upper_keyword(text: String) -> String {
    match text.split_once(' ') {
        Some((keyword, _)) if keyword.bytes().all(|byte| byte.is_ascii_uppercase()) => text,
        Some((keyword, rest)) => format!("{} {rest}", keyword.to_uppercase()),
        None => text.to_uppercase(),
    }
}
