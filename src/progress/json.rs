//! One JSON object a line: for programs.

use std::io::Write;

use serde_json::{Value, json};
use solver::{Event, HitOrigin, LogStream};

use super::steps::Steps;

/// Writes JSON lines.
pub struct Json<W>(W);

impl<W: Write + Send> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self(out)
    }

    fn line(&mut self, value: &Value) {
        // Progress that cannot be written (a closed pipe) must not stop the build.
        let _ = writeln!(self.0, "{value}");
    }
}

impl<W: Write + Send> super::View for Json<W> {
    fn event(&mut self, steps: &Steps, index: usize, event: &Event) {
        let step = steps.get(index);
        let mut value = to_value(event);
        value["step"] = json!(step.number);
        value["name"] = json!(step.name);
        self.line(&value);
    }

    fn note(&mut self, text: &str) {
        self.line(&json!({ "event": "note", "text": text }));
    }

    fn finish(&mut self, steps: &Steps) {
        self.line(&json!({ "event": "end", "seconds": steps.elapsed().as_secs_f64() }));
    }
}

/// An event as JSON: `event` names it; bytes that are not UTF-8 are replaced.
pub fn to_value(event: &Event) -> Value {
    let vertex = super::steps::vertex(event).hex();
    let mut value = match event {
        Event::Missed { reason, .. } => json!({ "event": "missed", "reason": reason }),
        Event::Waiting { owner, .. } => json!({ "event": "waiting", "owner": owner }),
        Event::Started { .. } => json!({ "event": "started" }),
        Event::Log { stream, data, .. } => json!({
            "event": "log",
            "stream": match stream { LogStream::Stdout => "stdout", LogStream::Stderr => "stderr" },
            "text": String::from_utf8_lossy(data),
        }),
        Event::Progress {
            item, done, total, ..
        } => {
            json!({ "event": "progress", "item": item, "done": done, "total": total })
        }
        Event::CacheHit { origin, .. } => json!({
            "event": "cached",
            "origin": match origin {
                HitOrigin::Definition => "definition",
                HitOrigin::Content => "content",
                HitOrigin::Shared => "shared",
                HitOrigin::Remote => "remote",
            },
        }),
        Event::Done { elapsed, .. } => json!({ "event": "done", "seconds": elapsed.as_secs_f64() }),
        Event::Failed { message, .. } => json!({ "event": "failed", "message": message }),
        Event::Cancelled { .. } => json!({ "event": "cancelled" }),
        Event::Skipped { .. } => json!({ "event": "skipped" }),
    };
    value["vertex"] = Value::from(vertex);
    value
}
