//! A picture for graphviz.

use std::fmt::Write;

use super::Picture;

/// The picture in graphviz' language. What is copied or mounted has a broken line.
pub fn draw(picture: &Picture) -> String {
    let mut text = String::from("digraph plan {\n  rankdir = TB\n");
    text.push_str("  node [shape = box, style = \"rounded,filled\", fontname = monospace]\n");
    // Writing to a text cannot fail.
    for (number, group) in picture.groups.iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{number} {{");
        let _ = writeln!(text, "    label = {}", quoted(&group.name));
        for &index in &group.steps {
            let step = &picture.steps[index];
            let (label, colour) = (quoted(&step.label()), step.verdict.colour());
            let _ = writeln!(
                text,
                "    n{index} [label = {label}, fillcolor = \"{colour}\"]"
            );
        }
        text.push_str("  }\n");
    }
    for edge in &picture.edges {
        let style = if edge.is_root {
            ""
        } else {
            " [style = dashed]"
        };
        let _ = writeln!(text, "  n{} -> n{}{style}", edge.from, edge.to);
    }
    for (number, (step, platform)) in picture.targets.iter().enumerate() {
        let label = quoted(platform);
        let _ = writeln!(
            text,
            "  t{number} [label = {label}, shape = plaintext, style = \"\"]"
        );
        let _ = writeln!(text, "  n{step} -> t{number}");
    }
    text.push_str("}\n");
    text
}

/// A text of the language: quotes and backslashes stand for themselves.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
