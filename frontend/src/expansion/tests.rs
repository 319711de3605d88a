//! The lexer against a table, and against a second implementation written the other way round:
//! recursive, and with matches found by trying every length.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

impl Variables for BTreeMap<&str, &str> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).copied()
    }
}

fn variables() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("V", "value"),
        ("EMPTY", ""),
        ("DIR", "/a/b/c.tar.gz"),
        ("SPACED", "two words"),
        ("_x9", "under"),
        ("STAR", "a*b?c"),
        ("Ä", "umlaut"),
    ])
}

fn budget() -> Budget {
    Budget::new(1 << 20)
}

fn word(text: &str) -> Result<String, String> {
    Lexer::new('\\', &budget())
        .word(text, &variables())
        .map(|e| e.text)
        .map_err(|e| e.cause.to_string())
}

#[test]
fn words_expand() {
    for (written, expected) in [
        ("plain", "plain"),
        ("$V", "value"),
        ("${V}s", "values"),
        ("$_x9-${_x9}", "under-under"),
        ("$Ä", "umlaut"),
        ("$NOPE.", "."),
        ("a$", "a$"),
        ("$.", "$."),
        ("$1x", "x"),
        ("$$V", "V"),
        (r"\$V", "$V"),
        (r"\\$V", r"\value"),
        (r"a\tb", "atb"),
        (r#""a\tb""#, r"a\tb"),
        (r#""\"\$V\\""#, r#""$V\"#),
        ("'$V'", "$V"),
        (r"'\'", r"\"),
        (r#""it's $V""#, "it's value"),
        ("a\\", "a"),
        ("${V:-w}", "value"),
        ("${EMPTY:-w}", "w"),
        ("${EMPTY-w}", ""),
        ("${NOPE-$V}", "value"),
        ("${NOPE:-${NOPE:-${V}}}", "value"),
        ("${V:+set}${EMPTY:+no}${EMPTY+yes}${NOPE+no}", "setyes"),
        (r#"${NOPE:-"a } b"}"#, "a } b"),
        (r"${NOPE:-\}}", "}"),
        ("${V:?}${EMPTY?}", "value"),
        ("${DIR#*/}", "a/b/c.tar.gz"),
        ("${DIR##*/}", "c.tar.gz"),
        ("${DIR%.*}", "/a/b/c.tar"),
        ("${DIR%%.*}", "/a/b/c"),
        ("${DIR%/*}", "/a/b"),
        ("${V#?}", "alue"),
        ("${V%%*}", ""),
        ("${V%*}", "value"),
        ("${V#x}", "value"),
        (r"${STAR#a\*}", "b?c"),
        (r"${STAR%\?c}", "a*b"),
        ("${STAR#[a]}", "a*b?c"),
        ("${DIR/./-}", "/a/b/c-tar.gz"),
        ("${DIR//./-}", "/a/b/c-tar-gz"),
        (r"${DIR//\//:}", ":a:b:c.tar.gz"),
        ("${DIR/*b/X}", "X/c.tar.gz"),
        ("${V//?/z}", "zzzzz"),
        ("${NOPE/a/b}", ""),
        ("a <<EOF", "a <<EOF"),
    ] {
        assert_eq!(word(written).as_deref(), Ok(expected), "{written}");
    }
}

#[test]
fn wrong_words_are_named_in_the_references_words() {
    for (written, expected) in [
        ("${V", "syntax error: missing '}'"),
        ("${", "syntax error: missing '}'"),
        ("${V:-x", "syntax error: missing '}'"),
        ("${A:-${B:-x}", "syntax error: missing '}'"),
        ("${V/a", "syntax error: missing '/' in ${}"),
        ("${V/a}", "syntax error: missing '/' in ${}"),
        ("${V/a/b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:-x}", "syntax error: bad substitution"),
        ("${V:=x}", "unsupported modifier (:=) in substitution"),
        ("${V:#x}", "unsupported modifier (:#) in substitution"),
        ("${V=x}", "unsupported modifier (=) in substitution"),
        ("${V^^}", "unsupported modifier (^) in substitution"),
        (
            "\"open",
            "unexpected end of statement while looking for matching double-quote",
        ),
        (
            "it's",
            "unexpected end of statement while looking for matching single-quote",
        ),
        ("${NOPE?}", "NOPE: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NOPE:?needed}", "NOPE: needed"),
        (
            r"${V#\a}",
            r"invalid pattern (\a) in substitution: invalid escape '\a'",
        ),
    ] {
        assert_eq!(word(written), Err(expected.to_owned()), "{written}");
    }
    let error = Lexer::new('\\', &budget())
        .word("${A", &variables())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"failed to process "${A": syntax error: missing '}'"#
    );
}

#[test]
fn a_backtick_can_be_the_escape() {
    let budget = budget();
    let lexer = Lexer::new('`', &budget);
    let text = |w: &str| lexer.word(w, &variables()).unwrap().text;
    assert_eq!(text(r"C:\dir`$V\$V"), r"C:\dir$V\value");
}

#[test]
fn only_splitting_makes_several_words() {
    let budget = budget();
    let lexer = Lexer::new('\\', &budget);
    let words = |w: &str| lexer.words(w, &variables()).unwrap().words;
    assert_eq!(words("a$SPACED b"), ["atwo", "words", "b"]);
    assert_eq!(words("\"$SPACED\" 'x y'"), ["two words", "x y"]);
    assert_eq!(words("${NOPE:-8080}/tcp $EMPTY"), ["8080/tcp"]);
    assert_eq!(words("$EMPTY"), [""; 0]);
    assert_eq!(word("a  $SPACED"), Ok("a  two words".to_owned()));
}

#[test]
fn used_and_undefined_variables_are_reported_once() {
    let budget = budget();
    let found = Lexer::new('\\', &budget)
        .word("$V ${NOPE:-$NADA} $NOPE ${EMPTY:-x} $V", &variables())
        .unwrap();
    assert_eq!(found.used, ["V", "EMPTY"]);
    assert_eq!(found.undefined, ["NADA", "NOPE"]);
}

#[test]
fn bodies_of_heredocs_keep_their_quotes_and_lose_escapes() {
    let budget = budget();
    let body = Lexer::heredoc(&budget)
        .word("\"$V\" '$V' \\$V \\n", &variables())
        .unwrap();
    assert_eq!(body.text, "\"value\" 'value' $V n");
}

#[test]
fn shown_commands_keep_what_the_shell_will_read() {
    let budget = budget();
    let shown = Lexer::shown('\\', &budget)
        .word("RUN echo \"$V\" '$V' $HOME ${HOME:-x}", &variables())
        .unwrap();
    assert_eq!(shown.text, "RUN echo \"value\" '$V' $HOME ${HOME:-x}");
}

#[test]
fn depth_and_growth_are_bounded() {
    let deep = "${A:-".repeat(200_000) + &"}".repeat(200_000);
    assert_eq!(word(&deep), Ok(String::new()));
    let open = "${A:-\"".repeat(200_000);
    assert!(word(&open).is_err());
    let small = Budget::new(12);
    let lexer = Lexer::new('\\', &small);
    assert!(lexer.word("$V$V", &variables()).is_ok());
    assert_eq!(
        lexer.word("$V", &variables()).unwrap_err().cause,
        Cause::TooMuchText
    );
    let long = "a".repeat(100_000);
    let vars = BTreeMap::from([("L", long.as_str())]);
    let budget = budget();
    let lexer = Lexer::new('\\', &budget);
    assert!(lexer.word("${L%%*b*b*b}", &vars).is_ok());
    assert!(lexer.word("${L//*b*b/x}", &vars).is_err());
    assert_eq!(lexer.word("${L//aaaa/}", &vars).unwrap().text, "");
}

/// The second implementation.
mod naive {
    use std::collections::BTreeMap;

    type Vars = BTreeMap<&'static str, &'static str>;
    type Read<T> = Result<T, ()>;

    pub(super) fn word(text: &str, vars: &Vars) -> Read<String> {
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        until(&chars, &mut at, None, false, vars)
    }

    fn until(
        c: &[char],
        at: &mut usize,
        stop: Option<char>,
        raw: bool,
        vars: &Vars,
    ) -> Read<String> {
        let mut out = String::new();
        loop {
            let Some(&now) = c.get(*at) else {
                return if stop.is_none() { Ok(out) } else { Err(()) };
            };
            *at += 1;
            if Some(now) == stop {
                return Ok(out);
            }
            match now {
                '\'' => loop {
                    let next = *c.get(*at).ok_or(())?;
                    *at += 1;
                    if next == '\'' {
                        break;
                    }
                    out.push(next);
                },
                '"' => loop {
                    let next = *c.get(*at).ok_or(())?;
                    *at += 1;
                    match next {
                        '"' => break,
                        '$' => out += &dollar(c, at, vars)?,
                        '\\' => {
                            if raw {
                                out.push('\\');
                            }
                            match c.get(*at) {
                                Some(e @ ('"' | '$' | '\\')) => {
                                    out.push(*e);
                                    *at += 1;
                                }
                                Some(_) => out.push('\\'),
                                None => return Err(()),
                            }
                        }
                        other => out.push(other),
                    }
                },
                '$' => out += &dollar(c, at, vars)?,
                '\\' => {
                    if raw {
                        out.push('\\');
                    }
                    if let Some(next) = c.get(*at) {
                        out.push(*next);
                        *at += 1;
                    }
                }
                other => out.push(other),
            }
        }
    }

    fn name(c: &[char], at: &mut usize) -> String {
        let start = *at;
        let first = c.get(start).copied().unwrap_or(' ');
        if "@*#?-$!".contains(first) {
            *at += 1;
        } else {
            let digits = first.is_ascii_digit();
            while c.get(*at).is_some_and(|x| {
                x.is_ascii_digit() || (!digits && (x.is_alphanumeric() || *x == '_'))
            }) {
                *at += 1;
            }
        }
        c[start..*at].iter().collect()
    }

    fn dollar(c: &[char], at: &mut usize, vars: &Vars) -> Read<String> {
        if c.get(*at) != Some(&'{') {
            let name = name(c, at);
            if name.is_empty() {
                return Ok("$".into());
            }
            return Ok(vars.get(name.as_str()).copied().unwrap_or("").into());
        }
        *at += 1;
        if matches!(c.get(*at), None | Some('{' | '}' | ':')) {
            return Err(());
        }
        let name = name(c, at);
        let value = vars.get(name.as_str()).copied();
        let text = value.unwrap_or("");
        let mut operator = *c.get(*at).ok_or(())?;
        *at += 1;
        let colon = operator == ':';
        if colon {
            operator = *c.get(*at).ok_or(())?;
            *at += 1;
        }
        let missing = value.is_none() || (colon && text.is_empty());
        match operator {
            '}' if !colon => Ok(text.into()),
            '-' | '+' | '?' => {
                let word = until(c, at, Some('}'), false, vars)?;
                match operator {
                    '-' => Ok(if missing { word } else { text.into() }),
                    '+' => Ok(if missing { String::new() } else { word }),
                    _ if missing => Err(()),
                    _ => Ok(text.into()),
                }
            }
            '#' | '%' if !colon => {
                let mut pattern = until(c, at, Some('}'), true, vars)?;
                let longest = pattern.starts_with(operator);
                if longest {
                    pattern.remove(0);
                }
                let text: Vec<char> = text.chars().collect();
                let cuts: Vec<usize> = (0..=text.len()).collect();
                let hits = |n: &usize| -> bool {
                    let part = if operator == '#' {
                        &text[..*n]
                    } else {
                        &text[text.len() - n..]
                    };
                    full(&pattern, part)
                };
                check(&pattern)?;
                let cut = if longest {
                    cuts.iter().rev().find(|n| hits(n))
                } else {
                    cuts.iter().find(|n| hits(n))
                };
                let n = cut.copied().unwrap_or(0);
                Ok(if operator == '#' {
                    &text[n..]
                } else {
                    &text[..text.len() - n]
                }
                .iter()
                .collect())
            }
            '/' if !colon => {
                let all = c.get(*at) == Some(&'/');
                if all {
                    *at += 1;
                }
                let pattern = until(c, at, Some('/'), true, vars)?;
                let by = until(c, at, Some('}'), true, vars)?;
                check(&pattern)?;
                let text: Vec<char> = text.chars().collect();
                let (mut out, mut i, mut last_end) = (String::new(), 0, None);
                while i <= text.len() {
                    let hit = (i..=text.len())
                        .rev()
                        .find(|end| full(&pattern, &text[i..*end]));
                    if let Some(end) = hit
                        && !(end == i && last_end == Some(i))
                    {
                        out += &by;
                        last_end = Some(end);
                        if !all {
                            out.extend(&text[end..]);
                            return Ok(out);
                        }
                        if end > i {
                            i = end;
                            continue;
                        }
                    }
                    out.extend(text.get(i));
                    i += 1;
                }
                Ok(out)
            }
            _ => Err(()),
        }
    }

    fn check(pattern: &str) -> Read<()> {
        let mut c = pattern.chars();
        while let Some(x) = c.next() {
            if x == '\\' && !matches!(c.next(), Some('*' | '?' | '\\' | '}' | '/')) {
                return Err(());
            }
        }
        Ok(())
    }

    fn full(pattern: &str, text: &[char]) -> bool {
        let mut rest = pattern.chars();
        match rest.next() {
            None => text.is_empty(),
            Some('*') => (0..=text.len())
                .take_while(|n| !text[..*n].contains(&'\n'))
                .any(|n| full(rest.as_str(), &text[n..])),
            Some('?') => {
                text.first().is_some_and(|c| *c != '\n') && full(rest.as_str(), &text[1..])
            }
            Some('\\') => {
                let literal = rest.next();
                text.first().copied() == literal && full(rest.as_str(), &text[1..])
            }
            Some(c) => text.first() == Some(&c) && full(rest.as_str(), &text[1..]),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn both_implementations_agree(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "$", "{", "}", ":", "-", "+", "?", "#", "%", "/", "\\", "'", "\"", "*", "a", "b",
                " ", "V", "${V", "${EMPTY", "${NOPE:-", "${DIR%", "${DIR//", "${STAR/", "${V#", "}",
                "$V", "é", "1", "_", "/}", ".", "\n",
            ]),
            0..14,
        )
    ) {
        let text = pieces.concat();
        prop_assert_eq!(word(&text).map_err(drop), naive::word(&text, &variables()), "{}", text);
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,40}") {
        let budget = budget();
        for lexer in [Lexer::new('`', &budget), Lexer::heredoc(&budget), Lexer::shown('\\', &budget)] {
            let _ = lexer.word(&text, &variables());
            let _ = lexer.words(&text, &variables());
        }
    }
}
