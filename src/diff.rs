//! The difference of two texts, as `diff -u` shows it.

use std::fmt::Write;
use std::ops::Range;

/// Equal lines around a change.
const CONTEXT: usize = 3;
/// Lines that may differ until the search for the shortest difference is given up.
const MOST: usize = 2000;

/// A change: lines of the old text that lines of the new one replace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    old: Range<usize>,
    new: Range<usize>,
}

/// What `patch` needs to make `new` of `old`; nothing, if they are equal.
pub fn unified(path: &str, old: &str, new: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let changes = changes(&old, &new);
    let mut text = String::new();
    let mut rest = changes.as_slice();
    while let Some(first) = rest.first() {
        if text.is_empty() {
            let path = path.strip_prefix("./").unwrap_or(path);
            let (from, to) = if path.starts_with('/') {
                ("", "")
            } else {
                ("a/", "b/")
            };
            text.push_str(&format!("--- {from}{path}\n+++ {to}{path}\n"));
        }
        // Changes whose context touches are one hunk.
        let near = rest.windows(2).take_while(|pair| {
            let [one, next] = pair else { return false };
            next.old.start - one.old.end <= 2 * CONTEXT
        });
        let count = near.count() + 1;
        let (hunk, others) = rest.split_at(count);
        rest = others;
        let last = hunk.last().unwrap_or(first);
        let before = first.old.start.min(CONTEXT);
        let after = (old.len() - last.old.end).min(CONTEXT);
        let span = |start: usize, end: usize| {
            let (start, end) = (start - before, end + after);
            match end - start {
                0 => format!("{start},0"),
                1 => format!("{}", start + 1),
                length => format!("{},{length}", start + 1),
            }
        };
        let old_span = span(first.old.start, last.old.end);
        let new_span = span(first.new.start, last.new.end);
        let _ = writeln!(text, "@@ -{old_span} +{new_span} @@");
        let mut at = first.old.start - before;
        for change in hunk {
            lines(&mut text, ' ', &old[at..change.old.start]);
            lines(&mut text, '-', &old[change.old.clone()]);
            lines(&mut text, '+', &new[change.new.clone()]);
            at = change.old.end;
        }
        lines(&mut text, ' ', &old[at..at + after]);
    }
    text
}

