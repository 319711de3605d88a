//! Workflow commands of GitHub Actions, which become annotations of a pull request.

use std::ops::Range;

use super::{Findings, lines};
use crate::report::Source;

pub(super) fn render(findings: &Findings<'_>) -> String {
    let mut text = String::new();
    let mut annotate =
        |kind: &str, title: &str, source: &Source, place: Option<Range<usize>>, message: &str| {
            let file = property(&source.path);
            let place = place.map_or_else(String::new, |span| {
                let lines = lines(&source.text, &span);
                format!(",line={},endLine={}", lines.start(), lines.end())
            });
            let (title, message) = (property(title), escaped(message));
            text.push_str(&format!(
                "::{kind} file={file}{place},title={title}::{message}\n"
            ));
        };
    for warning in &findings.warnings {
        annotate(
            "warning",
            warning.rule,
            findings.source_of(warning),
            Some(warning.span.into()),
            &warning.message,
        );
    }
    for error in &findings.errors {
        let place = error.frame.as_ref().map(|frame| frame.span.clone());
        let title = "build error";
        annotate("error", title, findings.source, place, &error.title);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
