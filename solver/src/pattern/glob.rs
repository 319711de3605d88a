//! One pattern as a little automaton, run over a name once.

use super::PatternError;

/// One step of the automaton; state `n` means that the first `n` tokens are done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This character.
    Literal(char),
    /// One character, not `/`.
    Any,
    /// One character in, or not in, these ranges. As in Go it may be a `/`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`: any number of characters but `/`.
    Star,
    /// Any number of characters.
    Deep,
    /// Nothing, or go on with [`DirsTail`](Token::DirsTail).
    Dirs,
    /// Any characters, up to and with a `/`. Always right behind [`Dirs`](Token::Dirs).
    DirsTail,
}

/// What stands between the literal beginning and the literal end of a pattern.
#[derive(Debug, Clone)]
enum Middle {
    /// Nothing: the name is the beginning, all of it.
    Nothing,
    /// One `*`.
    Star,
    /// Anything.
    Deep,
    /// Any number of directories.
    Dirs,
    /// Something else: the tokens from here on are to be run.
    Tokens(usize),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    tokens: Vec<Token>,
    prefix: Vec<u8>,
    middle: Middle,
    suffix: Vec<u8>,
}

impl Glob {
    /// A pattern in which `**` is the same as `*`.
    pub(super) fn component(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self::new(parse(pattern, false)?))
    }

    /// A pattern in which `**` crosses directories.
    pub(super) fn path(pattern: &str) -> Result<Self, PatternError> {
        // what is no pattern for one is none for the other
        parse(pattern, false)?;
        Ok(Self::new(parse(pattern, true)?))
    }

    fn new(tokens: Vec<Token>) -> Self {
        let is_literal = |token: &&Token| matches!(token, Token::Literal(_));
        let text = |tokens: &[Token]| {
            let literals = tokens.iter().filter_map(|token| match token {
                Token::Literal(c) => Some(*c),
                _ => None,
            });
            literals.collect::<String>().into_bytes()
        };
        let start = tokens.iter().take_while(is_literal).count();
        let end = tokens.len() - tokens[start..].iter().rev().take_while(is_literal).count();
        let middle = match &tokens[start..end] {
            [] => Middle::Nothing,
            [Token::Star] => Middle::Star,
            [Token::Deep] => Middle::Deep,
            [Token::Dirs, Token::DirsTail] => Middle::Dirs,
            _ => Middle::Tokens(start),
        };
        Self {
            prefix: text(&tokens[..start]),
            suffix: text(&tokens[end..]),
            middle,
            tokens,
        }
    }

    /// Whether `name` matches, having been asked about beginnings of it before: what is kept in
    /// `run` saves running over those again, so that all of them together cost one run.
    pub(super) fn matches_on(&self, name: &[u8], run: &mut Option<Run>) -> bool {
        let Some(mut rest) = name.strip_prefix(self.prefix.as_slice()) else {
            return false;
        };
        // A run goes over the end too, but many can be told from it, at less cost.
        let Some(between) = rest.strip_suffix(self.suffix.as_slice()) else {
            return false;
        };
        let start = match self.middle {
            Middle::Nothing => return between.is_empty(),
            Middle::Star => return !between.contains(&b'/'),
            Middle::Deep => return true,
            Middle::Dirs => return between.last().is_none_or(|&last| last == b'/'),
            Middle::Tokens(start) => start,
        };
        let tokens = &self.tokens[start..];
        if tokens.len() >= 64 {
            let mut states = vec![0; tokens.len() / 64 + 1];
            enter(tokens, &mut states, 0);
            step(tokens, &mut states, rest);
            return contains(&states, tokens.len());
        }
        let run = run.get_or_insert_with(|| {
            let mut states = [0];
            enter(tokens, &mut states, 0);
            Run { states, length: 0 }
        });
        rest = &rest[run.length..];
        step(tokens, &mut run.states, rest);
        run.length += rest.len();
        contains(&run.states, tokens.len())
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.matches_on(name, &mut None)
    }

    pub(super) fn may_match_below(&self, dir: &[u8]) -> bool {
        let mut states = vec![0; self.tokens.len() / 64 + 1];
        enter(&self.tokens, &mut states, 0);
        step(&self.tokens, &mut states, dir);
        if !dir.is_empty() {
            step(&self.tokens, &mut states, b"/");
        }
        // Every token can be satisfied somehow, so any state short of the last one has a future.
        // From the last state nothing more may come.
        (0..self.tokens.len()).any(|state| contains(&states, state))
    }
}

/// How far a pattern of less than 64 tokens has come in a name.
#[derive(Debug)]
pub(super) struct Run {
    states: [u64; 1],
    /// Bytes behind the literal beginning.
    length: usize,
}

