//! What was probably meant by a name that does not exist.

/// Changes at which a name is no longer near.
const FAR: usize = 3;

/// The name that is fewest changes away from `given`, if that is near enough.
pub(super) fn nearest<'n>(given: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut best = None;
    let mut least = FAR;
    for name in names {
        let distance = distance(given, name);
        if distance < least {
            (least, best) = (distance, Some(name));
        }
    }
    best
}

/// Insertions, deletions and replacements from one text to the other; [`FAR`] or more if it is far.
fn distance(left: &str, right: &str) -> usize {
    // A character has four bytes at most; this keeps what is long from being looked at at all.
    if left.len() > 4 * (right.len() + FAR) {
        return FAR;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

/// `name` in the letters of `given`: upper case if all of it is, lower case if all of it is.
pub(super) fn in_case_of(given: &str, name: &str) -> String {
    if given == given.to_uppercase() {
        name.to_uppercase()
    } else {
        name.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(nearest(given, names.into_iter()), expected, "{given}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), names.into_iter()), None);
    }

    #[test]
    fn letters() {
        assert_eq!(in_case_of("RUNN", "run"), "RUN");
        assert_eq!(in_case_of("runn", "run"), "run");
        assert_eq!(in_case_of("Runn", "RUN"), "run");
    }
}
