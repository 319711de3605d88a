//! A build whose words are heard as they come. What it never says, and an end that never comes, fail
//! the test and do not hang it. Knows nothing of what a build says.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant;

use crate::place::{PATIENCE, Place};

/// A build that was started; one that still runs when the test is over is killed.
pub struct Build {
    pub child: Child,
    /// What it has said so far.
    pub heard: String,
    lines: Receiver<String>,
}

impl Build {
    /// Builds the directory `dir`, with more arguments.
    pub fn start(place: &Place, dir: &Path, more: &[&str]) -> Self {
        let first = ["build", "--progress=plain"];
        let words = [&first, more, &[dir.to_str().unwrap()]].concat();
        Self::of(place.command(&words))
    }

    /// Starts a command that builds.
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let words = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in words.map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            heard: String::new(),
            lines,
        }
    }

    /// Listens until a line holds `text`, which is the answer.
    #[track_caller]
    pub fn hear(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            match self.next(begun) {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("it ended without `{text}`:\n{}", self.heard),
            }
        }
    }

    /// Listens to so many lines, fewer where it ends.
    #[track_caller]
    pub fn hear_lines(&mut self, count: u64) {
        let begun = Instant::now();
        let _ = (0..count).all(|_| self.next(begun).is_some());
    }

    /// Listens to the end.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while self.next(begun).is_some() {}
        self.child.wait().unwrap()
    }

    /// The next line, for which somebody waits since `begun`; none when it has ended.
    #[track_caller]
    fn next(&mut self, begun: Instant) -> Option<String> {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.heard.push_str(&line);
                self.heard.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("waited for in vain, it had said:\n{}", self.heard)
            }
        }
    }

    pub fn signal(&self, signal: &str) {
        send(signal, self.child.id());
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // One that has ended is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn send(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}
