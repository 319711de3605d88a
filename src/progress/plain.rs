//! One line for each thing that happens: for logs and CI.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use solver::Event;

use super::steps::{Kind, Steps, bytes, clean, seconds};

/// Writes plain lines.
pub struct Plain<W> {
    out: W,
    /// Lines that are written together, when all is said about an event.
    lines: Vec<u8>,
    announced: HashSet<usize>,
    partial: std::collections::HashMap<usize, Vec<u8>>,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            lines: Vec::new(),
            announced: HashSet::new(),
            partial: std::collections::HashMap::new(),
        }
    }

    fn line(&mut self, text: &str) {
        self.lines.extend_from_slice(text.as_bytes());
        self.lines.push(b'\n');
    }

    fn write(&mut self) {
        // Progress that cannot be written (a closed pipe) must not stop the build.
        let _ = self.out.write_all(&self.lines);
        self.lines.clear();
    }

    fn announce(&mut self, number: usize, name: &str) {
        if self.announced.insert(number) {
            self.line(&format!("#{number} {name}"));
        }
    }

    fn flush_partial(&mut self, number: usize, at: &str) {
        if let Some(rest) = self.partial.remove(&number).filter(|rest| !rest.is_empty()) {
            self.line(&format!("#{number} {at} {}", clean(&rest)));
        }
    }
}

impl<W: Write + Send> super::View for Plain<W> {
    fn event(&mut self, steps: &Steps, index: usize, event: &Event) {
        self.lines_of(steps, index, event);
        self.write();
    }

    fn note(&mut self, text: &str) {
        self.line(text);
        self.write();
    }

    fn finish(&mut self, steps: &Steps) {
        if let Some(summary) = summary(steps) {
            self.line(&summary);
            self.write();
        }
    }
}

impl<W: Write + Send> Plain<W> {
    fn lines_of(&mut self, steps: &Steps, index: usize, event: &Event) {
        let step = steps.get(index);
        let number = step.number;
        let at = format!("{:.3}", step.running_for().as_secs_f64());
        match event {
            Event::Progress { .. } | Event::Skipped { .. } => return,
            _ => self.announce(number, &step.name),
        }
        match event {
            Event::Missed { reason, .. } => self.line(&format!("#{number} runs: {reason}")),
            Event::Waiting { owner, .. } => self.line(&format!("#{number} waits for {owner}")),
            Event::Log { data, .. } => {
                let mut pending = self.partial.remove(&number).unwrap_or_default();
                pending.extend_from_slice(data);
                let mut rest = pending.as_slice();
                while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                    self.line(&format!("#{number} {at} {}", clean(&rest[..end])));
                    rest = &rest[end + 1..];
                }
                let rest = rest.to_vec();
                self.partial.insert(number, rest);
            }
            Event::CacheHit { .. } if step.kind == Kind::Image => {
                self.line(&format!("#{number} DONE {}", seconds(Duration::ZERO)));
            }
            Event::CacheHit { .. } => self.line(&format!("#{number} CACHED")),
            Event::Done { elapsed, .. } => {
                self.flush_partial(number, &at);
                let moved: u64 = step.items.iter().map(|(_, done, _)| done).sum();
                let amount = if moved > 0 {
                    format!(", {}", bytes(moved))
                } else {
                    String::new()
                };
                self.line(&format!("#{number} DONE {}{amount}", seconds(*elapsed)));
            }
            Event::Failed { message, .. } => {
                self.flush_partial(number, &at);
                self.line(&format!("#{number} ERROR {message}"));
            }
            Event::Cancelled { .. } => {
                self.flush_partial(number, &at);
                self.line(&format!("#{number} CANCELED"));
            }
            Event::Started { .. } | Event::Progress { .. } | Event::Skipped { .. } => {}
        }
    }
}

/// One line that says what became of a build; none where none came to have steps.
pub fn summary(steps: &Steps) -> Option<String> {
    steps.of_build().next()?;
    Some(format!("{} in {}", steps.tally(), seconds(steps.elapsed())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::View;
    use solver::{HitOrigin, LogStream, VertexId};

    #[test]
    fn an_image_on_hand_is_no_cached_result() {
        let mut steps = Steps::default();
        let image = VertexId([1; 32]);
        let step = VertexId([2; 32]);
        steps.expect(image, Kind::Image, "[1/2] FROM base".to_owned());
        steps.expect(step, Kind::Instruction, "[2/2] RUN make".to_owned());
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        for vertex in [image, step] {
            let event = Event::CacheHit {
                vertex,
                origin: HitOrigin::Definition,
            };
            let index = steps.update(&event).unwrap();
            plain.event(&steps, index, &event);
        }
        plain.finish(&steps);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "#1 [1/2] FROM base",
                "#1 DONE 0.0s",
                "#2 [2/2] RUN make",
                "#2 CACHED"
            ]
        );
        assert!(lines[4].starts_with("1 cached, 0 ran in "), "{text}");
    }

    #[test]
    fn a_step_is_announced_once_and_its_last_line_is_not_lost() {
        let mut steps = Steps::default();
        let vertex = steps.new_id();
        steps.expect(vertex, Kind::Instruction, "[1/1] RUN make".to_owned());
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        for event in [
            Event::Missed {
                vertex,
                reason: "never built before".to_owned(),
            },
            Event::Log {
                vertex,
                stream: LogStream::Stdout,
                data: b"one\ntw".to_vec(),
            },
            Event::Log {
                vertex,
                stream: LogStream::Stdout,
                data: b"o".to_vec(),
            },
            Event::Done {
                vertex,
                elapsed: Duration::from_millis(1234),
            },
        ] {
            let index = steps.update(&event).unwrap();
            plain.event(&steps, index, &event);
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "#1 [1/1] RUN make\n#1 runs: never built before\n#1 0.000 one\n#1 0.000 two\n#1 DONE 1.2s\n"
        );
    }
}
