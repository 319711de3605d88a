//! Tokens to a tree. The grammar is that of Go's text/template without `define`, `template` and
//! `block`, which are refused.

use std::iter::Peekable;
use std::ops::Range;

use super::lex::{Kind, Token, lex};
use super::{DEEPEST, TemplateError, call};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Text(String),
    /// `{{PIPELINE}}`
    Action(Pipeline),
    /// `{{if P}}…{{else if P}}…{{else}}…{{end}}`
    If(Branch),
    /// `{{with P}}…{{end}}`
    With(Branch),
    /// `{{range P}}…{{else}}…{{end}}`
    Range(Branch),
    Break,
    Continue,
}

/// What is done depending on a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    pub pipeline: Pipeline,
    pub then: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// Commands, of which each gets what the one before it gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    pub variables: Vec<String>,
    /// Whether the variables are there already.
    pub assigns: bool,
    pub commands: Vec<Vec<Operand>>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    pub kind: OperandKind,
    /// Fields asked of it: `.A.B`
    pub fields: Vec<String>,
    pub span: Range<usize>,
}

/// What a word of a command is.
#[derive(Debug, Clone, PartialEq)]
pub enum OperandKind {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Variable(String),
    Function(String),
    Pipeline(Box<Pipeline>),
}

const KEYWORDS: &[&str] = &[
    "if", "with", "range", "else", "end", "break", "continue", "define", "template", "block",
];

