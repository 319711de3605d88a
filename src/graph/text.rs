//! A picture for terminals and files: stages one below the other, and lines at their left from what is
//! copied, mounted or built on to who does so. Without colours it says the same.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::{Look, Picture, Verdict, short};

/// Characters of a line where there is no terminal to be filled.
const WIDE: usize = 120;
/// Characters of a step's name, at least and at most.
const NAME: (usize, usize) = (24, 60);
/// Characters that are left of what would become of it, at least.
const WORDS: usize = 12;
/// Lines side by side: what has no room any more is named in words.
const LANES: usize = 12;

/// One line of the drawing.
struct Row {
    /// The step that is read here, and those that are read by the step here.
    from: Option<usize>,
    to: Option<usize>,
    border: char,
    text: String,
    verdict: Option<usize>,
}

/// A line from a step to those that read it in other groups.
struct Lane {
    start: usize,
    ends: Vec<usize>,
    /// The last of the ends.
    last: usize,
    column: usize,
}

/// Draws it.
pub fn draw(picture: &Picture, look: &Look) -> String {
    let crossing = crossing(picture);
    let rows = rows(picture, &crossing);
    let (lanes, named) = lanes(&rows, &crossing);
    let columns = lanes.iter().map(|lane| lane.column + 1).max().unwrap_or(0);
    let width = look.width.unwrap_or(WIDE);
    let names = rows.iter().filter(|row| row.verdict.is_some());
    let longest = names.map(|row| row.text.chars().count()).max().unwrap_or(0);
    let name_width = longest.min((width / 2).clamp(NAME.0, NAME.1));
    let mut text = String::new();
    let mut coming = lanes.iter().peekable();
    let mut near: Vec<&Lane> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        near.retain(|lane| lane.last >= number);
        near.extend(coming.next_if(|lane| lane.start == number));
        let mut line = gutter(number, row, &near, columns);
        line.push(row.border);
        match row.verdict {
            None => line.push_str(&row.text),
            Some(step) => {
                let verdict = &picture.steps[step].verdict;
                let mut words = verdict.text();
                for &(_, from) in named.iter().filter(|(to, _)| *to == step) {
                    let _ = write!(words, "  ← {}", picture.steps[from].name);
                }
                let (sign, start, end) = paint(verdict, look.colour);
                let name = short(&row.text, name_width);
                let lack = if words.is_empty() {
                    0
                } else {
                    name_width - name.chars().count()
                };
                let used = line.chars().count() + name_width + 5;
                let words = match look.width {
                    Some(width) => short(&words, width.saturating_sub(used).max(WORDS)),
                    None => words,
                };
                let _ = write!(line, " {start}{sign}{end} {name}{:lack$}", "");
                if !words.is_empty() {
                    let _ = write!(line, "  {start}{words}{end}");
                }
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&picture.summary());
    text.push('\n');
    text
}

/// Pairs of steps of which the second reads the first, sorted: those of two groups.
fn crossing(picture: &Picture) -> Vec<(usize, usize)> {
    let groups = picture.groups_of_steps();
    let edges = picture.edges.iter();
    let mut pairs: Vec<_> = edges
        .filter(|edge| groups[edge.from] != groups[edge.to])
        .map(|edge| (edge.from, edge.to))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn rows(picture: &Picture, crossing: &[(usize, usize)]) -> Vec<Row> {
    let mut rows = Vec::new();
    let frame = |border, text: String| Row {
        from: None,
        to: None,
        border,
        text,
        verdict: None,
    };
    let read: HashSet<usize> = crossing.iter().map(|&(from, _)| from).collect();
    let readers: HashSet<usize> = crossing.iter().map(|&(_, to)| to).collect();
    for group in &picture.groups {
        rows.push(frame('┌', format!("─ {}", group.name)));
        for &step in &group.steps {
            let (reads, is_read) = (readers.contains(&step), read.contains(&step));
            rows.push(Row {
                from: (is_read && !reads).then_some(step),
                to: reads.then_some(step),
                border: '│',
                text: picture.steps[step].name.clone(),
                verdict: Some(step),
            });
            if is_read && reads {
                // In a row of its own: what comes and what goes would be one line otherwise.
                rows.push(Row {
                    from: Some(step),
                    ..frame('│', String::new())
                });
            }
        }
        rows.push(frame('└', "─".to_owned()));
    }
    rows
}

/// Lines with room for each, the nearest first; pairs that are left to be named, users first.
fn lanes(rows: &[Row], crossing: &[(usize, usize)]) -> (Vec<Lane>, Vec<(usize, usize)>) {
    let mut lanes: Vec<Lane> = Vec::new();
    let mut named = Vec::new();
    // The row down to which a line takes each column.
    let mut taken: [Option<usize>; LANES] = [None; LANES];
    let numbered = rows.iter().enumerate();
    let row_of: HashMap<usize, usize> = numbered
        .filter_map(|(number, row)| Some((row.to?, number)))
        .collect();
    for (start, row) in rows.iter().enumerate() {
        let Some(step) = row.from else { continue };
        let from = crossing.partition_point(|(from, _)| *from < step);
        let users = crossing[from..].iter();
        let users = users.take_while(|(from, _)| *from == step);
        // A group may be drawn before one that it reads; a line goes down only.
        let ends: Vec<usize> = users
            .clone()
            .filter_map(|(_, user)| row_of.get(user).copied())
            .filter(|&end| end > start)
            .collect();
        let last = ends.iter().max().copied().unwrap_or(start);
        let column = taken
            .iter()
            .position(|last| last.is_none_or(|last| last < start));
        let drawn = column.map_or(0, |_| ends.len());
        if drawn < users.clone().count() {
            named.extend(users.map(|&(from, to)| (to, from)));
        } else if let Some(column) = column {
            lanes.push(Lane {
                start,
                ends,
                last,
                column,
            });
            taken[column] = Some(last);
        }
    }
    (lanes, named)
}

/// What is left of a row's border; `lanes` are those that reach it. The nearest one is at the right.
fn gutter(number: usize, row: &Row, lanes: &[&Lane], columns: usize) -> String {
    if columns == 0 {
        return String::new();
    }
    let mut signs = vec![' '; columns];
    let mut begun = None;
    for lane in lanes {
        let place = columns - 1 - lane.column;
        if lane.start == number || lane.ends.contains(&number) {
            begun = Some(begun.map_or(place, |begun: usize| begun.min(place)));
        }
        if lane.start == number {
            signs[place] = '╭';
        } else if lane.last == number {
            signs[place] = '╰';
        } else if lane.ends.contains(&number) {
            signs[place] = '├';
        } else {
            signs[place] = '│';
        }
    }
    let mut line = String::with_capacity(columns + 2);
    for (place, sign) in signs.iter().enumerate() {
        let is_inside = begun.is_some_and(|begun| place > begun);
        line.push(match (sign, is_inside) {
            ('│', true) => '┼',
            ('╰', true) => '┴',
            ('├', true) => '┼',
            (' ', true) => '─',
            (sign, _) => *sign,
        });
    }
    line.push(match (begun, row.to) {
        (Some(_), Some(_)) => '▸',
        (Some(_), None) => '─',
        (None, _) => ' ',
    });
    line
}

/// A sign for what would become of a step, and what turns its colour on and off.
const fn paint(verdict: &Verdict, colour: bool) -> (char, &'static str, &'static str) {
    let (sign, start) = match verdict {
        Verdict::None => ('·', ""),
        Verdict::Cached => ('✓', "\u{1b}[32m"),
        Verdict::Runs(_) => ('▶', "\u{1b}[33m"),
        Verdict::Unknown(_) => ('?', "\u{1b}[34m"),
        Verdict::Fails(_) => ('✗', "\u{1b}[31m"),
        Verdict::Skipped => ('-', "\u{1b}[2m"),
    };
    if colour && !start.is_empty() {
        (sign, start, "\u{1b}[0m")
    } else {
        (sign, "", "")
    }
}
