//! The patterns of `${name#pattern}` and its like: `?`, `*`, and `\` before either.
//!
//! Neither `?` nor `*` matches a line end, and there are no brackets.

use super::Cause;

/// Elements times characters that one match may cost.
const MOST_WORK: usize = 1 << 28;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Literal(char),
    One,
    Any,
}

/// A pattern that has been read.
#[derive(Debug)]
pub(super) struct Pattern<'a> {
    text: &'a str,
    elements: Vec<Element>,
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Cause> {
        let mut elements = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            elements.push(match c {
                // Stars side by side are one.
                '*' if elements.last() == Some(&Element::Any) => continue,
                '*' => Element::Any,
                '?' => Element::One,
                '\\' => match rest.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Element::Literal(escaped),
                    other => {
                        let shown = other.map_or_else(|| "\\".to_owned(), |c| format!("\\{c}"));
                        return Err(Cause::Pattern {
                            pattern: text.to_owned(),
                            reason: format!("invalid escape '{shown}'"),
                        });
                    }
                },
                other => Element::Literal(other),
            });
        }
        Ok(Self { text, elements })
    }

    /// `value` without the part at its beginning that matches.
    pub(super) fn strip_prefix<'v>(&self, value: &'v str, longest: bool) -> Result<&'v str, Cause> {
        let chars: Vec<char> = value.chars().collect();
        let end = self.end(&self.elements, &chars, longest)?;
        let skipped: usize = chars[..end.unwrap_or(0)].iter().map(|c| c.len_utf8()).sum();
        Ok(&value[skipped..])
    }

    /// `value` without the part at its end that matches.
    pub(super) fn strip_suffix(&self, value: &str, longest: bool) -> Result<String, Cause> {
        let elements: Vec<Element> = self.elements.iter().rev().copied().collect();
        let chars: Vec<char> = value.chars().rev().collect();
        let end = self.end(&elements, &chars, longest)?;
        Ok(chars[end.unwrap_or(0)..].iter().rev().collect())
    }

    /// `value` with the first match replaced, or all of them.
    pub(super) fn replace(&self, value: &str, by: &str, all: bool) -> Result<String, Cause> {
        let chars: Vec<char> = value.chars().collect();
        let mut out = String::with_capacity(value.len());
        let mut position = 0;
        let mut work = 0;
        // An empty match directly after a match does not count.
        let mut after_match = false;
        while position <= chars.len() {
            let rest = self.reach(&chars[position..]);
            work += rest.len();
            self.check_work(work)?;
            match self.end(&self.elements, rest, true)? {
                Some(length) if length > 0 || !after_match => {
                    out.push_str(by);
                    if !all {
                        position += length;
                        break;
                    }
                    if length > 0 {
                        position += length;
                        after_match = true;
                        continue;
                    }
                }
                _ => {}
            }
            after_match = false;
            if let Some(c) = chars.get(position) {
                out.push(*c);
            }
            position += 1;
        }
        out.extend(chars.get(position..).unwrap_or_default());
        Ok(out)
    }

    /// What a match that begins at the first character can see.
    fn reach<'c>(&self, chars: &'c [char]) -> &'c [char] {
        if self.elements.contains(&Element::Any) {
            chars
        } else {
            &chars[..chars.len().min(self.elements.len())]
        }
    }

    fn check_work(&self, characters: usize) -> Result<(), Cause> {
        if self.elements.len().saturating_mul(characters) <= MOST_WORK {
            return Ok(());
        }
        Err(Cause::Pattern {
            pattern: self.text.chars().take(40).collect(),
            reason: "pattern and value are too long".to_owned(),
        })
    }

    /// Where a match that begins at the first character ends: the first or the last such place.
    fn end(
        &self,
        elements: &[Element],
        chars: &[char],
        longest: bool,
    ) -> Result<Option<usize>, Cause> {
        let chars = self.reach(chars);
        self.check_work(chars.len())?;
        // All places that the elements so far can end at.
        let mut places = vec![false; chars.len() + 1];
        places[0] = true;
        for element in elements {
            if *element == Element::Any {
                for i in 0..chars.len() {
                    places[i + 1] |= places[i] && chars[i] != '\n';
                }
                continue;
            }
            for i in (0..chars.len()).rev() {
                places[i + 1] = places[i]
                    && match element {
                        Element::Literal(c) => *c == chars[i],
                        _ => chars[i] != '\n',
                    };
            }
            places[0] = false;
        }
        let mut ends = places.iter().enumerate().filter(|(_, ends)| **ends);
        let end = if longest {
            ends.next_back()
        } else {
            ends.next()
        };
        Ok(end.map(|(place, _)| place))
    }
}
