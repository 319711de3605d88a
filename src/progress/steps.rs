//! What is known of each step of a build; shared by all views.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cache::builds::StepOutcome;
use solver::{Event, HitOrigin, VertexId};

use super::Tally;

/// The steps of a build in the order of their numbers.
#[derive(Debug, Clone)]
pub struct Steps {
    steps: Vec<Step>,
    by_id: HashMap<VertexId, usize>,
    begun: Instant,
    tasks: u64,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// From 1.
    pub number: usize,
    /// As shown.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What became of it.
    pub outcome: Outcome,
    /// When it began to run.
    pub started: Option<Instant>,
    /// Why it has to run.
    pub reason: Option<String>,
    /// Its last lines.
    pub tail: Vec<String>,
    /// How far each of its items is: name, bytes so far, bytes in all.
    pub items: Vec<(String, u64, u64)>,
    /// What it wrote after its last line end.
    partial: Vec<u8>,
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An instruction, which runs or is cached.
    Instruction,
    /// An image to build on, which is fetched or on hand: neither ran nor is a result cached.
    Image,
    /// Something that is only shown like a step.
    Task,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Pending,
    /// Another process makes the same thing.
    Waiting(String),
    /// It runs.
    Running,
    /// The cache had it.
    Cached(HitOrigin),
    /// It ran.
    Done(Duration),
    /// It failed.
    Failed(String),
    /// It was stopped.
    Cancelled,
    /// Nobody needed it.
    Skipped,
}

/// Lines of a step's output that are kept for the live view and for the error.
const TAIL: usize = 40;

impl Default for Steps {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            by_id: HashMap::new(),
            begun: Instant::now(),
            tasks: 0,
        }
    }
}

impl Steps {
    /// Adds a step that is not there yet.
    pub fn expect(&mut self, id: VertexId, kind: Kind, name: String) -> usize {
        *self.by_id.entry(id).or_insert_with(|| {
            self.steps.push(Step {
                number: self.steps.len() + 1,
                name,
                kind,
                outcome: Outcome::Pending,
                started: None,
                reason: None,
                tail: Vec::new(),
                items: Vec::new(),
                partial: Vec::new(),
            });
            self.steps.len() - 1
        })
    }

    /// An id for something that is no vertex.
    pub fn new_id(&mut self) -> VertexId {
        self.tasks += 1;
        let mut bytes = [0xff; 32];
        bytes[..8].copy_from_slice(&self.tasks.to_le_bytes());
        VertexId(bytes)
    }

    /// The step at this index.
    pub fn get(&self, index: usize) -> &Step {
        &self.steps[index]
    }

    /// The step of this vertex.
    pub fn of(&self, id: &VertexId) -> Option<&Step> {
        self.by_id.get(id).map(|&index| &self.steps[index])
    }

    /// All steps, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// Time since the build began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The steps of the build among them, and not what is only shown like one.
    pub fn of_build(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.kind != Kind::Task)
    }

    /// How many of the build's steps came to which end.
    pub fn tally(&self) -> Tally {
        Tally::of(self.of_build().filter_map(|step| {
            let (outcome, _) = step.ended()?;
            Some((step.kind == Kind::Image, outcome))
        }))
    }

    /// Takes in an event and says whose it is; none for a vertex that is not shown.
    pub fn update(&mut self, event: &Event) -> Option<usize> {
        let index = *self.by_id.get(&vertex(event))?;
        let step = &mut self.steps[index];
        match event {
            Event::Missed { reason, .. } => step.reason = Some(reason.clone()),
            Event::Waiting { owner, .. } => step.outcome = Outcome::Waiting(owner.clone()),
            Event::Started { .. } => {
                step.outcome = Outcome::Running;
                step.started = Some(Instant::now());
            }
            Event::Log { data, .. } => step.log(data),
            Event::Progress {
                item, done, total, ..
            } => step.advance(item, *done, *total),
            Event::CacheHit { origin, .. } => step.outcome = Outcome::Cached(*origin),
            Event::Done { elapsed, .. } => step.outcome = Outcome::Done(*elapsed),
            Event::Failed { message, .. } => step.outcome = Outcome::Failed(message.clone()),
            Event::Cancelled { .. } => step.outcome = Outcome::Cancelled,
            Event::Skipped { .. } => step.outcome = Outcome::Skipped,
        }
        Some(index)
    }
}