/// Whether `state` is one of `states`, which have a bit each.
fn contains(states: &impl AsRef<[u64]>, state: usize) -> bool {
    states.as_ref()[state / 64] >> (state % 64) & 1 != 0
}

/// Adds `state` and what is reached from it without a character.
fn enter(tokens: &[Token], states: &mut impl AsMut<[u64]>, mut state: usize) {
    let states = states.as_mut();
    let mut insert = |state: usize| {
        let before = states[state / 64];
        states[state / 64] |= 1 << (state % 64);
        before != states[state / 64]
    };
    // Where one is there already, so is what is behind it.
    while insert(state) {
        match tokens.get(state) {
            Some(Token::Star | Token::Deep) => state += 1,
            Some(Token::Dirs) => {
                insert(state + 1);
                state += 2;
            }
            _ => return,
        }
    }
}

/// Goes on from `states` over `name`. For sets of a known size this is as fast as for a number.
fn step<S: AsRef<[u64]> + AsMut<[u64]> + Clone>(tokens: &[Token], states: &mut S, name: &[u8]) {
    let mut next = states.clone();
    let mut over = |c: char| {
        next.as_mut().fill(0);
        for (word, bits) in states.as_ref().iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let state = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                match tokens.get(state) {
                    Some(Token::Literal(literal)) if *literal == c => {
                        enter(tokens, &mut next, state + 1);
                    }
                    Some(Token::Any) if c != '/' => enter(tokens, &mut next, state + 1),
                    Some(Token::Class { negated, ranges })
                        if ranges.iter().any(|(lo, hi)| *lo <= c && c <= *hi) != *negated =>
                    {
                        enter(tokens, &mut next, state + 1);
                    }
                    Some(Token::Star) if c != '/' => enter(tokens, &mut next, state),
                    Some(Token::Deep) => enter(tokens, &mut next, state),
                    Some(Token::DirsTail) => {
                        // Nothing is reached from it without a character.
                        next.as_mut()[word] |= 1 << (state % 64);
                        if c == '/' {
                            enter(tokens, &mut next, state + 1);
                        }
                    }
                    // Dirs consumes nothing: its tail is in the set already. None is the end.
                    _ => {}
                }
            }
        }
        std::mem::swap(states, &mut next);
    };
    if name.is_ascii() {
        for byte in name {
            over(char::from(*byte));
        }
    } else {
        characters(name).for_each(over);
    }
}

/// The characters of a name; each byte that is no UTF-8 counts as U+FFFD, as Go has it.
fn characters(name: &[u8]) -> impl Iterator<Item = char> {
    name.utf8_chunks().flat_map(|chunk| {
        let broken = chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(broken)
    })
}

fn parse(pattern: &str, deep: bool) -> Result<Vec<Token>, PatternError> {
    let syntax = || PatternError::Syntax {
        pattern: pattern.to_owned(),
    };
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    // A leading `**` without `/` before plain text only asks for that ending: `**.go` is `x.go`.
    let plain_tail = pattern
        .strip_prefix("**")
        .is_some_and(|tail| !tail.contains(['*', '?', '[', ']', '\\']));
    while let Some(c) = rest.next() {
        match c {
            '*' if deep && rest.peek() == Some(&'*') => {
                rest.next();
                let slash = rest.next_if_eq(&'/').is_some();
                if rest.peek().is_none() || (plain_tail && !slash) {
                    tokens.push(Token::Deep);
                } else {
                    tokens.extend([Token::Dirs, Token::DirsTail]);
                }
            }
            '*' => {
                if tokens.last() != Some(&Token::Star) {
                    tokens.push(Token::Star);
                }
            }
            '?' => tokens.push(Token::Any),
            '[' => tokens.push(class(&mut rest, deep).ok_or_else(syntax)?),
            '\\' => tokens.push(Token::Literal(rest.next().ok_or_else(syntax)?)),
            c => tokens.push(Token::Literal(c)),
        }
    }
    Ok(tokens)
}

/// The rest of a `[…]`; none when it is not well formed.
///
/// With `deep` it is what the reference makes of it on its way to a regular expression: `*` and `?`
/// stand for `[^/]` in a class too, whose end is then the class's, and a range that ends before it
/// begins is an error.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, deep: bool) -> Option<Token> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        if deep && rest.next_if(|c| matches!(c, '*' | '?')).is_some() {
            ranges.extend(['[', '^', '/'].map(|c| (c, c)));
            return Some(Token::Class { negated, ranges });
        }
        let lo = class_character(rest)?;
        let hi = match rest.next_if_eq(&'-') {
            Some(_) => class_character(rest)?,
            None => lo,
        };
        if deep && hi < lo {
            return None;
        }
        ranges.push((lo, hi));
    }
}