/// The tree of a template.
pub fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser {
        text,
        tokens: lex(text)?.into_iter().peekable(),
        variables: vec!["$".to_owned()],
        depth: 0,
        loops: 0,
    };
    let (nodes, end) = parser.list()?;
    match end {
        Ending::File => Ok(nodes),
        Ending::End(at) => Err(TemplateError::parsing(text, at, "unexpected {{end}}")),
        Ending::Else(at) => Err(TemplateError::parsing(text, at, "unexpected {{else}}")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Peekable<std::vec::IntoIter<Token>>,
    variables: Vec<String>,
    depth: usize,
    loops: usize,
}

/// What a list of nodes ended with.
enum Ending {
    File,
    End(usize),
    Else(usize),
}

impl Parser<'_> {
    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::parsing(self.text, at, message))
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.fail(self.position(), "it is nested too deeply");
        }
        Ok(())
    }

    fn position(&self) -> usize {
        self.tokens
            .clone()
            .next()
            .map_or(self.text.len(), |token| token.span.start)
    }

    fn list(&mut self) -> Result<(Vec<Node>, Ending), TemplateError> {
        self.deeper()?;
        let mut nodes = Vec::new();
        let ending = loop {
            let Some(token) = self.tokens.peek() else {
                break Ending::File;
            };
            let at = token.span.start;
            let word = match &token.kind {
                Kind::Text(text) => {
                    nodes.push(Node::Text(text.clone()));
                    self.tokens.next();
                    continue;
                }
                Kind::Word(word) => word.clone(),
                _ => String::new(),
            };
            if !KEYWORDS.contains(&word.as_str()) {
                let pipeline = self.pipeline("command", &Kind::End)?;
                nodes.push(Node::Action(pipeline));
                continue;
            }
            self.tokens.next();
            match word.as_str() {
                "end" => {
                    self.close("end")?;
                    break Ending::End(at);
                }
                "else" => break Ending::Else(at),
                "if" => nodes.push(Node::If(self.branch("if", at)?)),
                "with" => nodes.push(Node::With(self.branch("with", at)?)),
                "range" => {
                    self.loops += 1;
                    nodes.push(Node::Range(self.branch("range", at)?));
                    self.loops -= 1;
                }
                "break" | "continue" if self.loops == 0 => {
                    return self.fail(at, format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                "break" | "continue" => {
                    self.close(&word)?;
                    nodes.push(if word == "break" {
                        Node::Break
                    } else {
                        Node::Continue
                    });
                }
                word => return self.fail(at, format!("{{{{{word}}}}} is not done")),
            }
        };
        self.depth -= 1;
        Ok((nodes, ending))
    }

    /// The end of an action that has nothing more.
    fn close(&mut self, word: &str) -> Result<(), TemplateError> {
        match self.tokens.next() {
            Some(Token {
                kind: Kind::End, ..
            }) => Ok(()),
            token => {
                let at = token.map_or(self.text.len(), |token| token.span.start);
                self.fail(at, format!("unexpected text in {word}"))
            }
        }
    }

    fn branch(&mut self, word: &str, start: usize) -> Result<Branch, TemplateError> {
        let scope = self.variables.len();
        let pipeline = self.pipeline(word, &Kind::End)?;
        let (then, ending) = self.list()?;
        let otherwise = match ending {
            Ending::End(_) => Vec::new(),
            Ending::File => return self.fail(start, "unexpected EOF"),
            Ending::Else(_) => match self.tokens.peek() {
                Some(Token {
                    kind: Kind::Word(next),
                    ..
                }) if next == word && word != "range" => {
                    self.deeper()?;
                    self.tokens.next();
                    let branch = self.branch(word, start)?;
                    self.depth -= 1;
                    vec![if word == "if" {
                        Node::If(branch)
                    } else {
                        Node::With(branch)
                    }]
                }
                _ => {
                    self.close("else")?;
                    match self.list()? {
                        (nodes, Ending::End(_)) => nodes,
                        (_, Ending::Else(at)) => {
                            return self.fail(at, "expected end; found {{else}}");
                        }
                        (_, Ending::File) => return self.fail(start, "unexpected EOF"),
                    }
                }
            },
        };
        self.variables.truncate(scope);
        Ok(Branch {
            pipeline,
            then,
            otherwise,
        })
    }

    /// A pipeline up to `end`, which is taken too.
    fn pipeline(&mut self, context: &str, end: &Kind) -> Result<Pipeline, TemplateError> {
        self.deeper()?;
        let (variables, assigns) = self.declared(context)?;
        let mut commands = Vec::new();
        let mut command: Vec<Operand> = Vec::new();
        loop {
            let at = self.position();
            match self.tokens.peek().map(|token| &token.kind) {
                Some(kind) if kind == end || *kind == Kind::Pipe => {
                    let over = kind == end;
                    self.tokens.next();
                    if command.is_empty() {
                        return self.fail(
                            at,
                            if commands.is_empty() && over {
                                format!("missing value for {context}")
                            } else {
                                format!("missing value for {context} after |")
                            },
                        );
                    }
                    commands.push(std::mem::take(&mut command));
                    if over {
                        break;
                    }
                }
                None => return self.fail(at, "unclosed action"),
                Some(_) => {
                    let operand = self.operand(context)?;
                    if let Some(before) = command.last()
                        && before.span.end == operand.span.start
                    {
                        let text = &self.text[operand.span.clone()];
                        return self.fail(at, format!("unexpected <{text}> in operand"));
                    }
                    command.push(operand);
                }
            }
        }
        for command in commands.iter().skip(1) {
            let first = &command[0];
            if !matches!(
                first.kind,
                OperandKind::Function(_) | OperandKind::Pipeline(_)
            ) && first.fields.is_empty()
                && first.kind != OperandKind::Dot
            {
                let text = &self.text[first.span.clone()];
                return self.fail(
                    first.span.start,
                    format!("non executable command in pipeline stage 2: {text}"),
                );
            }
        }
        // Only now: a variable is not seen where it is declared.
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline {
            variables,
            assigns,
            commands,
        })
    }

    /// `$x := `, `$x = ` or `$i, $x := ` in front of a pipeline.
    fn declared(&mut self, context: &str) -> Result<(Vec<String>, bool), TemplateError> {
        let mut ahead = self.tokens.clone();
        let mut variables = Vec::new();
        loop {
            let (at, name) = match ahead.next() {
                Some(Token {
                    kind: Kind::Variable(name),
                    span,
                    ..
                }) => (span.start, name),
                _ => return Ok((Vec::new(), false)),
            };
            variables.push(name);
            match ahead.next().map(|token| token.kind) {
                Some(Kind::Comma) if context == "range" && variables.len() == 1 => {}
                Some(Kind::Declare) => {
                    self.tokens = ahead;
                    return Ok((variables, false));
                }
                Some(Kind::Assign) => {
                    for name in &variables {
                        self.known(name, at)?;
                    }
                    self.tokens = ahead;
                    return Ok((variables, true));
                }
                _ => return Ok((Vec::new(), false)),
            }
        }
    }

    fn known(&self, name: &str, at: usize) -> Result<(), TemplateError> {
        if self.variables.iter().any(|variable| variable == name) {
            return Ok(());
        }
        self.fail(at, format!("undefined variable \"{name}\""))
    }

    fn operand(&mut self, context: &str) -> Result<Operand, TemplateError> {
        let Some(token) = self.tokens.next() else {
            return self.fail(self.text.len(), "unclosed action");
        };
        let mut span = token.span;
        let mut fields = Vec::new();
        let kind = match token.kind {
            Kind::Dot => OperandKind::Dot,
            Kind::Field(name) => {
                fields.push(name);
                OperandKind::Dot
            }
            Kind::Variable(name) => {
                self.known(&name, span.start)?;
                OperandKind::Variable(name)
            }
            Kind::Word(word) => match word.as_str() {
                "true" | "false" => OperandKind::Bool(word == "true"),
                "nil" => OperandKind::Nil,
                _ if call::exists(&word) => OperandKind::Function(word),
                _ => {
                    return self.fail(span.start, format!("function \"{word}\" not defined"));
                }
            },
            Kind::Quoted(text) => OperandKind::Text(text),
            Kind::Number(text) => match number(&text) {
                Some(kind) => kind,
                None => return self.fail(span.start, format!("bad number syntax: \"{text}\"")),
            },
            Kind::Open => {
                let pipeline = self.pipeline("parenthesized pipeline", &Kind::Close)?;
                span.end = self.text[..self.position()]
                    .rfind(')')
                    .map_or(span.end, |at| at + 1);
                OperandKind::Pipeline(Box::new(pipeline))
            }
            _ => {
                let text = &self.text[span.clone()];
                return self.fail(span.start, format!("unexpected <{text}> in {context}"));
            }
        };
        while let Some(Token {
            kind: Kind::Field(name),
            span: next,
            spaced: false,
        }) = self.tokens.peek()
            && next.start == span.end
        {
            fields.push(name.clone());
            span.end = next.end;
            self.tokens.next();
        }
        Ok(Operand { kind, fields, span })
    }
}

/// Go's number constants.
fn number(text: &str) -> Option<OperandKind> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    for (prefix, base) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let value = i64::from_str_radix(digits, base).ok()?;
            return Some(OperandKind::Int(sign * value));
        }
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Some(OperandKind::Int(sign * value));
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    Some(OperandKind::Float(sign as f64 * value))
}
