//! What a check found, for people and for programs. Nothing here finds anything.

mod github;
mod json;
mod sarif;
mod text;

use std::ops::{Range, RangeInclusive};

use frontend::instruction::{Text, Warning};

use crate::cli::check::Format;
use crate::report::{Failure, Source};

pub use json::{ranges, source_base64};

/// What a check found in a file.
pub struct Findings<'a> {
    /// The file.
    pub source: &'a Source,
    /// The ignore file, if there is one.
    pub ignore: Option<&'a Source>,
    /// What the rules say.
    pub warnings: Vec<Warning>,
    /// What a build would fail of.
    pub errors: Vec<Failure>,
}

impl<'a> Findings<'a> {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty() && self.errors.is_empty()
    }

    /// The text that a warning is about.
    fn source_of(&self, warning: &Warning) -> &'a Source {
        match (warning.text, self.ignore) {
            (Text::IgnoreFile, Some(ignore)) => ignore,
            _ => self.source,
        }
    }

    /// All of it, with a line end; `colour` matters to text alone.
    pub fn render(&self, format: Format, colour: bool) -> String {
        match format {
            Format::Text => text::render(self, colour),
            Format::Json => json::render(self),
            Format::Github => github::render(self),
            Format::Sarif => sarif::render(self),
        }
    }
}

/// The numbers of the lines that `span` touches, from 1.
fn lines(text: &str, span: &Range<usize>) -> RangeInclusive<usize> {
    let line = |at: usize| {
        let before = text
            .as_bytes()
            .get(..at.min(text.len()))
            .unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    };
    let first = line(span.start);
    let last = line(span.end.saturating_sub(1).max(span.start));
    first..=last
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::Class;

    const TEXT: &str = "FROM a AS B\nRUN <<E\nx\nE\nRUNN, y\n";

    fn rendered(format: Format) -> String {
        let source = Source {
            path: "dir/My: Dockerfile".to_owned(),
            text: TEXT.into(),
        };
        let ignore = Source {
            path: ".dockerignore".to_owned(),
            text: "a\n!b\n".into(),
        };
        let warning = |rule, message: &str, start, end| Warning {
            rule,
            message: message.to_owned(),
            span: solver::Span { start, end },
            text: Text::Dockerfile,
        };
        let wrong = Failure::new(Class::Yours, "100% wrong\nreally").at(&source, 24..28, "");
        let findings = Findings {
            source: &source,
            ignore: Some(&ignore),
            warnings: vec![
                warning("StageNameCasing", "Stage name 'B'", 0, 11),
                warning("UndefinedVar", "$X", 12, 24),
                Warning {
                    text: Text::IgnoreFile,
                    ..warning("rbuild/UselessIgnoreException", "!b", 2, 4)
                },
            ],
            errors: vec![wrong, Failure::new(Class::Yours, "placeless")],
        };
        findings.render(format, false)
    }

    #[test]
    fn lines_are_counted_from_one() {
        for (span, expected) in [
            (0..11, 1..=1),
            (12..24, 2..=4),
            (24..24, 5..=5),
            (90..99, 6..=6),
        ] {
            assert_eq!(lines(TEXT, &span), expected, "{span:?}");
        }
    }

    #[test]
    fn text_ends_with_a_summary() {
        let text = rendered(Format::Text);
        assert!(
            text.contains("warning: StageNameCasing: Stage name 'B'"),
            "{text}"
        );
        assert!(text.contains("My: Dockerfile:2:1"), "{text}");
        assert!(text.contains(" .dockerignore:2:1"), "{text}");
        assert!(text.ends_with("3 warnings and 2 errors\n"), "{text}");
    }

    #[test]
    fn json_has_the_references_fields() {
        let value: Value = serde_json::from_str(&rendered(Format::Json)).unwrap();
        assert_eq!(
            value["warnings"][0],
            json!({
                "ruleName": "StageNameCasing",
                "description": "Stage names should be lowercase",
                "url": "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
                "detail": "Stage name 'B'",
                "location": { "ranges": [{ "start": { "line": 1 }, "end": { "line": 1 } }] },
            })
        );
        let ranges = &value["warnings"][1]["location"]["ranges"];
        assert_eq!(ranges.as_array().map(Vec::len), Some(3));
        assert_eq!(value["buildError"]["message"], "100% wrong\nreally");
        let start = &value["buildError"]["location"]["ranges"][0]["start"];
        assert_eq!(start["line"], 5);
        assert_eq!(value["sources"][0]["filename"], "dir/My: Dockerfile");
        assert_eq!(value["sources"][1]["filename"], ".dockerignore");
        let place = &value["warnings"][2]["location"];
        let line = json!({ "start": { "line": 2 }, "end": { "line": 2 } });
        assert_eq!(*place, json!({ "sourceIndex": 1, "ranges": [line] }));
    }

    #[test]
    fn annotations_escape_what_would_end_them() {
        assert_eq!(
            rendered(Format::Github),
            "::warning file=dir/My%3A Dockerfile,line=1,endLine=1,title=StageNameCasing::Stage name 'B'\n\
             ::warning file=dir/My%3A Dockerfile,line=2,endLine=4,title=UndefinedVar::$X\n\
             ::warning file=.dockerignore,line=2,endLine=2,title=rbuild/UselessIgnoreException::!b\n\
             ::error file=dir/My%3A Dockerfile,line=5,endLine=5,title=build error::100%25 wrong%0Areally\n\
             ::error file=dir/My%3A Dockerfile,title=build error::placeless\n"
        );
    }

    #[test]
    fn sarif_names_rules_once_and_places_in_characters() {
        let value: Value = serde_json::from_str(&rendered(Format::Sarif)).unwrap();
        assert_eq!(value["version"], "2.1.0");
        let run = &value["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: Vec<&str> = rules
            .iter()
            .filter_map(|rule| rule["id"].as_str())
            .collect();
        assert_eq!(
            ids,
            [
                "StageNameCasing",
                "UndefinedVar",
                "rbuild/UselessIgnoreException",
                "build-error"
            ]
        );
        let place = &run["results"][1]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "dir/My%3A%20Dockerfile");
        assert_eq!(
            place["region"],
            json!({ "startLine": 2, "startColumn": 1, "endLine": 4, "endColumn": 2 })
        );
        let place = &run["results"][2]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], ".dockerignore");
        assert_eq!(place["region"]["startLine"], 2);
        assert_eq!(run["results"][3]["level"], "error");
        assert_eq!(run["results"].as_array().map(Vec::len), Some(5));
    }
}
