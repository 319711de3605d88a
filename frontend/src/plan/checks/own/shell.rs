//! The commands of a shell script, as far as they can be told without running it.
//!
//! Knows no program: what `apt-get` is, the rules know. Whatever is more than a list of plain
//! commands makes the script [opaque](Script::opaque): then there may be commands that are not
//! listed, and listed ones that never run.

use std::borrow::Cow;

use crate::instruction::{CommandLine, Run};

/// Programs that do nothing but start another one.
const WRAPPERS: &[&str] = &[
    "sudo",
    "exec",
    "command",
    "time",
    "nice",
    "env",
    "eatmydata",
];

/// Words that a command may follow.
const KEYWORDS: &[&str] = &[
    "if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}",
];

/// Shells whose scripts can be read.
const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "ksh", "zsh"];

/// A script's commands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// Words of each, without quotes, redirections and what stands in front of the program: its
    /// directory, variables, `sudo`. Each has at least one word.
    pub(super) commands: Vec<Vec<String>>,
    /// Whether there is more to it than the commands say.
    pub(super) opaque: bool,
}

/// What a RUN does.
pub(super) fn of_run(run: &Run) -> Script {
    let text = match (&run.command, run.script()) {
        (CommandLine::Exec(words), _) => return of_exec(words),
        (CommandLine::Shell(text), _) if run.heredocs.is_empty() => Cow::Borrowed(text.as_str()),
        (_, Some(heredoc)) => heredoc.content(),
        _ => return Script::unread(),
    };
    if let Some(rest) = text.strip_prefix("#!") {
        let line = rest.lines().next().unwrap_or_default();
        let mut words = line.split_whitespace().map(base_name);
        // `env` starts the program behind it.
        let program = words.find(|word| *word != "env").unwrap_or_default();
        if !is_shell(program) {
            return Script::unread();
        }
    }
    read(&text)
}

fn of_exec(words: &[String]) -> Script {
    match words {
        [shell, flag, text, ..] if is_shell(base_name(shell)) && flag.starts_with('-') => {
            if flag.ends_with('c') {
                read(text)
            } else {
                Script::unread()
            }
        }
        words => {
            let mut script = Script::default();
            script.add(words.to_vec());
            script
        }
    }
}

/// Whether a program reads the scripts that [`read`] does.
pub(super) fn is_shell(program: &str) -> bool {
    SHELLS.contains(&base_name(program))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Reads a script of a POSIX shell.
pub(super) fn read(text: &str) -> Script {
    let mut reader = Reader {
        rest: text,
        script: Script::default(),
        words: Vec::new(),
        word: None,
        skip_word: false,
    };
    reader.run();
    reader.script
}

impl Script {
    /// One of which nothing can be told.
    pub(super) fn unread() -> Self {
        Self {
            opaque: true,
            ..Self::default()
        }
    }

    fn add(&mut self, mut words: Vec<String>) {
        loop {
            let first = words.first().map_or("", |word| base_name(word));
            if KEYWORDS.contains(&first) {
                self.opaque = true;
                words.remove(0);
            } else if is_assignment(first) {
                words.remove(0);
            } else if WRAPPERS.contains(&first) {
                words.remove(0);
                while words.first().is_some_and(|word| word.starts_with('-')) {
                    // It may take a value, which is no program.
                    self.opaque |= words.first().is_some_and(|word| word.len() == 2);
                    words.remove(0);
                }
                // `env` alone shows all variables.
                self.opaque |= words.is_empty();
            } else {
                break;
            }
        }
        if let Some(first) = words.first_mut() {
            // A program whose name is known only when it runs.
            self.opaque |= first.contains('$');
            *first = base_name(first).to_owned();
            self.commands.push(words);
        }
    }
}

/// `NAME=value`.
fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_name)
}

