//! BuildKit's fields of a check's result.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frontend::rules::Rule;
use serde_json::{Map, Value, json};

use super::{Findings, lines};
use crate::report::Source;

pub(super) fn render(findings: &Findings<'_>) -> String {
    let source = findings.source;
    let warnings = findings.warnings.iter().map(|warning| {
        let mut fields = Map::new();
        fields.insert("ruleName".to_owned(), json!(warning.rule));
        if let Some(rule) = Rule::find(warning.rule) {
            fields.insert("description".to_owned(), json!(rule.meaning));
            if let Some(url) = rule.url() {
                fields.insert("url".to_owned(), json!(url));
            }
        }
        fields.insert("detail".to_owned(), json!(warning.message));
        let place = findings.source_of(warning);
        let ranges = ranges(&place.text, warning.span);
        let location = if std::ptr::eq(place, source) {
            json!({ "ranges": ranges })
        } else {
            json!({ "sourceIndex": 1, "ranges": ranges })
        };
        fields.insert("location".to_owned(), location);
        Value::Object(fields)
    });
    let mut sources = vec![json!({
        "filename": source.path,
        "language": "Dockerfile",
        "data": source_base64(source),
    })];
    let mut about = findings.warnings.iter().map(|w| findings.source_of(w));
    if let Some(ignore) = about.find(|about| !std::ptr::eq(*about, source)) {
        sources.push(json!({ "filename": ignore.path, "data": source_base64(ignore) }));
    }
    let mut all = json!({
        "warnings": warnings.collect::<Vec<_>>(),
        "sources": sources,
    });
    // There is room for one; it is the one that a build would stop at.
    if let Some(error) = findings.errors.first() {
        let location = match &error.frame {
            Some(frame) => json!({ "ranges": ranges(&source.text, frame.span.clone()) }),
            None => json!({}),
        };
        all["buildError"] = json!({ "message": error.title, "location": location });
    }
    format!("{all:#}\n")
}

/// The lines that a span touches, one range for each.
pub fn ranges(text: &str, span: impl Into<std::ops::Range<usize>>) -> Vec<Value> {
    lines(text, &span.into())
        .map(|line| json!({ "start": { "line": line }, "end": { "line": line } }))
        .collect()
}

/// The file's text, as JSON holds bytes.
pub fn source_base64(source: &Source) -> String {
    STANDARD.encode(source.text.as_bytes())
}
