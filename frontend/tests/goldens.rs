//! Each folder of `tests/dockerfiles` holds a `Dockerfile` and what the parser makes of it: `ast`,
//! or `error`.
//!
//! `UPDATE_GOLDENS=1 cargo test -p frontend --test goldens` writes what is found; read the
//! difference before it is committed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use frontend::instruction::*;
use frontend::{SyntaxError, parse};
use solver::Span;

#[test]
fn dockerfiles() {
    // where the sources are now, which may be another place than where they were built
    let room = std::env::var_os("CARGO_MANIFEST_DIR");
    let room = room.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&room).join("../tests/dockerfiles");
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let entries = fs::read_dir(&root).unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in &cases {
        let source = fs::read_to_string(case.join("Dockerfile")).unwrap();
        let (name, other, found) = match parse(&source) {
            Ok(dockerfile) => ("ast", "error", tree(&source, &dockerfile)),
            Err(errors) => ("error", "ast", error_list(&source, &errors)),
        };
        let (file, stale) = (case.join(name), case.join(other));
        if update {
            fs::write(&file, &found).unwrap();
            if stale.exists() {
                fs::remove_file(&stale).unwrap();
            }
        } else if stale.exists() || fs::read_to_string(&file).ok().as_ref() != Some(&found) {
            wrong.push(format!("{}:\n{found}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "not as written:\n{}", wrong.join("\n"));
}

fn error_list(source: &str, errors: &[SyntaxError]) -> String {
    let mut out = Dump::new(source);
    for error in errors {
        out.line(0, "error", error.span, &error.message);
        if let Some(help) = &error.help {
            writeln!(out.text, "  help: {help}").unwrap();
        }
    }
    out.text
}

fn tree(source: &str, dockerfile: &Dockerfile) -> String {
    let mut out = Dump::new(source);
    let directives = &dockerfile.directives;
    writeln!(out.text, "escape {}", directives.escape).unwrap();
    out.option(0, "syntax", directives.syntax.as_ref());
    out.option(0, "check", directives.check.as_ref());
    for instruction in &dockerfile.global_args {
        out.instruction(0, instruction);
    }
    for stage in &dockerfile.stages {
        out.words(0, "#", &stage.comments);
        out.line(0, &stage.keyword, stage.span, "");
        out.option(1, "platform", stage.platform.as_ref());
        out.word(1, "base", &stage.base);
        if let Some(name) = &stage.name {
            out.word(1, &format!("name {}", name.keyword.text), &name.word);
        }
        for instruction in &stage.instructions {
            out.instruction(1, instruction);
        }
    }
    for warning in &dockerfile.warnings {
        let label = format!("warning {}", warning.rule);
        out.line(0, &label, warning.span, &warning.message);
    }
    out.text
}

struct Dump<'s> {
    source: &'s str,
    text: String,
}

impl<'s> Dump<'s> {
    fn new(source: &'s str) -> Self {
        let text = String::new();
        Self { source, text }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn at(&self, byte: usize) -> String {
        let before = &self.source[..byte];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        format!("{line}:{}", before[start..].chars().count() + 1)
    }

    fn line(&mut self, depth: usize, label: &str, span: Span, rest: &str) {
        let (from, to) = (self.at(span.start), self.at(span.end));
        self.plain(depth, format!("{label} {from}-{to} {rest}").trim_end());
    }

    fn word(&mut self, depth: usize, label: &str, word: &Word) {
        self.line(depth, label, word.span, &format!("{:?}", word.text));
    }

    fn option(&mut self, depth: usize, label: &str, word: Option<&Word>) {
        if let Some(word) = word {
            self.word(depth, label, word);
        }
    }

    fn words(&mut self, depth: usize, label: &str, words: &[Word]) {
        for word in words {
            self.word(depth, label, word);
        }
    }

    fn plain(&mut self, depth: usize, text: &str) {
        writeln!(self.text, "{}{text}", "  ".repeat(depth)).unwrap();
    }

    fn instruction(&mut self, depth: usize, instruction: &Instruction) {
        self.words(depth, "#", &instruction.comments);
        let original = format!("{:?}", instruction.original);
        self.line(depth, &instruction.keyword, instruction.span, &original);
        self.command(depth + 1, &instruction.command);
    }

    fn command(&mut self, depth: usize, command: &Command) {
        match command {
            Command::Arg(declarations) => {
                for declaration in declarations {
                    self.word(depth, "name", &declaration.name);
                    self.option(depth + 1, "default", declaration.default.as_ref());
                }
            }
            Command::Env(pairs) | Command::Label(pairs) => {
                if pairs.legacy {
                    self.plain(depth, "legacy");
                }
                for (name, value) in &pairs.pairs {
                    self.word(depth, "name", name);
                    self.word(depth + 1, "value", value);
                }
            }
            Command::Run(run) => {
                self.command_line(depth, &run.command);
                self.words(depth, "mount", &run.mounts);
                self.option(depth, "network", run.network.as_ref());
                self.option(depth, "security", run.security.as_ref());
                self.words(depth, "device", &run.devices);
                for heredoc in &run.heredocs {
                    self.heredoc(depth, heredoc);
                }
                if run.script().is_some() {
                    self.plain(depth, "a script");
                }
            }
            Command::Cmd(command) | Command::Entrypoint(command) => {
                self.command_line(depth, command);
            }
            Command::Shell(words) => self.plain(depth, &format!("{words:?}")),
            Command::User(word)
            | Command::Workdir(word)
            | Command::StopSignal(word)
            | Command::Maintainer(word)
            | Command::OnBuild(word) => self.word(depth, "word", word),
            Command::Expose(words) | Command::Volume(words) => self.words(depth, "word", words),
            Command::Healthcheck(check) => {
                match &check.command {
                    Some(command) => self.command_line(depth, command),
                    None => self.plain(depth, "none"),
                }
                for (name, value) in [
                    ("interval", check.interval),
                    ("timeout", check.timeout),
                    ("start-period", check.start_period),
                    ("start-interval", check.start_interval),
                    ("retries", check.retries),
                ] {
                    if value != 0 {
                        self.plain(depth, &format!("{name} {value}"));
                    }
                }
            }
            Command::Copy(copy) | Command::Add(copy) => self.copy(depth, copy),
        }
    }

    fn copy(&mut self, depth: usize, copy: &Copy) {
        for source in &copy.sources {
            match source {
                CopySource::Path(word) => self.word(depth, "source", word),
                CopySource::Heredoc(heredoc) => self.heredoc(depth, heredoc),
            }
        }
        self.word(depth, "dest", &copy.dest);
        self.option(depth, "from", copy.from.as_ref());
        self.option(depth, "chown", copy.chown.as_ref());
        self.option(depth, "chmod", copy.chmod.as_ref());
        self.option(depth, "checksum", copy.checksum.as_ref());
        self.words(depth, "exclude", &copy.excludes);
        for (name, value) in [
            ("link", copy.link.then_some(true)),
            ("parents", copy.parents.then_some(true)),
            ("keep-git-dir", copy.keep_git_dir),
            ("unpack", copy.unpack),
        ] {
            if let Some(value) = value {
                self.plain(depth, &format!("{name} {value}"));
            }
        }
    }

    fn command_line(&mut self, depth: usize, command: &CommandLine) {
        match command {
            CommandLine::Exec(words) => self.plain(depth, &format!("exec {words:?}")),
            CommandLine::Shell(text) => self.plain(depth, &format!("shell {text:?}")),
        }
    }

    fn heredoc(&mut self, depth: usize, heredoc: &Heredoc) {
        let mut label = format!("heredoc {:?}", heredoc.name);
        if heredoc.descriptor != 0 {
            write!(label, " descriptor {}", heredoc.descriptor).unwrap();
        }
        if !heredoc.expand {
            label.push_str(" quoted");
        }
        if heredoc.chomp {
            label.push_str(" chomp");
        }
        self.line(depth, &label, heredoc.span, &format!("{:?}", heredoc.body));
    }
}
