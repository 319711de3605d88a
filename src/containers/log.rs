//! Reading what a container wrote: lines of JSON in the files `log`, `log.1` … of its folder, as
//! docker's `json-file` has them. Knows no terminal and no time but that in the lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use executor::container::Stream;
use serde::Deserialize;

/// Something that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where to.
    pub stream: Stream,
    /// When, RFC 3339.
    pub time: String,
    /// What: a line with its end, or a piece of one without.
    pub text: String,
}

/// A line as it is in the file.
#[derive(Deserialize)]
struct Written {
    log: String,
    stream: String,
    time: String,
}

impl Entry {
    fn parse(line: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(line).ok()?;
        Some(Self {
            stream: if written.stream == "stderr" {
                Stream::Err
            } else {
                Stream::Out
            },
            time: written.time,
            text: written.log,
        })
    }

    /// When it was written, in nanoseconds since 1970.
    pub fn moment(&self) -> i64 {
        crate::time::moment(&self.time).unwrap_or_default()
    }

    /// When it was written, with all nine digits of a second.
    pub fn fixed_time(&self) -> String {
        let time = self.time.trim_end_matches('Z');
        let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
        format!("{whole}.{fraction:0<9}Z")
    }
}

/// Reads a log from its beginning; what is written meanwhile is read too.
pub struct Reader {
    path: PathBuf,
    /// Files that were put aside, oldest first.
    aside: VecDeque<PathBuf>,
    file: Option<BufReader<File>>,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

impl Reader {
    /// Reads the log in the folder of a container. One that never wrote anything has none.
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("log");
        let name = |number: u32| folder.join(format!("log.{number}"));
        let mut count = 0;
        while name(count + 1).exists() {
            count += 1;
        }
        let aside = (1..=count).rev().map(name);
        Self {
            path,
            aside: aside.collect(),
            file: None,
            unfinished: Vec::new(),
        }
    }

    /// The next entry; none when there is no more for now.
    pub fn next(&mut self) -> std::io::Result<Option<Entry>> {
        loop {
            if self.file.is_none() {
                let path = self.aside.pop_front();
                match File::open(path.as_ref().unwrap_or(&self.path)) {
                    Ok(file) => self.file = Some(BufReader::with_capacity(1 << 16, file)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        if path.is_none() {
                            return Ok(None);
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let Some(file) = &mut self.file else { continue };
            file.read_until(b'\n', &mut self.unfinished)?;
            if self.unfinished.ends_with(b"\n") {
                let line = std::mem::take(&mut self.unfinished);
                // A line that a crash cut short is nobody's.
                match Entry::parse(&line) {
                    Some(entry) => return Ok(Some(entry)),
                    None => continue,
                }
            }
            if self.is_current()? {
                return Ok(None);
            }
            self.unfinished.clear();
            self.file = None;
        }
    }

    /// Whether the open file is the one that is being written: else it was put aside, and the next
    /// one has begun.
    fn is_current(&mut self) -> std::io::Result<bool> {
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        if !self.aside.is_empty() {
            return Ok(false);
        }
        let open = file.get_ref().metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(current) => {
                let same = (open.dev(), open.ino()) == (current.dev(), current.ino());
                // What was written between the last read and the change of files is read first.
                Ok(same || file.stream_position()? < open.len())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The last `count` lines of what there is: entries of which the last is a line's end.
pub fn tail(reader: &mut Reader, count: usize) -> std::io::Result<Vec<Entry>> {
    let mut kept = VecDeque::<Entry>::new();
    let mut lines = 0;
    while let Some(entry) = reader.next()? {
        lines += usize::from(entry.text.ends_with('\n'));
        kept.push_back(entry);
        while lines > count || (count == 0 && !kept.is_empty()) {
            if let Some(gone) = kept.pop_front() {
                lines -= usize::from(gone.text.ends_with('\n'));
            }
        }
    }
    // The last line may have no end.
    let open = kept.back().is_some_and(|entry| !entry.text.ends_with('\n'));
    while open && lines >= count {
        match kept.pop_front() {
            Some(gone) if gone.text.ends_with('\n') => lines -= 1,
            Some(_) => {}
            None => break,
        }
    }
    Ok(kept.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        let time = "2026-01-02T03:04:05.5Z";
        format!(
            "{{\"log\":{},\"stream\":\"stdout\",\"time\":\"{time}\"}}\n",
            serde_json::json!(text)
        )
    }

    fn all(reader: &mut Reader) -> Vec<String> {
        std::iter::from_fn(|| reader.next().unwrap())
            .map(|entry| entry.text)
            .collect()
    }

    #[test]
    fn files_are_read_in_order_and_what_is_appended_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(all(&mut Reader::new(folder.path())).is_empty());
        std::fs::write(path("log.1"), line("b\n")).unwrap();
        std::fs::write(path("log.2"), line("a\n") + "not JSON\n").unwrap();
        let half = line("d\n");
        std::fs::write(path("log"), line("c\n") + &half[..10]).unwrap();
        let mut reader = Reader::new(folder.path());
        assert_eq!(all(&mut reader), ["a\n", "b\n", "c\n"]);
        std::fs::write(path("log"), line("c\n") + &half).unwrap();
        assert_eq!(all(&mut reader), ["d\n"]);
        std::fs::rename(path("log"), path("log.1")).unwrap();
        std::fs::write(path("log"), line("e\n")).unwrap();
        assert_eq!(all(&mut reader), ["e\n"]);
    }

    #[test]
    fn a_tail_counts_lines() {
        let folder = tempfile::tempdir().unwrap();
        let text = [line("a\n"), line("b"), line("b\n"), line("c\n"), line("d")].concat();
        std::fs::write(folder.path().join("log"), text).unwrap();
        for (count, expected) in [
            (0, &[][..]),
            (1, &["d"]),
            (2, &["c\n", "d"]),
            (3, &["b", "b\n", "c\n", "d"]),
            (9, &["a\n", "b", "b\n", "c\n", "d"]),
        ] {
            let found = tail(&mut Reader::new(folder.path()), count).unwrap();
            let texts: Vec<String> = found.into_iter().map(|entry| entry.text).collect();
            assert_eq!(texts, expected, "{count}");
        }
    }

    #[test]
    fn times_have_nine_digits() {
        let entry = Entry::parse(line("x").as_bytes()).unwrap();
        assert_eq!(entry.fixed_time(), "2026-01-02T03:04:05.500000000Z");
        assert_eq!(entry.moment(), 1_767_323_045_500_000_000);
    }
}
