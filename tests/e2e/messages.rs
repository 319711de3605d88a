//! What is said of everything that can be wrong with a Dockerfile: the frame, the text and the
//! suggestion, as they are printed.
//!
//! `tests/messages/*` hold cases: a line `== what is wrong`, perhaps a line `$ flags` (which begins
//! with `check` where no build is meant, but a check), a line `+ NAME TEXT` for each file of the context
//! (`\n` ends a line in it), the Dockerfile, a line `--`, and what rbuild says but for the path of a log. `UPDATE_GOLDENS=1` writes what it says now; read
//! the difference before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use crate::place::Place;

struct Case {
    title: String,
    flags: Vec<String>,
    /// Names and texts of files.
    files: Vec<(String, String)>,
    dockerfile: String,
    expected: String,
}

fn read(text: &str) -> Vec<Case> {
    let parts = text.split("== ").skip(1);
    parts
        .map(|part| {
            let (title, rest) = part.split_once('\n').unwrap();
            let (flags, rest) = match rest.strip_prefix("$ ") {
                Some(rest) => rest.split_once('\n').unwrap(),
                None => ("", rest),
            };
            let mut rest = rest;
            let mut files = Vec::new();
            while let Some((line, after)) = rest
                .strip_prefix("+ ")
                .and_then(|text| text.split_once('\n'))
            {
                let (name, text) = line.split_once(' ').unwrap();
                files.push((name.to_owned(), text.to_owned()));
                rest = after;
            }
            let (dockerfile, expected) = rest.split_once("--\n").unwrap_or((rest, ""));
            Case {
                title: title.to_owned(),
                flags: flags.split_whitespace().map(str::to_owned).collect(),
                files,
                dockerfile: dockerfile.to_owned(),
                expected: expected.trim_end_matches('\n').to_owned(),
            }
        })
        .collect()
}

#[test]
fn every_message_is_as_it_is_written() {
    let Some(place) = Place::new() else { return };
    let room = std::env::var_os("CARGO_MANIFEST_DIR");
    let room = room.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut files: Vec<_> = std::fs::read_dir(Path::new(&room).join("tests/messages"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut now = String::new();
        for case in read(&std::fs::read_to_string(&file).unwrap()) {
            place.write("Dockerfile", &case.dockerfile);
            for (name, text) in &case.files {
                place.write(name, &format!("{}\n", text.replace("\\n", "\n")));
            }
            let mut flags = case.flags.iter().map(String::as_str).peekable();
            let is_check = flags.next_if_eq(&"check").is_some();
            let mut arguments = if is_check {
                vec!["check"]
            } else {
                vec!["build", "--progress=quiet"]
            };
            arguments.extend(flags);
            arguments.push(".");
            let mut command = place.command(&arguments);
            command.current_dir(place.project()).env("COLUMNS", "120");
            let output = command.output().unwrap();
            assert!(
                !output.status.success(),
                "{name}: {}: it was built",
                case.title
            );
            for (name, _) in &case.files {
                std::fs::remove_file(place.project().join(name)).unwrap();
            }
            // A check's findings are its result.
            let said = if is_check {
                output.stdout
            } else {
                output.stderr
            };
            let said = String::from_utf8_lossy(&said);
            let lines = said.lines().filter(|line| !line.contains("whole log: "));
            let said = lines.collect::<Vec<_>>().join("\n");
            let said = said.trim_end_matches('\n');
            if said != case.expected {
                writeln!(wrong, "{name}: {}:\n{said}", case.title).unwrap();
            }
            let flags = match case.flags.join(" ") {
                flags if flags.is_empty() => flags,
                flags => format!("$ {flags}\n"),
            };
            write!(now, "== {}\n{flags}", case.title).unwrap();
            for (name, text) in &case.files {
                writeln!(now, "+ {name} {text}").unwrap();
            }
            write!(now, "{}--\n{said}\n\n", case.dockerfile).unwrap();
        }
        if update {
            std::fs::write(&file, now.trim_end_matches('\n').to_owned() + "\n").unwrap();
        }
    }
    assert!(update || wrong.is_empty(), "not as written:\n{wrong}");
}
