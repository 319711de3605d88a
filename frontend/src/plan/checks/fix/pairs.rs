//! `ENV name value` to `ENV name=value`.
//!
//! The old form takes the rest of the line as it is; in the new one blanks end a value. So a value
//! with blanks is quoted, or its blanks are escaped, and then both forms are read and compared.

use solver::Span;

use super::{Edit, apply};
use crate::expansion::{Budget, Lexer, NoVariables, Variables};
use crate::instruction::{Command, Instruction, Pairs};

/// Bytes that a comparison may make.
const MOST_TEXT: u64 = 1 << 20;

/// What to replace; nothing, if no way is found that surely says the same.
pub(super) fn edits(
    source: &str,
    instruction: &Instruction,
    pairs: &Pairs,
    escape: char,
) -> Vec<Edit> {
    let [(name, value)] = pairs.pairs.as_slice() else {
        return Vec::new();
    };
    let between = Span::from(name.span.end..value.span.start);
    let is_blank = |c: char| c == escape || c.is_ascii_whitespace();
    // A comment may stand between the lines.
    let joined = source.get(between.start..between.end);
    if !joined.is_some_and(|text| text.chars().all(is_blank)) {
        return Vec::new();
    }
    let assign = |mark: &str| Edit {
        span: between,
        text: format!("={mark}"),
    };
    let plain = vec![assign("")];
    let quoted = vec![
        assign("\""),
        Edit {
            span: Span::from(value.span.end..value.span.end),
            text: "\"".to_owned(),
        },
    ];
    let mut ways = vec![plain, quoted];
    if source.get(value.span.start..value.span.end) == Some(&value.text) {
        let mut escaped = vec![assign("")];
        escaped.extend(blanks(&value.text, escape).map(|at| {
            let at = value.span.start + at;
            Edit {
                span: Span::from(at..at),
                text: escape.to_string(),
            }
        }));
        ways.push(escaped);
    }
    let is_same = |edits: &Vec<Edit>| says_the_same(source, instruction, pairs, escape, edits);
    ways.into_iter().find(is_same).unwrap_or_default()
}

/// Places of blanks that stand in no quotes and behind no escape character.
fn blanks(text: &str, escape: char) -> impl Iterator<Item = usize> {
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().filter_map(move |(at, c)| {
        if std::mem::take(&mut escaped) {
            return None;
        }
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, c) if c == escape => escaped = true,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, c) => return c.is_whitespace().then_some(at),
        }
        None
    })
}

/// Whether the instruction with `edits` is one pair that expands to what it was before.
fn says_the_same(
    source: &str,
    instruction: &Instruction,
    pairs: &Pairs,
    escape: char,
    edits: &[Edit],
) -> bool {
    let Span { start, end } = instruction.span;
    let moved = |at: usize| at.checked_sub(start);
    let edits: Option<Vec<Edit>> = edits
        .iter()
        .map(|edit| {
            let span = Span::from(moved(edit.span.start)?..moved(edit.span.end)?);
            Some(Edit {
                span,
                text: edit.text.clone(),
            })
        })
        .collect();
    let (Some(edits), Some(written)) = (edits, source.get(start..end)) else {
        return false;
    };
    let text = apply(written, &edits);
    let Ok(file) = crate::parse(&format!("# escape={escape}\nFROM x\n{text}")) else {
        return false;
    };
    let [stage] = file.stages.as_slice() else {
        return false;
    };
    let [fixed] = stage.instructions.as_slice() else {
        return false;
    };
    let ((Command::Env(fixed), Command::Env(_)) | (Command::Label(fixed), Command::Label(_))) =
        (&fixed.command, &instruction.command)
    else {
        return false;
    };
    let ([(name, value)], [(old_name, old_value)]) =
        (fixed.pairs.as_slice(), pairs.pairs.as_slice())
    else {
        return false;
    };
    !fixed.legacy
        && expand_alike(&name.text, &old_name.text, escape)
        && expand_alike(&value.text, &old_value.text, escape)
}

/// Whether two words are the same whatever the variables in them are.
fn expand_alike(one: &str, other: &str, escape: char) -> bool {
    let budget = Budget::new(MOST_TEXT);
    let lexer = Lexer::new(escape, &budget);
    let all: [&dyn Variables; 3] = [&NoVariables, &Same(""), &Same("a 'b\" \\c")];
    all.into_iter().all(|variables| {
        let (one, other) = (lexer.word(one, variables), lexer.word(other, variables));
        matches!((one, other), (Ok(one), Ok(other)) if one == other)
    })
}

/// Every variable has this value.
struct Same(&'static str);

impl Variables for Same {
    fn get(&self, _: &str) -> Option<&str> {
        Some(self.0)
    }
}