impl Step {
    /// Time since it began to run.
    pub fn running_for(&self) -> Duration {
        self.started
            .map(|started| started.elapsed())
            .unwrap_or_default()
    }

    /// How it ended and how long that took, if it has.
    pub fn ended(&self) -> Option<(StepOutcome, Duration)> {
        match self.outcome {
            Outcome::Cached(_) => Some((StepOutcome::Cached, Duration::ZERO)),
            Outcome::Done(elapsed) => Some((StepOutcome::Done, elapsed)),
            Outcome::Failed(_) => Some((StepOutcome::Failed, self.running_for())),
            Outcome::Cancelled => Some((StepOutcome::Cancelled, self.running_for())),
            Outcome::Skipped => Some((StepOutcome::Skipped, Duration::ZERO)),
            Outcome::Pending | Outcome::Waiting(_) | Outcome::Running => None,
        }
    }

    /// Its last lines, one that was never ended included.
    pub fn last_lines(&self) -> Vec<String> {
        let mut lines = self.tail.clone();
        if !self.partial.is_empty() {
            lines.push(clean(&self.partial));
        }
        lines
    }

    fn log(&mut self, data: &[u8]) {
        self.partial.extend_from_slice(data);
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            self.keep(&line[..end]);
        }
        // A program that never ends its line must not fill the memory.
        if self.partial.len() > 1 << 16 {
            let line = std::mem::take(&mut self.partial);
            self.keep(&line);
        }
    }

    fn keep(&mut self, line: &[u8]) {
        if self.tail.len() == TAIL {
            self.tail.remove(0);
        }
        self.tail.push(clean(line));
    }

    fn advance(&mut self, item: &str, done: u64, total: u64) {
        match self.items.iter_mut().find(|(name, _, _)| name == item) {
            Some(entry) => (entry.1, entry.2) = (done, total),
            None => self.items.push((item.to_owned(), done, total)),
        }
    }
}

/// The vertex that an event is about.
pub fn vertex(event: &Event) -> VertexId {
    match event {
        Event::Missed { vertex, .. }
        | Event::Waiting { vertex, .. }
        | Event::Started { vertex }
        | Event::Log { vertex, .. }
        | Event::Progress { vertex, .. }
        | Event::CacheHit { vertex, .. }
        | Event::Done { vertex, .. }
        | Event::Failed { vertex, .. }
        | Event::Cancelled { vertex }
        | Event::Skipped { vertex } => *vertex,
    }
}

/// A line of a step's output without what would move a terminal's cursor: only the part after the
/// last carriage return is what a terminal would show.
pub fn clean(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = line.rsplit(|&byte| byte == b'\r').next().unwrap_or(line);
    let mut text = String::with_capacity(shown.len());
    let mut letters = String::from_utf8_lossy(shown)
        .into_owned()
        .chars()
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' if letters.peek() == Some(&'[') => {
                letters.next();
                // A control sequence ends with a letter from @ to ~ (ECMA-48, 5.4).
                while letters
                    .next()
                    .is_some_and(|part| !('@'..='~').contains(&part))
                {}
            }
            '\t' => text.push_str("    "),
            letter if letter.is_control() => {}
            letter => text.push(letter),
        }
    }
    text
}

/// Seconds with one decimal; minutes from one minute on.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1}s")
    } else {
        format!(
            "{}m{:02}s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        )
    }
}

/// Bytes with a decimal unit, as docker shows them.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" {
                format!("{count}B")
            } else {
                format!("{value:.1}{unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1}TB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use solver::LogStream;

    #[test]
    fn output_is_cut_into_lines_wherever_it_was_cut_before() {
        let mut steps = Steps::default();
        let vertex = steps.new_id();
        steps.expect(vertex, Kind::Task, String::new());
        for data in ["a", "b\nc\n", "d"] {
            steps.update(&Event::Log {
                vertex,
                stream: LogStream::Stdout,
                data: data.into(),
            });
        }
        assert_eq!(steps.of(&vertex).unwrap().tail, ["ab", "c"]);
    }

    #[test]
    fn a_line_cannot_move_the_cursor() {
        assert_eq!(clean(b"10%\r20%\r"), "20%");
        assert_eq!(clean(b"\x1b[31mred\x1b[0m\x07\t."), "red    .");
        assert_eq!(clean(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn amounts() {
        assert_eq!(bytes(999), "999B");
        assert_eq!(bytes(1_500_000), "1.5MB");
        assert_eq!(seconds(Duration::from_secs(61)), "1m01s");
    }
}
