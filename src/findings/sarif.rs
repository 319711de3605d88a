//! SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), which code scanning reads.

use std::ops::Range;

use frontend::rules::Rule;
use serde_json::{Value, json};

use super::{Findings, lines};
use crate::report::Source;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What a build would fail of has no rule in a Dockerfile's language.
const BUILD_ERROR: &str = "build-error";

pub(super) fn render(findings: &Findings<'_>) -> String {
    let mut rules: Vec<&str> = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    let mut add = |id: &'static str,
                   level: &str,
                   message: &str,
                   source: &Source,
                   place: Option<Range<usize>>| {
        let index = rules.iter().position(|known| *known == id);
        let index = index.unwrap_or_else(|| {
            rules.push(id);
            rules.len() - 1
        });
        let mut location = json!({ "artifactLocation": { "uri": uri(&source.path) } });
        if let Some(span) = place {
            location["region"] = region(&source.text, &span);
        }
        results.push(json!({
            "ruleId": id,
            "ruleIndex": index,
            "level": level,
            "message": { "text": message },
            "locations": [{ "physicalLocation": location }],
        }));
    };
    for warning in &findings.warnings {
        add(
            warning.rule,
            "warning",
            &warning.message,
            findings.source_of(warning),
            Some(warning.span.into()),
        );
    }
    for error in &findings.errors {
        let place = error.frame.as_ref().map(|frame| frame.span.clone());
        add(BUILD_ERROR, "error", &error.title, findings.source, place);
    }
    let rules: Vec<Value> = rules.into_iter().map(rule).collect();
    let all = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "rbuild",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{all:#}\n")
}

fn rule(id: &str) -> Value {
    let Some(rule) = Rule::find(id) else {
        return json!({ "id": id, "shortDescription": { "text": "What a build would fail of" } });
    };
    let mut value = json!({ "id": id, "shortDescription": { "text": rule.meaning } });
    if let Some(url) = rule.url() {
        value["helpUri"] = json!(url);
    }
    value
}

/// Lines and columns from 1; the end's column is the one behind the last character.
fn region(text: &str, span: &Range<usize>) -> Value {
    let lines = lines(text, span);
    let column = |at: usize| {
        let before = text.get(..at.min(text.len())).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.chars().count() + 1
    };
    let is_whole = text
        .get(span.clone())
        .is_some_and(|marked| marked.ends_with('\n'));
    let end = span.end.max(span.start) - usize::from(is_whole);
    json!({
        "startLine": lines.start(),
        "startColumn": column(span.start),
        "endLine": lines.end(),
        "endColumn": column(end),
    })
}

/// A path as a relative or absolute reference (RFC 3986, section 3.3).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
