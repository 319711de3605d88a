//! The plan of a build as a picture: what is drawn, before it is known how.
//!
//! A [`Picture`] shows steps in groups, one for each stage. `Scratch` and `Merge` are left out: they
//! are nobody's steps, and what stands on them stands on their parts. [`text`], [`dot`] and [`svg`]
//! draw it; [`json`] says everything.

pub mod dot;
pub mod json;
pub mod svg;
#[cfg(test)]
mod tests;
pub mod text;

use std::collections::HashMap;

use frontend::plan::MAIN_CONTEXT;
use solver::schedule::Prospect;
use solver::{Op, Vertex, VertexId};

use crate::pipeline::Foretold;

/// What everything is called that belongs to no stage.
const SOURCES: &str = "sources";
/// Characters of a step's name where another one depends on it.
const SHORT: usize = 40;

/// What is drawn.
#[derive(Debug)]
pub struct Picture {
    /// Stages, and what they are made of, lowest first.
    pub groups: Vec<Group>,
    /// All steps, inputs before users.
    pub steps: Vec<Step>,
    /// What reads what.
    pub edges: Vec<Edge>,
    /// The results, with their platforms.
    pub targets: Vec<(usize, String)>,
    /// Whether it is known what would become of the steps.
    pub is_foretold: bool,
}

/// Steps that belong together.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its steps, by position.
    pub steps: Vec<usize>,
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Which vertex.
    pub vertex: VertexId,
    /// As it is shown inside its group: one line without control characters.
    pub name: String,
    /// What would become of it.
    pub verdict: Verdict,
}

/// What reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// What is read.
    pub from: usize,
    /// By whom.
    pub to: usize,
    /// Whether it is the root file system, not files that are copied or mounted.
    pub is_root: bool,
}

/// What would become of a step, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There is nothing to say: it needs no work, or nothing is known of any step.
    None,
    /// The cache has it.
    Cached,
    /// It would run, or be fetched; why.
    Runs(String),
    /// It is not known; until when.
    Unknown(String),
    /// It would fail; of what.
    Fails(String),
    /// Nobody needs it.
    Skipped,
}

impl Step {
    /// Its name, and below it what would become of it.
    fn label(&self) -> String {
        match self.verdict {
            Verdict::None => self.name.clone(),
            _ => format!("{}\n{}", self.name, self.verdict.text()),
        }
    }
}

impl Verdict {
    /// The background of a step's box.
    const fn colour(&self) -> &'static str {
        match self {
            Self::None => "#ffffff",
            Self::Cached => "#d7f0d7",
            Self::Runs(_) => "#ffe0b0",
            Self::Unknown(_) => "#e4e4f4",
            Self::Fails(_) => "#f8c8c8",
            Self::Skipped => "#eeeeee",
        }
    }

    /// The word for programs; none where nothing is known.
    pub const fn word(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Cached => Some("cached"),
            Self::Runs(_) => Some("runs"),
            Self::Unknown(_) => Some("unknown"),
            Self::Fails(_) => Some("fails"),
            Self::Skipped => Some("skipped"),
        }
    }

    /// Why.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Runs(why) | Self::Unknown(why) | Self::Fails(why) => Some(why),
            Self::None | Self::Cached | Self::Skipped => None,
        }
    }

    /// The words for people.
    pub fn text(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Cached => "cached".to_owned(),
            Self::Runs(why) => format!("would run: {why}"),
            Self::Unknown(until) => format!("unknown until {until}"),
            Self::Fails(why) => format!("would fail: {why}"),
            Self::Skipped => "not needed".to_owned(),
        }
    }
}

/// How a drawing may look.
#[derive(Debug, Default, Clone, Copy)]
pub struct Look {
    /// Columns of the terminal, if it is one.
    pub width: Option<usize>,
    /// Whether colours are seen.
    pub colour: bool,
}

impl Picture {
    /// What there is to see of a plan; `context` is where the files of the main context are.
    pub fn of(foretold: &Foretold, context: &str) -> Self {
        let graph = &foretold.plan.graph;
        let shown = |vertex: &Vertex| !matches!(vertex.op, Op::Scratch | Op::Merge);
        let mut steps: Vec<Step> = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut edges: Vec<Edge> = Vec::new();
        // What stands for a vertex that is left out.
        let mut parts: HashMap<VertexId, Vec<usize>> = HashMap::new();
        for (id, vertex) in graph.iter() {
            let inputs = vertex.inputs.iter().enumerate();
            let inputs = inputs.flat_map(|(position, input)| {
                let parts = parts.get(input).map_or(&[][..], Vec::as_slice);
                parts.iter().map(move |&part| (position == 0, part))
            });
            if !shown(vertex) {
                let through = inputs.map(|(_, part)| part).collect();
                parts.insert(id, through);
                continue;
            }
            let index = steps.len();
            let others = edges.len();
            for (is_root, from) in inputs {
                let edge = Edge {
                    from,
                    to: index,
                    is_root,
                };
                if !edges[others..].contains(&edge) {
                    edges.push(edge);
                }
            }
            let (group, name) = place(vertex, context);
            let group = group.unwrap_or_else(|| match vertex.meta.stage.as_str() {
                "" => SOURCES.to_owned(),
                stage => stage_name(stage),
            });
            let number = *numbers.entry(group).or_insert_with_key(|name| {
                groups.push(Group {
                    name: name.clone(),
                    steps: Vec::new(),
                });
                groups.len() - 1
            });
            groups[number].steps.push(index);
            steps.push(Step {
                vertex: id,
                name,
                verdict: verdict(&id, vertex, foretold),
            });
            parts.insert(id, vec![index]);
        }
        let targets = foretold.plan.targets.iter();
        let targets = targets.filter_map(|target| {
            let parts = parts.get(&target.root).map_or(&[][..], Vec::as_slice);
            parts
                .last()
                .map(|&step| (step, target.platform.to_string()))
        });
        groups.sort_by_key(|group| group.name != SOURCES);
        Self {
            targets: targets.collect(),
            groups,
            steps,
            edges,
            is_foretold: foretold.reason.is_none(),
        }
    }

