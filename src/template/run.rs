//! A template's tree over a document.

use std::ops::Range;

use super::call::{self, CallError};
use super::parse::{Branch, Node, Operand, OperandKind, Pipeline};
use super::{LONGEST, TemplateError, Value};

/// Runs a template.
pub fn run(text: &str, nodes: &[Node], document: &Value) -> Result<String, TemplateError> {
    let mut run = Run {
        text,
        out: String::new(),
        variables: vec![("$".to_owned(), document.clone())],
    };
    run.nodes(nodes, document)?;
    Ok(run.out)
}

struct Run<'t> {
    text: &'t str,
    out: String,
    variables: Vec<(String, Value)>,
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    Through,
    Break,
    Continue,
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&value.show());
                    }
                }
                Node::If(branch) => {
                    let scope = self.variables.len();
                    let value = self.pipeline(&branch.pipeline, dot)?;
                    let nodes = if value.truth() {
                        &branch.then
                    } else {
                        &branch.otherwise
                    };
                    let flow = self.nodes(nodes, dot)?;
                    self.variables.truncate(scope);
                    if flow != Flow::Through {
                        return Ok(flow);
                    }
                }
                Node::With(branch) => {
                    let scope = self.variables.len();
                    let value = self.pipeline(&branch.pipeline, dot)?;
                    let flow = if value.truth() {
                        self.nodes(&branch.then, &value)?
                    } else {
                        self.nodes(&branch.otherwise, dot)?
                    };
                    self.variables.truncate(scope);
                    if flow != Flow::Through {
                        return Ok(flow);
                    }
                }
                Node::Range(branch) => {
                    let flow = self.range(branch, dot)?;
                    if flow != Flow::Through {
                        return Ok(flow);
                    }
                }
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
            if self.out.len() > LONGEST {
                return Err(TemplateError::running(
                    self.text,
                    &(0..0),
                    "it writes too much",
                ));
            }
        }
        Ok(Flow::Through)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        let names = &branch.pipeline.variables;
        let value = self.commands(&branch.pipeline, dot)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::List(items) => items
                .iter()
                .flat_map(|items| items.iter())
                .enumerate()
                .map(|(number, item)| (Value::Int(number as i64), item.clone()))
                .collect(),
            Value::Map(_) => value
                .fields()
                .map(|(name, item)| (Value::text(name), item.clone()))
                .collect(),
            Value::Int(count) => {
                let count = usize::try_from(*count).unwrap_or(0).min(LONGEST);
                (0..count as i64)
                    .map(|number| (Value::Int(number), Value::Int(number)))
                    .collect()
            }
            Value::Missing | Value::Nil => Vec::new(),
            other => {
                let message = format!("range can't iterate over {}", other.show());
                return Err(self.fail(&branch.pipeline, message));
            }
        };
        if items.is_empty() {
            return self.nodes(&branch.otherwise, dot);
        }
        for (key, item) in items {
            match (names.as_slice(), branch.pipeline.assigns) {
                ([one], false) => self.variables.push((one.clone(), item.clone())),
                ([first, second], false) => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
                ([one], true) => self.assign(one, item.clone()),
                ([first, second], true) => {
                    self.assign(first, key);
                    self.assign(second, item.clone());
                }
                _ => {}
            }
            let flow = self.nodes(&branch.then, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Through)
    }

    fn assign(&mut self, name: &str, value: Value) {
        let found = self.variables.iter_mut().rev().find(|(n, _)| n == name);
        if let Some((_, place)) = found {
            *place = value;
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or(Value::Missing))
    }

    fn command(
        &mut self,
        command: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let Some((first, rest)) = command.split_first() else {
            return Ok(Value::Missing);
        };
        let OperandKind::Function(name) = &first.kind else {
            let alone = rest.is_empty() && last.is_none();
            if !alone && let method @ Value::Label(_) = self.operand(first, dot)? {
                let mut arguments = Vec::with_capacity(1);
                for operand in rest {
                    arguments.push(self.operand(operand, dot)?);
                }
                arguments.extend(last);
                return match arguments.as_slice() {
                    [Value::Text(name)] => Ok(method.label(name).unwrap_or(Value::Missing)),
                    [_] => Err(self.fail_at(&first.span, "expected string".to_owned())),
                    others => {
                        let message = format!(
                            "wrong number of args for Label: want 1 got {}",
                            others.len()
                        );
                        Err(self.fail_at(&first.span, message))
                    }
                };
            }
            if !alone {
                let text = &self.text[first.span.clone()];
                return Err(self.fail_at(
                    &first.span,
                    format!("can't give argument to non-function {text}"),
                ));
            }
            let value = self.operand(first, dot)?;
            if matches!(value, Value::Label(_)) {
                let message = "wrong number of args for Label: want 1 got 0".to_owned();
                return Err(self.fail_at(&first.span, message));
            }
            return Ok(value);
        };
        // `and` and `or` look at no more than they need.
        if matches!(name.as_str(), "and" | "or") {
            let mut value = Value::Missing;
            for operand in rest {
                value = self.operand(operand, dot)?;
                if value.truth() == (name == "or") {
                    return Ok(value);
                }
            }
            return match last {
                Some(last) => Ok(last),
                None if rest.is_empty() => {
                    let message = format!("wrong number of args for {name}: want at least 1 got 0");
                    Err(self.fail_at(&first.span, message))
                }
                None => Ok(value),
            };
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        let value = call::call(name, &arguments).map_err(|error| match error {
            CallError::Arguments(message) => self.fail_at(&first.span, message),
            CallError::Failed(message) => {
                self.fail_at(&first.span, format!("error calling {name}: {message}"))
            }
        })?;
        self.fields(value, first)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let value = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil => Value::Nil,
            OperandKind::Bool(value) => Value::Bool(*value),
            OperandKind::Int(value) => Value::Int(*value),
            OperandKind::Float(value) => Value::Float(*value),
            OperandKind::Text(text) => Value::text(text),
            OperandKind::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map_or(Value::Missing, |(_, value)| value.clone()),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
            OperandKind::Function(_) => {
                return self.command(std::slice::from_ref(operand), None, dot);
            }
        };
        self.fields(value, operand)
    }

    /// What `.A.B` after an operand leads to.
    fn fields(&self, mut value: Value, operand: &Operand) -> Result<Value, TemplateError> {
        for name in &operand.fields {
            let fail = |message: String| Err(self.fail_at(&operand.span, message));
            value = match &value {
                Value::Map(map) => map
                    .as_ref()
                    .and_then(|map| map.get(name))
                    .cloned()
                    .unwrap_or(Value::Missing),
                Value::Struct(fields) => match fields.iter().find(|(field, _)| field == name) {
                    Some((_, Value::Omitted(value))) => Value::clone(value),
                    Some((_, value)) => value.clone(),
                    None => return fail(format!("map has no entry for key \"{name}\"")),
                },
                Value::Missing => {
                    return fail(format!("nil data; no entry for key \"{name}\""));
                }
                Value::Nil => {
                    return fail(format!("nil pointer evaluating interface {{}}.{name}"));
                }
                other => {
                    return fail(format!(
                        "can't evaluate field {name} in type {}",
                        other.kind()
                    ));
                }
            };
        }
        Ok(value)
    }

    fn fail(&self, pipeline: &Pipeline, message: String) -> TemplateError {
        let operands = pipeline.commands.iter().flatten();
        let span = operands.map(|operand| operand.span.clone()).next();
        self.fail_at(&span.unwrap_or(0..0), message)
    }

    fn fail_at(&self, span: &Range<usize>, message: String) -> TemplateError {
        TemplateError::running(self.text, span, message)
    }
}