fn class_character(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn component(pattern: &str, name: &str) -> bool {
        Glob::component(pattern).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn components_match_as_in_go() {
        let cases = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("ab[!c]", "ab!", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("[*]", "*", true),
            ("**", "a/b", false),
            ("]", "]", true),
            ("", "", true),
            ("[z-a]", "z", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(component(pattern, name), expected, "{pattern} on {name}");
        }
        assert!(Glob::component("?").unwrap().matches(b"\xff"));
        assert!(!Glob::component("?").unwrap().matches(b"\xff\xfe"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in [
            "[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^bc", "a[", "a\\", "[\\",
        ] {
            assert!(Glob::component(pattern).is_err(), "{pattern}");
            assert!(Glob::path(pattern).is_err(), "{pattern}");
        }
        assert!(Glob::path("[b-a]").is_err());
    }

    #[test]
    fn deep_stars_cross_directories() {
        let cases = [
            ("**", "a/b", true),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "xa", false),
            ("**.go", "x/a.go", true),
            ("**a*", "x/ab", true),
            ("**a*", "xa", false),
            ("a/**", "a", false),
            ("a/**", "a/b/c", true),
            ("a**", "ab/c", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/*.[ch]", "x/y.c", true),
            ("**/**", "x", true),
            ("*/a", "x/y/a", false),
            ("a[*]", "a*", false),
            ("a[?]", "a?", false),
            ("a[?]", "a^]", true),
            ("a[\\*]", "a*", true),
        ];
        for (pattern, name, expected) in cases {
            let found = Glob::path(pattern).unwrap().matches(name.as_bytes());
            assert_eq!(found, expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer() {
        let glob = Glob::path(&("*a**/".repeat(200) + "b")).unwrap();
        assert!(!glob.matches("a".repeat(5_000).as_bytes()));
    }

    /// What the tokens mean, word for word.
    fn naive(tokens: &[Token], name: &[char]) -> bool {
        let Some((token, rest)) = tokens.split_first() else {
            return name.is_empty();
        };
        let one = |fits: &dyn Fn(char) -> bool| {
            name.split_first()
                .is_some_and(|(c, tail)| fits(*c) && naive(rest, tail))
        };
        let many = |fits: &dyn Fn(char) -> bool| {
            let longest = name.iter().take_while(|c| fits(**c)).count();
            (0..=longest).any(|taken| naive(rest, &name[taken..]))
        };
        match token {
            Token::Literal(literal) => one(&|c| c == *literal),
            Token::Any => one(&|c| c != '/'),
            Token::Class { negated, ranges } => {
                one(&|c| ranges.iter().any(|(lo, hi)| *lo <= c && c <= *hi) != *negated)
            }
            Token::Star => many(&|c| c != '/'),
            Token::Deep => many(&|_| true),
            Token::Dirs => {
                naive(&rest[1..], name)
                    || (0..name.len())
                        .any(|at| name[at] == '/' && naive(&rest[1..], &name[at + 1..]))
            }
            Token::DirsTail => unreachable!("stands behind Dirs"),
        }
    }

    proptest! {
        #[test]
        fn equals_the_naive_matcher(
            pattern in "([ab/.]|\\*|\\*\\*|\\*\\*/|\\?|\\[a\\]|\\[\\^a-b\\]){0,7}",
            name in "[ab/.c]{0,8}",
            deep: bool,
        ) {
            // More states than a word has bits.
            let (long, far) = ("[a]".repeat(64) + &pattern, "a".repeat(64) + &name);
            let tokens = parse(&long, deep).unwrap();
            let expected = naive(&tokens, &far.chars().collect::<Vec<_>>());
            prop_assert_eq!(Glob::new(tokens).matches(far.as_bytes()), expected);

            let tokens = parse(&pattern, deep).unwrap();
            let expected = naive(&tokens, &name.chars().collect::<Vec<_>>());
            let glob = Glob::new(tokens);
            prop_assert_eq!(glob.matches(name.as_bytes()), expected);
            if expected {
                for (at, _) in name.match_indices('/').filter(|(at, _)| *at > 0 && at + 1 < name.len()) {
                    prop_assert!(glob.may_match_below(&name.as_bytes()[..at]));
                }
            }
        }

        #[test]
        fn any_text_is_a_pattern_or_refused(pattern in "\\PC{0,20}", name in ".{0,20}") {
            if let Ok(glob) = Glob::path(&pattern) {
                glob.matches(name.as_bytes());
            }
        }
    }
}
