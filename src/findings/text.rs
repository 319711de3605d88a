//! For people: the lines that are meant, and a summary.

use super::Findings;
use crate::report;

pub(super) fn render(findings: &Findings<'_>, colour: bool) -> String {
    let mut text = String::new();
    for warning in &findings.warnings {
        text.push_str(&report::render_warning(
            warning,
            findings.source_of(warning),
            colour,
        ));
    }
    for error in &findings.errors {
        text.push_str(&report::render(error, colour));
    }
    let count = |number: usize, what: &str| match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}s")),
    };
    let counts = [
        count(findings.warnings.len(), "warning"),
        count(findings.errors.len(), "error"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    if counts.is_empty() {
        text.push_str("nothing found");
    } else {
        text.push_str(&counts.join(" and "));
    }
    text.push('\n');
    text
}
