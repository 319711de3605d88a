//! The stages of a file: what each starts from, which others it reads, which the target needs.

use std::borrow::Cow;
use std::collections::HashMap;

use image::Platform;
use solver::Span;

use super::checks;
use super::contexts::Found;
use super::error::PlanError;
use super::gotext::quoted;
use super::mounts;
use super::scope::Scope;
use crate::expansion::NoVariables;
use crate::instruction::{Command, Instruction, Stage};
use crate::suggest;

/// The empty image's name.
pub(super) const SCRATCH: &str = "scratch";

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing.
    Scratch,
    /// Another stage of the file.
    Stage(usize),
    /// An image, by the name that FROM expands to.
    Image(String),
    /// Not what FROM says: the request has a context of the stage's name.
    Replaced(Found),
}

/// One stage.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) stage: &'a Stage,
    /// Its name, or `stage-0`.
    name: String,
    /// As the progress shows it: nothing when it is the only one.
    pub(super) label: String,
    pub(super) base: Base,
    /// `--platform`.
    pub(super) platform: Option<Platform>,
    pub(super) steps: Vec<Step<'a>>,
    /// Whether the triggers of what it starts from are among its steps.
    pub(super) triggered: bool,
}

impl Node<'_> {
    /// The stage as vertices carry it: its name, or its number.
    pub(super) fn meta_stage(&self, number: usize) -> String {
        match &self.stage.name {
            Some(name) => name.lower(),
            None => number.to_string(),
        }
    }
}

/// One instruction to be lowered.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) instruction: Cow<'a, Instruction>,
    /// Whether it came from what the stage starts from.
    pub(super) trigger: bool,
    /// `--from`: one for a COPY, one for each mount of a RUN.
    pub(super) sources: Vec<Source>,
}

/// What a COPY or a mount reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The build context, or what the kind of mount says.
    Default,
    /// A stage.
    Stage(usize),
    /// Something outside the file.
    External(usize),
}

/// Something outside the file that a COPY or mount names.
#[derive(Debug, Clone)]
pub(super) struct External {
    /// As written.
    pub(super) name: String,
    /// The instruction that mentions it first.
    pub(super) span: Span,
}

/// All stages.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) stages: Vec<Node<'a>>,
    pub(super) externals: Vec<External>,
    by_name: HashMap<String, usize>,
    external_names: HashMap<String, usize>,
}

impl<'a> Table<'a> {
    /// Finds out what every stage starts from and reads.
    pub(super) fn new(scope: &Scope<'a>) -> Result<Self, PlanError> {
        let mut table = Self {
            stages: Vec::with_capacity(scope.dockerfile.stages.len()),
            externals: Vec::new(),
            by_name: HashMap::new(),
            external_names: HashMap::new(),
        };
        for (number, stage) in scope.dockerfile.stages.iter().enumerate() {
            let node = table.node(scope, number, stage);
            table
                .stages
                .push(node.map_err(|error| error.at(stage.span))?);
            if let Some(name) = &stage.name {
                table.by_name.insert(name.lower(), number);
            }
        }
        let mut alone = table.stages.len() == 1;
        for number in 0..table.stages.len() {
            if matches!(table.stages[number].base, Base::Replaced(_)) {
                continue;
            }
            for instruction in &table.stages[number].stage.instructions {
                let sources = table.sources(instruction)?;
                // To the reference each of these is one more stage.
                alone &= sources.is_empty() || matches!(sources[..], [Source::Stage(_)]);
                table.stages[number].steps.push(Step {
                    instruction: Cow::Borrowed(instruction),
                    trigger: false,
                    sources,
                });
            }
        }
        table.check_cycles()?;
        if alone {
            table.stages[0].label.clear();
        }
        Ok(table)
    }

