//! What a step writes: whole lines as events, and the last of it kept for the error.

use std::collections::VecDeque;

use solver::{Event, EventSink, LogStream, VertexId};

/// Bytes without an end of line that are held back at most.
const LONGEST_LINE: usize = 16 << 10;
/// What is kept for the error: so many lines, so many bytes.
const TAIL_LINES: usize = 40;
const TAIL_BYTES: usize = 16 << 10;

/// Cuts both streams at ends of lines.
pub struct Output<'a> {
    vertex: VertexId,
    events: &'a dyn EventSink,
    /// Begun lines of standard output and standard error.
    begun: [Vec<u8>; 2],
    tail: VecDeque<u8>,
}

impl<'a> Output<'a> {
    /// Nothing was written yet.
    pub fn new(vertex: VertexId, events: &'a dyn EventSink) -> Self {
        Self {
            vertex,
            events,
            begun: [Vec::new(), Vec::new()],
            tail: VecDeque::new(),
        }
    }

    /// Takes a piece of a stream.
    pub fn take(&mut self, stream: LogStream, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        let begun = &mut self.begun[index(stream)];
        begun.extend_from_slice(bytes);
        let end = match begun.iter().rposition(|&byte| byte == b'\n') {
            Some(at) => at + 1,
            None if begun.len() >= LONGEST_LINE => begun.len(),
            None => return,
        };
        let rest = begun.split_off(end);
        let data = std::mem::replace(begun, rest);
        self.send(stream, data);
    }

    /// Sends what has no end of line, and gives the last lines of both streams.
    pub fn finish(mut self) -> String {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let data = std::mem::take(&mut self.begun[index(stream)]);
            if !data.is_empty() {
                self.send(stream, data);
            }
        }
        let tail: Vec<u8> = self.tail.into();
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn send(&self, stream: LogStream, data: Vec<u8>) {
        self.events.event(Event::Log {
            vertex: self.vertex,
            stream,
            data,
        });
    }
}

fn index(stream: LogStream) -> usize {
    usize::from(stream == LogStream::Stderr)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn lines_stay_whole_and_the_last_ones_are_kept() {
        let seen = Mutex::new(Vec::new());
        let sink = |event: Event| {
            if let Event::Log { stream, data, .. } = event {
                seen.lock()
                    .unwrap()
                    .push((stream, String::from_utf8(data).unwrap()));
            }
        };
        let mut output = Output::new(VertexId([0; 32]), &sink);
        output.take(LogStream::Stdout, b"on");
        output.take(LogStream::Stderr, b"warning\nmo");
        output.take(LogStream::Stdout, b"e\ntwo\nthr");
        output.take(LogStream::Stderr, b"re\n");
        assert!(output.finish().ends_with("two\nthrre"));
        let out = LogStream::Stdout;
        let err = LogStream::Stderr;
        let expected = [
            (err, "warning\n"),
            (out, "one\ntwo\n"),
            (err, "more\n"),
            (out, "thr"),
        ];
        let seen = seen.into_inner().unwrap();
        let seen: Vec<_> = seen.iter().map(|(s, d)| (*s, d.as_str())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_tail_is_bounded() {
        let sink = |_: Event| {};
        let mut output = Output::new(VertexId([0; 32]), &sink);
        for number in 0..10_000 {
            output.take(LogStream::Stdout, format!("line {number}\n").as_bytes());
        }
        let tail = output.finish();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("line 9999"));
    }
}
