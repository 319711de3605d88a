//! The ignore rules against a second implementation: slow, and as plain as can be.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use frontend::ignore::IgnoreRules;
use proptest::prelude::*;

/// A pattern's parts, as the reference turns them into a regular expression.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Letter(char),
    /// `?`
    One,
    /// `*`
    Some,
    /// `**/` or `**` with something behind it: nothing, or anything up to a `/`.
    Directories,
    /// `**` at the end.
    All,
    /// `[ab]` or `[^ab]`
    Set(bool, Vec<char>),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '*' if letters.peek() == Some(&'*') => {
                letters.next();
                letters.next_if_eq(&'/');
                match letters.peek() {
                    Some(_) => Part::Directories,
                    None => Part::All,
                }
            }
            '*' => Part::Some,
            '?' => Part::One,
            '[' => {
                let except = letters.next_if_eq(&'^').is_some();
                Part::Set(except, letters.by_ref().take_while(|c| *c != ']').collect())
            }
            '\\' => Part::Letter(letters.next().unwrap()),
            letter => Part::Letter(letter),
        });
    }
    // `**name` alone is looked for at the end of a path; any special character behind it turns it
    // into an expression.
    let plain = |part: &Part| matches!(part, Part::Letter(_));
    if let [Part::Directories, rest @ ..] = &parts[..]
        && rest.iter().all(plain)
        && !pattern.contains('\\')
        && !pattern.starts_with("**/")
    {
        parts[0] = Part::All;
    }
    parts
}

fn matches(parts: &[Part], path: &[char]) -> bool {
    let Some((part, parts)) = parts.split_first() else {
        return path.is_empty();
    };
    let mut cuts = 0..=path.len();
    match part {
        Part::All => cuts.any(|cut| matches(parts, &path[cut..])),
        Part::Some => cuts
            .take_while(|cut| !path[..*cut].contains(&'/'))
            .any(|cut| matches(parts, &path[cut..])),
        Part::Directories => cuts
            .filter(|cut| *cut == 0 || path[cut - 1] == '/')
            .any(|cut| matches(parts, &path[cut..])),
        Part::Letter(_) | Part::One | Part::Set(..) => {
            path.split_first().is_some_and(|(letter, path)| {
                let fits = match part {
                    Part::Letter(expected) => letter == expected,
                    Part::Set(except, set) => set.contains(letter) != *except,
                    _ => *letter != '/',
                };
                fits && matches(parts, path)
            })
        }
    }
}

/// The patterns of a text whose lines need no cleaning but at their ends.
fn rules(text: &str) -> Vec<(bool, Vec<Part>)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let patterns = lines.map(str::trim).filter(|line| !line.is_empty());
    patterns
        .map(|pattern| {
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, pattern),
            };
            (negated, parts(pattern.trim_matches('/')))
        })
        .collect()
}

/// A walk from the top to `path`, each directory handing down which rules matched it.
fn excludes(rules: &[(bool, Vec<Part>)], path: &str) -> bool {
    let mut inherited = vec![false; rules.len()];
    let mut excluded = false;
    let ends = path.match_indices('/').map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        let here: Vec<char> = path[..end].chars().collect();
        excluded = false;
        for (inherited, (negated, parts)) in inherited.iter_mut().zip(rules) {
            // A rule that could change nothing is not asked, and is not handed down either.
            *inherited = *inherited || (*negated == excluded && matches(parts, &here));
            if *inherited {
                excluded = !negated;
            }
        }
    }
    excluded
}

fn a_line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => "[ab]{1,2}",
        1 => Just("*".to_owned()),
        1 => Just("**".to_owned()),
        2 => "[ab]?[*?][ab]?",
        1 => "\\[\\^?[ab]{1,2}\\][ab]?",
        1 => "\\*\\*[ab]",
        1 => "[ab]\\*\\*",
        1 => "\\\\[ab*?]",
    ];
    let path = proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    ("[ \t]?", "(!|! )?", "/?", path, "/?", "[ \t]?\r?")
        .prop_map(|(a, b, c, d, e, f)| format!("{a}{b}{c}{d}{e}{f}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn both_say_the_same(
        lines in proptest::collection::vec(
            prop_oneof![9 => a_line(), 1 => Just(String::new()), 1 => Just("# b".to_owned())],
            0..6,
        ),
        paths in proptest::collection::vec("[ab*é]{1,2}(/[ab]{1,2}){0,3}", 1..6),
    ) {
        let text = lines.join("\n");
        let read = IgnoreRules::parse(text.as_bytes()).unwrap();
        let rules = rules(&text);
        for path in paths {
            let expected = excludes(&rules, &path);
            prop_assert_eq!(read.excludes(&path), expected, "{:?} on {}", text, path);
            prop_assert_eq!(read.deciding_rule(&path).is_some(), expected);
            if !expected {
                // What is let in must be reached by a walk.
                for (at, _) in path.match_indices('/') {
                    let dir = &path[..at];
                    prop_assert!(!read.excludes(dir) || read.may_include_below(dir));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(rules) = IgnoreRules::parse(&bytes) {
            rules.excludes("a/b");
        }
    }
}