struct Reader<'s> {
    rest: &'s str,
    script: Script,
    words: Vec<String>,
    /// The word that is being read.
    word: Option<String>,
    /// Whether the next word is where something goes to or comes from.
    skip_word: bool,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn run(&mut self) {
        while let Some(c) = self.next() {
            match c {
                ' ' | '\t' | '\r' => self.end_word(),
                '\n' | ';' | '&' | '|' => self.end_command(),
                '(' | ')' => {
                    self.script.opaque = true;
                    self.end_command();
                }
                '#' if self.word.is_none() => self.skip_line(),
                '<' | '>' => self.redirection(c),
                '\'' => self.quoted(),
                '"' => self.double_quoted(),
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c) => self.push(c),
                },
                c => self.push_or_substitute(c),
            }
        }
        self.end_command();
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.skip_word)
        {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.skip_word = false;
        if !self.words.is_empty() {
            self.script.add(std::mem::take(&mut self.words));
        }
    }

    fn skip_line(&mut self) {
        let line = self.rest.find('\n').unwrap_or(self.rest.len());
        self.rest = &self.rest[line..];
    }

    /// `>`, `>>`, `2>&1`, `<`; a here-document of the script's own is not read.
    fn redirection(&mut self, c: char) {
        let is_descriptor = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
        if self.word.as_ref().is_some_and(is_descriptor) {
            self.word = None;
        }
        self.end_word();
        if c == '<' && self.rest.starts_with('<') {
            self.script.opaque = true;
        }
        self.rest = self.rest.trim_start_matches(['<', '>', '&', '|']);
        self.skip_word = true;
    }

    fn quoted(&mut self) {
        self.word.get_or_insert_default();
        while let Some(c) = self.next() {
            if c == '\'' {
                return;
            }
            self.push(c);
        }
        self.script.opaque = true;
    }

    fn double_quoted(&mut self) {
        self.word.get_or_insert_default();
        while let Some(c) = self.next() {
            match c {
                '"' => return,
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => self.push(c),
                    Some(c) => {
                        self.push('\\');
                        self.push(c);
                    }
                },
                c => self.push_or_substitute(c),
            }
        }
        self.script.opaque = true;
    }

    /// What `c` is where no quote takes its meaning away.
    fn push_or_substitute(&mut self, c: char) {
        match c {
            '`' => self.substitution('`'),
            '$' if self.rest.starts_with('(') => {
                self.next();
                self.substitution(')');
            }
            c => self.push(c),
        }
    }

    /// Passes over what another shell will run.
    fn substitution(&mut self, end: char) {
        self.script.opaque = true;
        self.push('$');
        let mut depth = 1;
        while let Some(c) = self.next() {
            match c {
                c if c == end => depth -= 1,
                '(' => depth += 1,
                '\\' => {
                    self.next();
                }
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands, one behind the other.
    fn listed(script: &Script) -> String {
        let commands = script.commands.iter().map(|words| words.join(" "));
        commands.collect::<Vec<_>>().join("/")
    }

    #[test]
    fn plain_commands_are_told() {
        for (text, expected) in [
            ("a b && c|d;e & f || g", "a b/c/d/e/f/g"),
            (
                "X=1 Y='2 3' sudo /usr/bin/apt-get  update",
                "apt-get update",
            ),
            ("a 'b  c' \"d $E\" f\\ g", "a b  c d $E f g"),
            ("a > out 2>&1 b", "a b"),
            ("a 2>/dev/null >>x <y", "a"),
            ("a \\\n b # not && this\nc", "a b/c"),
            ("# only\n\n  ", ""),
            ("a#b ''", "a#b "),
        ] {
            let script = read(text);
            assert_eq!(listed(&script), expected, "{text:?}");
            assert!(!script.opaque, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        for (text, expected) in [
            ("if a; then b; fi", "a/b"),
            ("(a; b)", "a/b"),
            ("echo $(a && b) c", "echo $ c"),
            ("echo \"`a;b`\"", "echo $"),
            ("$A b", "$A b"),
            ("cat <<E\nx", "cat/x"),
            ("a 'b", "a b"),
            ("sudo -u x a", "x a"),
            ("env", ""),
        ] {
            let script = read(text);
            assert_eq!(listed(&script), expected, "{text:?}");
            assert!(script.opaque, "{text:?}");
        }
    }

    #[test]
    fn every_form_of_run_is_read() {
        let commands = |text: &str| {
            let file = crate::parse(&format!("FROM a\n{text}")).unwrap();
            let crate::instruction::Command::Run(run) = &file.stages[0].instructions[0].command
            else {
                panic!("{text}");
            };
            let script = of_run(run);
            (listed(&script), script.opaque)
        };
        for (text, expected, opaque) in [
            ("RUN a b", "a b", false),
            ("RUN [\"/bin/a\", \"b c\"]", "a b c", false),
            ("RUN [\"bash\", \"-ec\", \"a && b\"]", "a/b", false),
            ("RUN [\"sh\", \"-x\", \"file\"]", "", true),
            ("RUN <<E\na\nb\nE", "a/b", false),
            ("RUN <<E\n#!/usr/bin/env bash\na\nE", "a", false),
            ("RUN <<E\n#!/usr/bin/python\na\nE", "", true),
            ("RUN python <<E\na\nE", "", true),
        ] {
            assert_eq!(commands(text), (expected.to_owned(), opaque), "{text:?}");
        }
    }
}
