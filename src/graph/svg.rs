//! A picture for browsers: groups in columns, so that every line leads to the right.

use std::fmt::Write;

use super::{Picture, short};

/// Size of a step's box.
const BOX: (usize, usize) = (330, 40);
/// Between two steps of a group, and around them.
const GAP: usize = 12;
/// Between two columns, for the lines.
const AISLE: usize = 90;
/// Height of a group's name.
const HEADING: usize = 24;
/// Characters of the monospaced font, 11 pixels high, that fit into a box.
const FIT: usize = 46;

/// The end of a line.
const ARROW: &str = "<defs><marker id=\"end\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#666\"/></marker></defs>\n";

/// The picture as a document of its own.
pub fn draw(picture: &Picture) -> String {
    let columns = columns(picture);
    let mut corners = vec![(0, 0); picture.steps.len()];
    let mut body = String::new();
    let (mut width, mut height) = (0, 0);
    for (column, groups) in columns.iter().enumerate() {
        let x = GAP + column * (BOX.0 + 2 * GAP + AISLE);
        let mut y = GAP;
        for &group in groups {
            let group = &picture.groups[group];
            let tall = HEADING + group.steps.len() * (BOX.1 + GAP);
            // Writing to a text cannot fail.
            let _ = writeln!(
                body,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{tall}\" rx=\"6\" fill=\"#f7f7f7\" stroke=\"#888\"/>\n<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>",
                BOX.0 + 2 * GAP,
                x + GAP,
                y + 16,
                escaped(&short(&group.name, FIT)),
            );
            for (number, &step) in group.steps.iter().enumerate() {
                corners[step] = (x + GAP, y + HEADING + number * (BOX.1 + GAP));
            }
            y += tall + GAP;
        }
        width = width.max(x + BOX.0 + 3 * GAP);
        height = height.max(y);
    }
    for edge in &picture.edges {
        body.push_str(&line(corners[edge.from], corners[edge.to], edge.is_root));
    }
    for (step, &(x, y)) in picture.steps.iter().zip(&corners) {
        let _ = writeln!(
            body,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"4\" fill=\"{}\" stroke=\"#444\"/><text x=\"{}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" fill=\"#444\">{}</text></g>",
            escaped(&step.label()),
            BOX.0,
            BOX.1,
            step.verdict.colour(),
            x + 8,
            y + 17,
            escaped(&short(&step.name, FIT)),
            x + 8,
            y + 32,
            escaped(&short(&step.verdict.text(), FIT)),
        );
    }
    let summary = escaped(&picture.summary());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" font-family=\"monospace\" font-size=\"11\">\n{ARROW}{body}<text x=\"{GAP}\" y=\"{}\">{summary}</text>\n</svg>\n",
        height + 2 * GAP,
        height + GAP,
    )
}

/// Groups by how many others lie below them; one that reads nothing is at the left.
fn columns(picture: &Picture) -> Vec<Vec<usize>> {
    let groups = picture.groups_of_steps();
    let mut depths = vec![0; picture.groups.len()];
    // Stages read in a circle only if they share steps: as many rounds as groups are enough.
    for _ in 0..picture.groups.len() {
        for edge in &picture.edges {
            let (from, to) = (groups[edge.from], groups[edge.to]);
            if from != to && depths[to] <= depths[from] && depths[from] + 1 < depths.len() {
                depths[to] = depths[from] + 1;
            }
        }
    }
    let mut columns = vec![Vec::new(); depths.iter().max().map_or(0, |deepest| deepest + 1)];
    for (group, &depth) in depths.iter().enumerate() {
        columns[depth].push(group);
    }
    columns
}

/// A line from one box to another: straight down to the next one of a column, around those between,
/// else from the right side of one to the left side of the other.
fn line(from: (usize, usize), to: (usize, usize), is_root: bool) -> String {
    let dash = if is_root {
        ""
    } else {
        " stroke-dasharray=\"4 3\""
    };
    let middle = |corner: (usize, usize)| corner.1 + BOX.1 / 2;
    let path = if from.0 != to.0 {
        let (start, bend) = (from.0 + BOX.0, AISLE / 2 + GAP);
        format!(
            "M{start} {} C{} {} {} {} {} {}",
            middle(from),
            start + bend,
            middle(from),
            to.0.saturating_sub(bend),
            middle(to),
            to.0,
            middle(to)
        )
    } else if to.1 == from.1 + BOX.1 + GAP {
        format!("M{} {} V{}", from.0 + BOX.0 / 2, from.1 + BOX.1, to.1)
    } else {
        let around = from.0.saturating_sub(2 * GAP);
        format!(
            "M{} {} C{around} {} {around} {} {} {}",
            from.0,
            middle(from),
            middle(from),
            middle(to),
            to.0,
            middle(to)
        )
    };
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"#666\" marker-end=\"url(#end)\"{dash}/>\n")
}

/// A text that is no markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}