    /// A stage without its steps.
    fn node(
        &self,
        scope: &Scope<'_>,
        number: usize,
        stage: &'a Stage,
    ) -> Result<Node<'a>, PlanError> {
        let name = scope.lexer().word(&stage.base.text, &scope.global.values);
        let name = name?;
        checks::tree::undefined_in_from(scope, stage, &name.undefined);
        if name.text.is_empty() {
            let error = PlanError::new(format!(
                "base name ({}) should not be blank",
                stage.base.text
            ));
            let unset = name.undefined.first().or(name.used.first());
            return Err(match unset {
                Some(unset) => error.help(format!(
                    "declare ARG {unset} with a default before the first FROM, or pass --build-arg {unset}=…"
                )),
                None => error,
            });
        }
        let platform = match &stage.platform {
            Some(written) => Some(from_platform(scope, stage, &written.text)?),
            None => None,
        };
        let replacement = stage.name.as_ref().and_then(|own| {
            let platform = platform.as_ref().unwrap_or(&scope.target);
            scope.contexts.find(&own.lower(), platform)
        });
        let base = match replacement {
            Some(found) => Base::Replaced(found),
            None => match self.by_name.get(&name.text) {
                Some(&earlier) => Base::Stage(earlier),
                None if name.text == SCRATCH => Base::Scratch,
                None => Base::Image(name.text),
            },
        };
        let name = match &stage.name {
            Some(name) => name.lower(),
            None => format!("stage-{number}"),
        };
        Ok(Node {
            stage,
            label: name.clone(),
            name,
            base,
            platform,
            steps: Vec::with_capacity(stage.instructions.len()),
            triggered: false,
        })
    }

    /// What an instruction reads.
    pub(super) fn sources(&mut self, instruction: &Instruction) -> Result<Vec<Source>, PlanError> {
        let at = |error: PlanError| error.at(instruction.span);
        match &instruction.command {
            Command::Copy(copy) => {
                let Some(from) = &copy.from else {
                    return Ok(Vec::new());
                };
                let source = self.copy_source(&from.text, instruction.span);
                Ok(vec![source.map_err(at)?])
            }
            Command::Run(run) => {
                let mut sources = Vec::with_capacity(run.mounts.len());
                for mount in &run.mounts {
                    let from = mounts::from(&mount.text).map_err(at)?;
                    sources.push(match from.as_deref() {
                        None | Some("") => Source::Default,
                        Some(name) => self.named(name, instruction.span),
                    });
                }
                Ok(sources)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn copy_source(&mut self, from: &str, span: Span) -> Result<Source, PlanError> {
        let budget = crate::expansion::Budget::new(0);
        let lexer = crate::expansion::Lexer::new('\\', &budget);
        if lexer.word(from, &NoVariables)?.text != from {
            return Err(PlanError::new(
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
            ));
        }
        match from.parse::<i64>() {
            Ok(number) => match usize::try_from(number) {
                Ok(index) if index < self.stages.len() => Ok(Source::Stage(index)),
                _ => Err(PlanError::new(format!("invalid stage index {number}"))),
            },
            Err(_) => Ok(self.named(from, span)),
        }
    }

    fn named(&mut self, name: &str, span: Span) -> Source {
        if let Some(&stage) = self.by_name.get(&name.to_lowercase()) {
            return Source::Stage(stage);
        }
        if let Some(&known) = self.external_names.get(name) {
            return Source::External(known);
        }
        let number = self.externals.len();
        self.externals.push(External {
            name: name.to_owned(),
            span,
        });
        self.external_names.insert(name.to_owned(), number);
        Source::External(number)
    }

    /// The stage that is asked for.
    pub(super) fn target(&self, wanted: Option<&str>) -> Result<usize, PlanError> {
        let Some(wanted) = wanted.filter(|name| !name.is_empty()) else {
            return Ok(self.stages.len() - 1);
        };
        self.by_name
            .get(&wanted.to_lowercase())
            .copied()
            .ok_or_else(|| {
                PlanError::new(suggest::with_suggestion(
                    format!("target stage {} could not be found", quoted(wanted)),
                    wanted,
                    self.names(),
                ))
            })
    }

    /// The stages' names, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|node| node.name.as_str())
    }

    /// Which stages, and which externals, the stage `target` needs.
    pub(super) fn reachable(&self, target: usize) -> (Vec<bool>, Vec<bool>) {
        let mut stages = vec![false; self.stages.len()];
        let mut externals = vec![false; self.externals.len()];
        let mut open = vec![target];
        while let Some(number) = open.pop() {
            if std::mem::replace(&mut stages[number], true) {
                continue;
            }
            let node = &self.stages[number];
            if let Base::Stage(base) = node.base {
                open.push(base);
            }
            for source in node.steps.iter().flat_map(|step| &step.sources) {
                match *source {
                    Source::Default => {}
                    Source::Stage(stage) => open.push(stage),
                    Source::External(external) => externals[external] = true,
                }
            }
        }
        (stages, externals)
    }

    /// Refuses stages that read each other.
    fn check_cycles(&self) -> Result<(), PlanError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.stages.len()];
        for first in 0..self.stages.len() {
            if marks[first] != Mark::New {
                continue;
            }
            marks[first] = Mark::Open;
            let mut path = vec![(first, self.reads(first))];
            while let Some((number, reads)) = path.last_mut() {
                let number = *number;
                let Some((read, span)) = reads.next() else {
                    marks[number] = Mark::Done;
                    path.pop();
                    continue;
                };
                match marks[read] {
                    Mark::Done => {}
                    Mark::New => {
                        marks[read] = Mark::Open;
                        path.push((read, self.reads(read)));
                    }
                    Mark::Open => {
                        let label = &self.stages[first].name;
                        return Err(PlanError::new(format!(
                            "circular dependency detected on stage: {label}"
                        ))
                        .at(span));
                    }
                }
            }
        }
        Ok(())
    }

    fn reads(&self, number: usize) -> impl Iterator<Item = (usize, Span)> {
        self.stages[number].steps.iter().flat_map(|step| {
            step.sources.iter().filter_map(|source| match source {
                Source::Stage(stage) => Some((*stage, step.instruction.span)),
                _ => None,
            })
        })
    }
}

/// The platform that FROM names.
fn from_platform(scope: &Scope<'_>, stage: &Stage, written: &str) -> Result<Platform, PlanError> {
    let expanded = scope.lexer().word(written, &scope.global.values)?;
    checks::tree::undefined_in_from(scope, stage, &expanded.undefined);
    checks::tree::platform_of_from(scope, stage, written, &expanded);
    let suggested = |message: String| match expanded.undefined.first() {
        Some(name) => suggest::with_suggestion(message, name, scope.global.values.names()),
        None => message,
    };
    if expanded.text.is_empty() {
        return Err(PlanError::new(suggested(format!(
            "empty platform value from expression {written}"
        ))));
    }
    expanded.text.parse::<Platform>().map_err(|error| {
        PlanError::new(suggested(format!(
            "failed to parse platform {written}: {error}"
        )))
    })
}
