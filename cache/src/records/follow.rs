//! What the owner of a lease writes, read from its build's event file while somebody waits for it.
//!
//! Of an event this knows `event`, `vertex`, `stream` and `text`, and of those only log pieces.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use solver::LogStream;
use solver::traits::LogPieces;

/// Bytes that are read at once at most; the rest comes with the next look.
const MOST: u64 = 4 << 20;

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    build: String,
    /// The first digits of the vertex.
    vertex: String,
    file: File,
    /// A line that was not whole yet.
    begun: Vec<u8>,
}

#[derive(Deserialize)]
struct Line<'a> {
    event: &'a str,
    vertex: &'a str,
    #[serde(default)]
    stream: &'a str,
    #[serde(default)]
    text: String,
}

impl Followed {
    /// The log of one vertex of a build; none when the build's events cannot be read.
    pub(super) fn open(events: &Path, build: String, vertex: String) -> Option<Self> {
        Some(Self {
            file: File::open(events).ok()?,
            build,
            vertex,
            begun: Vec::new(),
        })
    }

    /// Whether it is this build's.
    pub(super) fn is_of(&self, build: &str) -> bool {
        self.build == build
    }

    /// What was written since the last time.
    pub(super) fn more(&mut self) -> LogPieces {
        // What cannot be read is not shown, and that is all.
        let _ = (&self.file).take(MOST).read_to_end(&mut self.begun);
        let Some(end) = self.begun.iter().rposition(|&byte| byte == b'\n') else {
            return LogPieces::new();
        };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        whole
            .split(|&byte| byte == b'\n')
            .filter_map(|line| self.piece(line))
            .collect()
    }

    fn piece(&self, line: &[u8]) -> Option<(LogStream, Vec<u8>)> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        if line.event != "log" || !line.vertex.starts_with(&self.vertex) {
            return None;
        }
        let stream = match line.stream {
            "stderr" => LogStream::Stderr,
            _ => LogStream::Stdout,
        };
        Some((stream, line.text.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_one_vertex_come_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let mut file = File::create(&path).unwrap();
        let mut log = Followed::open(&path, "b".into(), "ab".into()).unwrap();
        assert!(log.more().is_empty());
        writeln!(file, r#"{{"event":"started","vertex":"abcd"}}"#).unwrap();
        writeln!(
            file,
            r#"{{"event":"log","stream":"stdout","text":"é\n","vertex":"abcd"}}"#
        )
        .unwrap();
        writeln!(
            file,
            r#"{{"event":"log","stream":"stdout","text":"no\n","vertex":"bcde"}}"#
        )
        .unwrap();
        writeln!(file, "nonsense").unwrap();
        write!(file, r#"{{"event":"log","stream":"stderr","#).unwrap();
        assert_eq!(log.more(), [(LogStream::Stdout, "é\n".into())]);
        assert!(log.more().is_empty());
        writeln!(file, r#""text":"x","vertex":"abcd"}}"#).unwrap();
        assert_eq!(log.more(), [(LogStream::Stderr, "x".into())]);
    }
}
