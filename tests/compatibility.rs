//! The language in docs/compatibility.md is what tests show: a row whose test is gone fails here, and so
//! does a page that says something else. `tests/language.txt` says which tests belong to which row;
//! `UPDATE_GOLDENS=1` writes the page anew.
#![expect(
    clippy::unwrap_used,
    reason = "tests: what goes wrong fails one of them"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The groups of rows, each with its first and last numbers: the language, what a RUN finds, what makes
/// a step another one, and where one would guess wrong.
const GROUPS: [(char, u32, u32); 5] = [
    ('D', 1, 138),
    ('E', 1, 19),
    ('E', 58, 58),
    ('S', 11, 34),
    ('X', 1, 30),
];
/// Where the generated part of the page begins and ends.
const MARKS: (&str, &str) = (
    "<!-- rows of tests/language.txt -->\n",
    "<!-- end of rows -->\n",
);

struct Row {
    id: String,
    what: String,
    shown: Shown,
}

enum Shown {
    /// By these tests, as they stand in the list.
    Yes(Vec<String>),
    /// It is not done; why.
    No(String),
    /// It is done, and no test of its own shows it; why.
    Untested(String),
}

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("tests/language.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.splitn(3, " | ").collect();
            let [id, what, shown] = parts[..] else {
                panic!("three parts: {line}")
            };
            let shown = match (shown.strip_prefix("not: "), shown.strip_prefix("open: ")) {
                (Some(why), _) => Shown::No(why.to_owned()),
                (_, Some(why)) => Shown::Untested(why.to_owned()),
                _ => Shown::Yes(shown.split_whitespace().map(str::to_owned).collect()),
            };
            Row {
                id: id.to_owned(),
                what: what.to_owned(),
                shown,
            }
        })
        .collect()
}

/// Whether there is such a test.
fn exists(root: &Path, test: &str) -> bool {
    if let Some(case) = test.strip_prefix("case:") {
        let passed = fs::read_to_string(root.join("tests/conformance.passed")).unwrap();
        return passed.lines().any(|line| line.trim() == case);
    }
    if let Some(golden) = test.strip_prefix("golden:") {
        return root
            .join("tests/dockerfiles")
            .join(golden)
            .join("Dockerfile")
            .is_file();
    }
    let Some((file, function)) = test.split_once("::") else {
        return false;
    };
    let Ok(text) = fs::read_to_string(root.join(file)) else {
        return false;
    };
    // A case of a list, which a main function of its own runs.
    if text.contains(&format!("    (\"{function}\", ")) {
        return true;
    }
    let Some(at) = text.find(&format!("fn {function}(")) else {
        return false;
    };
    // Tests that need root of their own are called by name from a main function.
    let main = Path::new(file).with_file_name("main.rs");
    let called = fs::read_to_string(root.join(main)).unwrap_or_default();
    let above = text[..at].trim_end().lines().rev();
    let is_marked = { above }
        .take_while(|line| !matches!(line.trim(), "" | "}"))
        .any(|line| line.trim() == "#[test]");
    is_marked || called.contains(&format!("::{function}"))
}

fn page(rows: &[Row]) -> String {
    let mut page = String::from("| | | shown by |\n| --- | --- | --- |\n");
    for Row { id, what, shown } in rows {
        let shown = match shown {
            Shown::Yes(tests) => {
                let tests = tests.iter().map(|test| match test.split_once("::") {
                    Some((_, function)) => format!("`{function}`"),
                    None => {
                        let (_, name) = test.split_once(':').unwrap_or(("", test));
                        format!("`{name}`")
                    }
                });
                tests.collect::<Vec<_>>().join(", ")
            }
            Shown::No(why) => format!("**not done**: {why}"),
            Shown::Untested(why) => format!("no test of its own: {why}"),
        };
        writeln!(page, "| {id} | {what} | {shown} |").unwrap();
    }
    page
}

#[test]
fn every_row_is_there_once() {
    let ids: Vec<String> = rows().into_iter().map(|row| row.id).collect();
    let expected = { GROUPS.iter() }
        .flat_map(|(group, first, last)| (*first..=*last).map(move |n| format!("{group}{n}")));
    let expected: Vec<String> = expected.collect();
    assert_eq!(ids, expected);
}

#[test]
fn every_row_that_holds_names_tests_that_exist() {
    let root = root();
    let mut missing = Vec::new();
    for row in rows() {
        if let Shown::Yes(tests) = row.shown {
            assert!(!tests.is_empty(), "{} has no test", row.id);
            let gone = tests.iter().filter(|test| !exists(&root, test));
            missing.extend(gone.map(|test| format!("{}: {test}", row.id)));
        }
    }
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
    assert!(!exists(&root, "case:no-such"));
    assert!(!exists(&root, "tests/compatibility.rs::page"));
    assert!(!exists(&root, "tests/e2e/place.rs::base_tar"));
}

#[test]
fn the_page_says_what_the_rows_say() {
    let file = root().join("docs/compatibility.md");
    let text = fs::read_to_string(&file).unwrap();
    let start = text.find(MARKS.0).expect("the page has marks") + MARKS.0.len();
    let end = text.find(MARKS.1).expect("the page has marks");
    let page = page(&rows());
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&file, [&text[..start], &page, &text[end..]].concat()).unwrap();
        return;
    }
    assert_eq!(text[start..end], page, "UPDATE_GOLDENS=1 writes it anew");
}