    /// The group of each step.
    fn groups_of_steps(&self) -> Vec<usize> {
        let mut groups = vec![0; self.steps.len()];
        for (number, group) in self.groups.iter().enumerate() {
            for &step in &group.steps {
                groups[step] = number;
            }
        }
        groups
    }

    /// How many would run, are cached, and are not known, in words.
    pub fn summary(&self) -> String {
        let platforms: Vec<&str> = self.targets.iter().map(|(_, name)| name.as_str()).collect();
        let mut words = vec![platforms.join(", ")];
        for (word, shown) in [
            ("runs", "would run"),
            ("cached", "cached"),
            ("unknown", "unknown"),
            ("fails", "would fail"),
        ] {
            let steps = self.steps.iter();
            let count = steps
                .filter(|step| step.verdict.word() == Some(word))
                .count();
            if count > 0 {
                words.push(format!("{count} {shown}"));
            }
        }
        words.join(" · ")
    }
}

/// The group that a step's name says it is in, and the rest of its name.
fn place(vertex: &Vertex, context: &str) -> (Option<String>, String) {
    let name = plain(&vertex.meta.name);
    match &vertex.op {
        Op::Context(op) => {
            let shown = match op.name.as_str() {
                MAIN_CONTEXT => context,
                name => name,
            };
            return (None, plain(&format!("context {shown}")));
        }
        // Its own name is that of the ADD that asked for it first.
        Op::Http(_) | Op::Git(_) => return (None, source_name(&vertex.op)),
        _ => {}
    }
    let numbered = name.strip_prefix('[').and_then(|rest| {
        let (label, text) = rest.split_once("] ")?;
        let (stage, number) = label.rsplit_once(' ').unwrap_or(("", label));
        // A number may be padded: `[build  1/12]`.
        let stage = stage.trim_end();
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'/')
            .then(|| (stage.to_owned(), format!("{number} {text}")))
    });
    match numbered {
        Some((stage, text)) if stage.is_empty() => (None, text),
        Some((stage, text)) => (Some(stage), text),
        None => (None, name),
    }
}

/// A download or repository, by its URL; without a password.
fn source_name(op: &Op) -> String {
    let masked = |url: &str| plain(&image::http::masked(url));
    match op {
        Op::Http(http) => masked(&http.url),
        Op::Git(git) if git.reference.is_empty() => masked(&git.url),
        Op::Git(git) => format!("{}#{}", masked(&git.url), plain(&git.reference)),
        _ => String::new(),
    }
}

/// A stage without a name is called by its number.
fn stage_name(stage: &str) -> String {
    if stage.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("stage {stage}")
    } else {
        stage.to_owned()
    }
}

fn verdict(id: &VertexId, vertex: &Vertex, foretold: &Foretold) -> Verdict {
    let until = |id: &VertexId| match foretold.plan.graph.get(id) {
        Some(vertex) => match &vertex.op {
            Op::Http(_) | Op::Git(_) => format!("{} is asked for", source_name(&vertex.op)),
            Op::Image(image) => format!("{} is fetched", image.reference),
            _ => format!("{} has run", short(&plain(&vertex.meta.name), SHORT)),
        },
        None => String::new(),
    };
    match foretold.prospects.get(id) {
        None | Some(Prospect::Free) => Verdict::None,
        Some(Prospect::Cached(_)) => Verdict::Cached,
        Some(Prospect::Runs(_)) if matches!(vertex.op, Op::Image(_)) => {
            Verdict::Runs("its layers have to be fetched".to_owned())
        }
        Some(Prospect::Runs(reason)) => Verdict::Runs(plain(reason)),
        Some(Prospect::Depends(on)) if on == id => Verdict::Unknown("it is asked for".to_owned()),
        Some(Prospect::Depends(on)) => Verdict::Unknown(until(on)),
        Some(Prospect::Fails(why)) => Verdict::Fails(plain(why)),
        Some(Prospect::Skipped) => Verdict::Skipped,
    }
}

/// One line without control characters.
fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|c| if c.is_control() { '�' } else { c }));
    }
    line
}

/// At most so many characters, the last one an ellipsis if some are missing.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
