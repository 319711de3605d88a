//! ONBUILD: the triggers of what a stage starts from become its first steps.

use std::borrow::Cow;

use super::error::PlanError;
use super::resolve::{Ground, Grounds};
use super::stages::{Base, Source, Step, Table};
use crate::instruction::{Command, Instruction};
use crate::parser;

/// Triggers are read as the only instruction under this.
const FROM: &str = "FROM scratch\n";

/// Adds the triggers that needed stages have not got yet; whether they read anything new.
pub(super) fn add_triggers(table: &mut Table<'_>, grounds: &Grounds) -> Result<bool, PlanError> {
    let mut news = false;
    for number in 0..table.stages.len() {
        if !grounds.needed[number] || table.stages[number].triggered {
            continue;
        }
        table.stages[number].triggered = true;
        let triggers: Vec<String> = match (&table.stages[number].base, &grounds.stages[number]) {
            (Base::Stage(base), _) => table.stages[*base]
                .steps
                .iter()
                .filter_map(|step| match &step.instruction.command {
                    Command::OnBuild(trigger) => Some(trigger.text.clone()),
                    _ => None,
                })
                .collect(),
            (Base::Image(_), Some(Ground::Image(image, _))) => image.config.config.on_build.clone(),
            _ => continue,
        };
        let span = table.stages[number].stage.span;
        let mut steps = Vec::with_capacity(triggers.len());
        for trigger in &triggers {
            let instruction = parse(trigger).map_err(|error| error.at(span))?;
            let instruction = Instruction {
                span,
                ..instruction
            };
            let sources = table.sources(&instruction)?;
            news |= sources.iter().any(|source| *source != Source::Default);
            steps.push(Step {
                instruction: Cow::Owned(instruction),
                trigger: true,
                sources,
            });
        }
        let own = std::mem::take(&mut table.stages[number].steps);
        steps.extend(own);
        table.stages[number].steps = steps;
    }
    Ok(news)
}

/// Reads one trigger.
fn parse(trigger: &str) -> Result<Instruction, PlanError> {
    let failed = |message: &str| {
        PlanError::new(format!(
            "ONBUILD trigger of the base cannot be read: {message}"
        ))
        .help(format!("the trigger is: {trigger}"))
    };
    let mut file = parser::parse(&format!("{FROM}{trigger}\n"))
        .map_err(|errors| failed(&errors.first().map(ToString::to_string).unwrap_or_default()))?;
    let mut instructions = match file.stages.pop() {
        Some(stage) if file.stages.is_empty() => stage.instructions,
        _ => Vec::new(),
    };
    match (instructions.pop(), instructions.is_empty()) {
        (Some(instruction), true) => match instruction.command {
            Command::OnBuild(_) | Command::Maintainer(_) => Err(failed(&format!(
                "{} isn't allowed as an ONBUILD trigger",
                instruction.keyword
            ))),
            _ => Ok(instruction),
        },
        _ => Err(failed("onbuild trigger should be a single expression")),
    }
}
