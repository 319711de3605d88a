//! A container's log: lines of JSON as docker's `json-file` has them, in files that are put aside when
//! they are full. Knows no process.
//!
//! A line that is longer than 16 kB, or that nothing ended, is written without its end; whoever reads
//! joins it with the next.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::container::Stream;
use crate::monitor::life::LogOptions;

/// The longest piece of a line.
const LONGEST: usize = 16 << 10;

/// A log that is written.
pub(super) struct Log {
    path: PathBuf,
    options: LogOptions,
    file: Option<File>,
    size: u64,
    unfinished: [Vec<u8>; 2],
}

impl Log {
    /// The log at `path`, which goes on where it ended.
    pub(super) fn new(path: PathBuf, options: LogOptions) -> Self {
        Self {
            path,
            options,
            file: None,
            size: 0,
            unfinished: [Vec::new(), Vec::new()],
        }
    }

    /// Notes what was written just now.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if !self.options.keep {
            return;
        }
        let at = usize::from(stream == Stream::Err);
        let mut buffer = std::mem::take(&mut self.unfinished[at]);
        buffer.extend_from_slice(bytes);
        let time = now();
        let mut lines = Vec::new();
        let mut rest = buffer.as_slice();
        loop {
            let piece = match rest.iter().take(LONGEST).position(|byte| *byte == b'\n') {
                Some(end) => &rest[..=end],
                None if rest.len() >= LONGEST => &rest[..whole(&rest[..LONGEST])],
                None => break,
            };
            entry(&mut lines, stream, piece, &time);
            rest = &rest[piece.len()..];
        }
        self.unfinished[at] = rest.to_vec();
        self.append(&lines);
    }

    /// Notes what no line end follows.
    pub(super) fn finish(&mut self) {
        let mut lines = Vec::new();
        for (at, stream) in [Stream::Out, Stream::Err].into_iter().enumerate() {
            let rest = std::mem::take(&mut self.unfinished[at]);
            if !rest.is_empty() {
                entry(&mut lines, stream, &rest, &now());
            }
        }
        self.append(&lines);
    }

    fn append(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        // a full disk takes the log and not the container
        let _ = self.try_append(lines);
    }

    fn try_append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if self.file.is_none() {
            let file = File::options().append(true).create(true).open(&self.path)?;
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        if self.options.max_size.is_some_and(|most| self.size >= most) {
            self.put_aside()?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(lines)?;
            self.size += lines.len() as u64;
        }
        Ok(())
    }

    /// Begins a new file; the full one becomes `log.1`, and the oldest goes.
    fn put_aside(&mut self) -> std::io::Result<()> {
        self.file = None;
        let name = |number: u32| {
            let mut path = self.path.clone().into_os_string();
            path.push(format!(".{number}"));
            PathBuf::from(path)
        };
        let kept = self.options.max_file.max(1) - 1;
        for number in (1..kept).rev() {
            // the first time round there are fewer
            let _ = std::fs::rename(name(number), name(number + 1));
        }
        if kept > 0 {
            std::fs::rename(&self.path, name(1))?;
        } else {
            std::fs::remove_file(&self.path)?;
        }
        self.file = Some(File::options().append(true).create(true).open(&self.path)?);
        self.size = 0;
        Ok(())
    }
}

/// How much of a full piece ends with a whole character.
fn whole(piece: &[u8]) -> usize {
    match std::str::from_utf8(piece) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => piece.len(),
    }
}

fn entry(lines: &mut Vec<u8>, stream: Stream, text: &[u8], time: &str) {
    let name = match stream {
        Stream::Out => "stdout",
        Stream::Err => "stderr",
    };
    lines.extend_from_slice(b"{\"log\":");
    // writing to memory never fails
    let _ = serde_json::to_writer(&mut *lines, &String::from_utf8_lossy(text));
    let _ = writeln!(lines, ",\"stream\":\"{name}\",\"time\":\"{time}\"}}");
}

fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    image::time::rfc3339(since.as_secs() as i64, since.subsec_nanos()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &std::path::Path) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let read = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["time"].as_str().unwrap().ends_with('Z'));
            let word = |name: &str| value[name].as_str().unwrap().to_owned();
            (word("stream"), word("log"))
        };
        text.lines().map(read).collect()
    }

    #[test]
    fn lines_are_joined_per_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::new(path.clone(), LogOptions::default());
        log.write(Stream::Out, b"one\ntw");
        log.write(Stream::Err, b"wrong \xff\n");
        log.write(Stream::Out, b"o\nrest");
        log.finish();
        let wanted = [
            ("stdout", "one\n"),
            ("stderr", "wrong \u{fffd}\n"),
            ("stdout", "two\n"),
            ("stdout", "rest"),
        ];
        let wanted: Vec<_> = wanted.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(texts(&path), wanted);
    }

    #[test]
    fn long_lines_are_cut_between_characters_and_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::new(path.clone(), LogOptions::default());
        let long = format!("x{}\n", "é".repeat(20_000));
        for piece in long.as_bytes().chunks(1000) {
            log.write(Stream::Out, piece);
        }
        let pieces = texts(&path);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|(_, text)| text.len() <= LONGEST));
        let joined: String = pieces.into_iter().map(|(_, text)| text).collect();
        assert_eq!(joined, long);
    }

    #[test]
    fn full_files_are_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let options = LogOptions {
            keep: true,
            max_size: Some(100),
            max_file: 3,
        };
        let mut log = Log::new(path.clone(), options);
        for number in 0..10 {
            log.write(Stream::Out, format!("line {number}\n").as_bytes());
        }
        let first = |name: &str| texts(&folder.path().join(name))[0].1.clone();
        assert_eq!(first("log"), "line 8\n");
        assert_eq!(first("log.1"), "line 6\n");
        assert_eq!(first("log.2"), "line 4\n");
        assert!(!folder.path().join("log.3").exists());
        let once = LogOptions {
            max_file: 1,
            max_size: Some(1),
            ..options
        };
        let mut log = Log::new(path.clone(), once);
        log.write(Stream::Out, b"last\n");
        log.write(Stream::Out, b"very last\n");
        assert_eq!(texts(&path).len(), 1);
        let none = LogOptions {
            keep: false,
            ..once
        };
        let other = folder.path().join("other");
        Log::new(other.clone(), none).write(Stream::Out, b"x\n");
        assert!(!other.exists());
    }
}