fn lines(text: &mut String, mark: char, lines: &[&str]) {
    for line in lines {
        text.push(mark);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// The changes in order; between two of them at least one line is equal.
fn changes(old: &[&str], new: &[&str]) -> Vec<Change> {
    let both = old.iter().zip(new);
    let start = both.take_while(|(a, b)| a == b).count();
    let both = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = both.take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    if a.is_empty() && b.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Change> = Vec::new();
    let mut at = (0, 0);
    let mut change = |from: (usize, usize), to: (usize, usize)| {
        if from != to {
            found.push(Change {
                old: start + from.0..start + to.0,
                new: start + from.1..start + to.1,
            });
        }
    };
    for (x, y) in equal_lines(a, b) {
        change(at, (x, y));
        at = (x + 1, y + 1);
    }
    change(at, (a.len(), b.len()));
    found
}

/// Positions of lines that both texts have, in order: as many as there can be (E. Myers, "An O(ND)
/// Difference Algorithm and Its Variations", 1986), or none, if too much differs.
fn equal_lines(a: &[&str], b: &[&str]) -> Vec<(usize, usize)> {
    let most = (a.len() + b.len()).min(MOST);
    // Furthest position in `a` on each diagonal, diagonal `k` at `most + k`; one copy a step.
    let mut furthest = vec![0_usize; 2 * most + 2];
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for d in 0..=most {
        steps.push(furthest[most - d..=most + d + 1].to_vec());
        for k in (0..=2 * d).step_by(2) {
            // Diagonal k - d.
            let at = most + k - d;
            let mut x = if k == 0 || k != 2 * d && furthest[at - 1] < furthest[at + 1] {
                furthest[at + 1]
            } else {
                furthest[at - 1] + 1
            };
            let Some(mut y) = (x + d).checked_sub(k) else {
                continue;
            };
            while x < a.len() && y < b.len() && a[x] == b[y] {
                (x, y) = (x + 1, y + 1);
            }
            furthest[at] = x;
            if x >= a.len() && y >= b.len() {
                return walk_back(&steps, a.len(), b.len());
            }
        }
    }
    Vec::new()
}

/// The equal lines on the way that was found.
fn walk_back(steps: &[Vec<usize>], mut x: usize, mut y: usize) -> Vec<(usize, usize)> {
    let mut equal = Vec::new();
    for (d, furthest) in steps.iter().enumerate().rev() {
        // `furthest[d + k]` is diagonal k of the step before.
        let k = x + d - y;
        let (from_x, from_y) = if d == 0 {
            (0, 0)
        } else {
            let down = k == 0 || k != 2 * d && furthest[k - 1] < furthest[k + 1];
            let before = if down { k + 1 } else { k - 1 };
            let from = furthest[before];
            (from, from + d - before)
        };
        while x > from_x && y > from_y {
            (x, y) = (x - 1, y - 1);
            equal.push((x, y));
        }
        (x, y) = (from_x, from_y);
    }
    equal.reverse();
    equal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_looks_as_diff_u() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n";
        let new = "a\nb\nC\nd\ne\nf\ng\nh\ni\nj\nk\nm";
        assert_eq!(
            unified("./x/Dockerfile", old, new),
            "--- a/x/Dockerfile\n+++ b/x/Dockerfile\n@@ -1,6 +1,6 @@\n a\n b\n-c\n+C\n d\n e\n f\n\
             @@ -9,5 +9,4 @@\n i\n j\n k\n-l\n-m\n+m\n\\ No newline at end of file\n"
        );
        assert_eq!(unified("x", old, old), "");
        assert_eq!(
            unified("/x", "", "a\n"),
            "--- /x\n+++ /x\n@@ -0,0 +1 @@\n+a\n"
        );
    }

    #[test]
    fn much_that_differs_is_one_change() {
        let text = |word: &str| -> String {
            (0..2 * MOST)
                .map(|line| format!("{word}{line}\n"))
                .collect()
        };
        let (old, new) = (text("a"), text("b"));
        let diff = unified("x", &old, &new);
        assert_eq!(diff.lines().count(), 3 + 4 * MOST);
    }

    /// Reads hunks as `patch` does.
    fn patched(old: &str, diff: &str) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let mut new = String::new();
        let mut at = 0;
        for line in diff.split_inclusive('\n').skip(2) {
            if let Some(hunk) = line.strip_prefix("@@ -") {
                let (from, _) = hunk.split_once(' ').unwrap();
                let (start, length) = from.split_once(',').unwrap_or((from, "1"));
                let start: usize = start.parse().unwrap();
                let start = if length == "0" { start } else { start - 1 };
                new.extend(old[at..start].iter().copied());
                at = start;
            } else if line.starts_with('\\') {
                assert_eq!(new.pop(), Some('\n'));
            } else {
                let (mark, text) = line.split_at(1);
                if mark != "+" {
                    assert_eq!(old[at].trim_end_matches('\n'), text.trim_end_matches('\n'));
                    at += 1;
                }
                if mark != "-" {
                    new.push_str(text);
                } else if !old[at - 1].ends_with('\n') {
                    // Its mark takes a line end away, which this one has not written.
                    new.push('\n');
                }
            }
        }
        new.extend(old[at..].iter().copied());
        new
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_text(old in "([ab]{0,1}\n){0,12}[ab]?", new in "([ab]{0,1}\n){0,12}[ab]?") {
            prop_assert_eq!(patched(&old, &unified("x", &old, &new)), new);
        }
    }
}
