//! The live view: a head line, the running steps with their last lines, and above them, scrolled
//! away, what is finished. Cached steps are only counted.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;
use solver::Event;

use super::steps::{Outcome, Step, Steps, bytes, seconds};

/// Lines of output shown under each running step.
const TAIL: usize = 4;

/// Draws on standard error.
pub struct Terminal {
    multi: MultiProgress,
    lines: Vec<ProgressBar>,
    colour: bool,
}

impl Terminal {
    /// A view that draws nothing yet.
    pub fn new() -> Self {
        Self {
            multi: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20)),
            lines: Vec::new(),
            colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Shows exactly these lines at the bottom; each is cut to the width, so that none wraps.
    fn show(&mut self, texts: &[String]) {
        let (rows, columns) = tcgetwinsize(std::io::stderr()).map_or((24, 80), |size| {
            (usize::from(size.ws_row), usize::from(size.ws_col))
        });
        let shown = texts.len().min(rows.saturating_sub(2).max(1));
        while self.lines.len() < shown {
            let style = ProgressStyle::with_template("{msg}").expect("a constant template");
            let bar = self.multi.add(ProgressBar::new_spinner().with_style(style));
            self.lines.push(bar);
        }
        while self.lines.len() > shown {
            // Not cleared one by one: each would draw the whole view once more.
            if let Some(bar) = self.lines.pop() {
                self.multi.remove(&bar);
            }
        }
        for (bar, text) in self.lines.iter().zip(texts) {
            bar.set_message(cut(text, columns.saturating_sub(1).max(1)));
        }
    }

    fn print(&self, text: &str) {
        // A terminal that is gone must not stop the build.
        let _ = self.multi.println(text);
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn draw(&mut self, steps: &Steps) {
        let mut texts = Vec::new();
        if steps.of_build().next().is_some() {
            texts.push(head(steps));
        }
        for step in steps.iter() {
            match &step.outcome {
                Outcome::Running => {
                    texts.push(format!(
                        " => {}  {}{}",
                        step.name,
                        seconds(step.running_for()),
                        amount(step)
                    ));
                    let tail = &step.tail[step.tail.len().saturating_sub(TAIL)..];
                    texts.extend(tail.iter().map(|line| format!("    | {line}")));
                }
                Outcome::Waiting(owner) => {
                    texts.push(format!(" => {}  waits for {owner}", step.name));
                }
                _ => {}
            }
        }
        self.show(&texts);
    }
}

impl super::View for Terminal {
    fn event(&mut self, steps: &Steps, index: usize, event: &Event) {
        let step = steps.get(index);
        match event {
            Event::Done { elapsed, .. } => {
                let reason = step
                    .reason
                    .as_ref()
                    .map(|reason| format!("  ({reason})"))
                    .unwrap_or_default();
                let time = format!("{}{}", seconds(*elapsed), amount(step));
                self.print(&format!(
                    "{} {}  {time}{}",
                    self.paint("32", "ok"),
                    step.name,
                    self.paint("2", &reason)
                ));
            }
            Event::Failed { .. } => {
                self.print(&format!("{} {}", self.paint("31", "failed"), step.name));
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str) {
        self.print(text);
    }

    fn ticks(&self) -> bool {
        true
    }

    fn tick(&mut self, steps: &Steps) {
        self.draw(steps);
    }

    fn finish(&mut self, steps: &Steps) {
        // A terminal that is gone needs no clearing.
        let _ = self.multi.clear();
        self.show(&[]);
        if let Some(summary) = super::plain::summary(steps) {
            self.print(&self.paint("1", &summary));
        }
    }
}

/// How far the whole build is.
fn head(steps: &Steps) -> String {
    let all = steps.of_build().count();
    let ended = steps.of_build().filter_map(Step::ended).count();
    format!(
        "building {}  {ended}/{all} steps, {} cached",
        seconds(steps.elapsed()),
        steps.tally().cached
    )
}

/// The bytes that a step has moved, where it moves any.
fn amount(step: &Step) -> String {
    let done: u64 = step.items.iter().map(|(_, done, _)| done).sum();
    let total: u64 = step.items.iter().map(|(_, _, total)| total).sum();
    match (done, total) {
        (0, 0) => String::new(),
        (done, 0) => format!("  {}", bytes(done)),
        (done, total) => format!("  {} / {}", bytes(done), bytes(total)),
    }
}

/// The first `columns` letters of a text.
fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}
