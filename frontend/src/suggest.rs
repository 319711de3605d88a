//! What was probably meant.

/// Names beyond these are not compared: a suggestion is not worth a hang.
const MOST_OPTIONS: usize = 1_000;

/// The option that `text` is a typing error of: at most two letters off, and none when `text` is
/// an option itself.
pub fn nearest<'o>(text: &str, options: impl IntoIterator<Item = &'o str>) -> Option<&'o str> {
    let mut best = None;
    let mut least = 3;
    for option in options.into_iter().take(MOST_OPTIONS) {
        if option == text {
            return None;
        }
        let distance = distance(text, option, least);
        if distance < least {
            least = distance;
            best = Some(option);
        }
    }
    best
}

/// Insertions, deletions and replacements between two words; `limit` when there are that many or
/// more.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    if a.len().abs_diff(b.len()) >= limit * 4 {
        return limit;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= limit || a.len() > 256 {
        return limit;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above.min(row[j]) + 1);
            diagonal = above;
        }
        if row.iter().all(|d| *d >= limit) {
            return limit;
        }
    }
    row[b.len()]
}

/// `message (did you mean option?)`, when there is one that is near.
pub fn with_suggestion<'o>(
    message: String,
    text: &str,
    options: impl IntoIterator<Item = &'o str>,
) -> String {
    match nearest(text, options) {
        Some(option) => format!("{message} (did you mean {option}?)"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_off_is_near() {
        let options = ["build", "test", "release"];
        assert_eq!(nearest("biuld", options), Some("build"));
        assert_eq!(nearest("tset", options), Some("test"));
        assert_eq!(nearest("test", options), None);
        assert_eq!(nearest("deploy", options), None);
        assert_eq!(distance("kitten", "sitting", 9), 3);
        assert_eq!(distance("", "ab", 9), 2);
    }

    #[test]
    fn near_and_far() {
        let names = ["run", "copy", "add", "expose"];
        for (given, expected) in [
            ("runn", Some("run")),
            ("cpoy", Some("copy")),
            ("exp", None),
            ("xyz", None),
            ("", None),
            ("ru", Some("run")),
            ("copy\u{2003}", Some("copy")),
        ] {
            assert_eq!(nearest(given, names), expected, "{given}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), names), None);
    }
}
