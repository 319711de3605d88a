//! Patterns of `ps --filter name=…`: the part of regular expressions that people use there: `^`,
//! `$`, `.`, `*`, `+`, `?`, `\` and `|` between whole patterns.

/// Whether a pattern fits somewhere in a text.
pub fn fits(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    split(pattern).iter().any(|alternative| {
        let pattern: Vec<char> = alternative.chars().collect();
        match pattern.split_first() {
            Some(('^', rest)) => here(rest, &text),
            _ => (0..=text.len()).any(|at| here(&pattern, &text[at..])),
        }
    })
}

fn split(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '|' => parts.push(String::new()),
            '\\' => {
                let part = parts.last_mut();
                if let Some(part) = part {
                    part.push('\\');
                    part.extend(letters.next());
                }
            }
            letter => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
    }
    parts
}

/// Whether a pattern fits at the beginning of a text.
fn here(pattern: &[char], text: &[char]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else {
        return true;
    };
    if first == '$' && rest.is_empty() {
        return text.is_empty();
    }
    let (atom, rest) = match (first, rest.split_first()) {
        ('\\', Some((&letter, rest))) => (Some(letter), rest),
        ('.', _) => (None, rest),
        _ => (Some(first), rest),
    };
    let is = |letter: &char| atom.is_none_or(|atom| atom == *letter);
    let most = text.iter().take_while(|letter| is(letter)).count();
    let (least, most, rest) = match rest.split_first() {
        Some(('*', rest)) => (0, most, rest),
        Some(('+', rest)) => (1, most, rest),
        Some(('?', rest)) => (0, most.min(1), rest),
        _ => (1, most.min(1), rest),
    };
    (least..=most).any(|count| here(rest, &text[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_regular_expressions() {
        for (pattern, text, expected) in [
            ("box", "mybox1", true),
            ("^box", "mybox", false),
            ("^box$", "box", true),
            ("box$", "box1", false),
            ("b.x", "bax", true),
            ("^b.*1$", "box1", true),
            ("^bo+x?$", "boo", true),
            ("^a$|^b$", "b", true),
            ("a\\.b", "a.b", true),
            ("a\\.b", "axb", false),
            ("", "anything", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
