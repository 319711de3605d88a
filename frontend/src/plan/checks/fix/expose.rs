//! The words of EXPOSE: protocols in lower case, no addresses and ports of the host.

use solver::Span;

use super::Edit;
use crate::instruction::Word;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Protocols in lower case.
    pub(super) lower: bool,
    /// Ports without what is the host's.
    pub(super) bare: bool,
}

/// What to replace. Nothing, if the ports would come in another order: they are sorted as they are
/// written, and the history shows them so.
pub(super) fn edits(source: &str, words: &[Word], wanted: Wanted) -> Vec<Edit> {
    if !wanted.lower && !wanted.bare {
        return Vec::new();
    }
    let fixed: Vec<String> = words
        .iter()
        .map(|word| {
            let is_there = source.get(word.span.start..word.span.end) == Some(&word.text);
            if is_there {
                one(&word.text, wanted)
            } else {
                word.text.clone()
            }
        })
        .collect();
    let mut order: Vec<usize> = (0..words.len()).collect();
    order.sort_by_key(|at| &words[*at].text);
    let in_order: Vec<&String> = order.iter().map(|at| &fixed[*at]).collect();
    if !in_order.is_sorted() {
        return Vec::new();
    }
    let pairs = words.iter().zip(fixed);
    pairs
        .filter(|(word, text)| word.text != *text)
        .map(|(word, text)| Edit {
            span: Span::from(word.span.start..word.span.end),
            text,
        })
        .collect()
}

fn one(word: &str, wanted: Wanted) -> String {
    // What a variable or a quote stands in is not told from its letters.
    let is_plain = |text: &str| !text.contains(['$', '"', '\'', '\\', '`']);
    let mut text = word.to_owned();
    if wanted.lower
        && let Some((port, protocol)) = text.rsplit_once('/')
        && is_plain(protocol)
    {
        text = format!("{port}/{}", protocol.to_lowercase());
    }
    if wanted.bare
        && is_plain(&text)
        && let Some((_, container)) = text.rsplit_once(':')
    {
        text = container.to_owned();
    }
    text
}
