//! Words of a line as a shell sees them, with no variable set: only to find heredocs.
//!
//! The reference finds them with its expander, and this follows it in what ends a word, what an
//! unclosed quote does, and what an unknown variable leaves. It keeps what is open in a list, so
//! nesting costs no stack. Expanding for real is `expansion`'s.

/// What stays in the words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub quotes: bool,
    pub escapes: bool,
}

/// A quote or a brace is not closed, or a `${` makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbalanced;

const ESCAPE: char = '\\';

/// What is open, and whether escape characters stay inside.
#[derive(Clone, Copy)]
enum Open {
    /// Up to `"`.
    Quote { escapes: bool },
    /// Up to `}`.
    Brace { escapes: bool },
    /// `${name/…` up to the second `/`.
    Pattern,
}

/// Splits `text` into words. The escape character is always a backslash here.
pub(super) fn words(text: &str, keep: Keep) -> Result<Vec<String>, Unbalanced> {
    let mut lexer = Lexer {
        rest: text,
        keep,
        open: Vec::new(),
        words: Vec::new(),
        word: String::new(),
    };
    while let Some(c) = lexer.next() {
        match lexer.open.last().copied() {
            Some(Open::Quote { escapes }) => lexer.in_quote(c, escapes)?,
            Some(Open::Brace { .. }) if c == '}' => {
                lexer.emit(c);
                lexer.open.pop();
            }
            Some(Open::Pattern) if c == '/' => {
                lexer.emit(c);
                lexer.open.pop();
                lexer.open.push(Open::Brace { escapes: true });
            }
            Some(Open::Brace { escapes }) => lexer.plain(c, escapes)?,
            Some(Open::Pattern) => lexer.plain(c, true)?,
            None => lexer.plain(c, keep.escapes)?,
        }
    }
    if !lexer.open.is_empty() {
        return Err(Unbalanced);
    }
    lexer.end_word();
    Ok(lexer.words)
}

struct Lexer<'t> {
    rest: &'t str,
    keep: Keep,
    open: Vec<Open>,
    words: Vec<String>,
    word: String,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let c = characters.next()?;
        self.rest = characters.as_str();
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }

    /// Puts out a character that ends the word if it is a blank, but for what stands in quotes
    /// that are not themselves inside a `${`.
    fn emit(&mut self, c: char) {
        let quoted = matches!(self.open.first(), Some(Open::Quote { .. }));
        if c.is_whitespace() && !quoted {
            self.end_word();
        } else {
            self.word.push(c);
        }
    }

    /// The same, but at top level a blank belongs to the word.
    fn emit_within_word(&mut self, c: char) {
        if self.open.is_empty() {
            self.word.push(c);
        } else {
            self.emit(c);
        }
    }

    fn plain(&mut self, c: char, escapes: bool) -> Result<(), Unbalanced> {
        match c {
            '$' => return self.dollar(),
            '\'' => return self.single_quote(),
            '"' => {
                if self.keep.quotes {
                    self.emit(c);
                }
                self.open.push(Open::Quote { escapes });
            }
            '<' => {
                self.emit(c);
                if self.peek() == Some('<') {
                    self.next();
                    self.emit(c);
                    while let Some(blank @ (' ' | '\t' | '\r')) = self.peek() {
                        self.next();
                        self.emit_within_word(blank);
                    }
                }
            }
            ESCAPE => {
                if escapes {
                    self.emit(c);
                }
                if let Some(escaped) = self.next() {
                    self.emit_within_word(escaped);
                }
            }
            _ => self.emit(c),
        }
        Ok(())
    }

    fn in_quote(&mut self, c: char, escapes: bool) -> Result<(), Unbalanced> {
        match c {
            '"' => {
                if self.keep.quotes {
                    self.emit(c);
                }
                self.open.pop();
            }
            '$' => return self.dollar(),
            ESCAPE => {
                let escaped = self.peek();
                let special = matches!(escaped, Some('"' | '$' | ESCAPE));
                if escapes || !special {
                    self.emit(c);
                }
                if special && let Some(escaped) = self.next() {
                    self.emit(escaped);
                }
            }
            _ => self.emit(c),
        }
        Ok(())
    }

    fn single_quote(&mut self) -> Result<(), Unbalanced> {
        let (inside, rest) = self.rest.split_once('\'').ok_or(Unbalanced)?;
        self.rest = rest;
        if self.keep.quotes {
            self.emit('\'');
        }
        for c in inside.chars() {
            self.emit_within_word(c);
        }
        if self.keep.quotes {
            self.emit('\'');
        }
        Ok(())
    }

    fn dollar(&mut self) -> Result<(), Unbalanced> {
        self.emit('$');
        if self.peek() != Some('{') {
            self.name();
            return Ok(());
        }
        self.next();
        if matches!(self.peek(), None | Some('{' | '}' | ':')) {
            return Err(Unbalanced);
        }
        self.emit('{');
        self.name();
        let modifier = self.next().ok_or(Unbalanced)?;
        self.emit(modifier);
        let open = match modifier {
            '}' => return Ok(()),
            ':' => {
                let second = self.next().ok_or(Unbalanced)?;
                if matches!(second, '#' | '%') {
                    return Err(Unbalanced);
                }
                self.emit(second);
                Open::Brace { escapes: false }
            }
            '+' | '-' | '?' => Open::Brace { escapes: false },
            '#' | '%' => Open::Brace { escapes: true },
            '/' => {
                if self.peek() == Some('/') {
                    self.next();
                }
                Open::Pattern
            }
            _ => return Err(Unbalanced),
        };
        self.open.push(open);
        Ok(())
    }

    /// A variable's name: digits, one special sign, or letters, digits and `_`.
    fn name(&mut self) {
        let first = self.peek();
        if let Some(c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) = first {
            self.next();
            self.emit(c);
            return;
        }
        let number = first.is_some_and(char::is_numeric);
        while let Some(c) = self.peek() {
            let belongs = c.is_numeric() || (!number && (c.is_alphabetic() || c == '_'));
            if !belongs {
                return;
            }
            self.next();
            self.emit(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: Keep = Keep {
        quotes: true,
        escapes: true,
    };
    const COOKED: Keep = Keep {
        quotes: false,
        escapes: false,
    };

    #[test]
    fn raw_words() {
        let table: &[(&str, &[&str])] = &[
            ("a  b", &["a", "b"]),
            ("RUN <<EOF", &["RUN", "<<EOF"]),
            ("RUN << EOF x", &["RUN", "<< EOF", "x"]),
            ("3<<-\tEOF", &["3<<-", "EOF"]),
            ("<<\t EOF", &["<<\t EOF"]),
            ("cat <<< 'a b'", &["cat", "<<<", "'a b'"]),
            ("<<'A B' \"c d\"e", &["<<'A B'", "\"c d\"e"]),
            (r#"a\ b "\"""#, &[r"a\ b", r#""\"""#]),
            ("$((1 << 3))", &["$((1", "<< 3))"]),
            ("$a$ $1x ${b}", &["$a$", "$1x", "${b}"]),
            ("${a:-<<EOF b}", &["${a:-<<EOF", "b}"]),
            ("\"${a:-b c}\"", &["\"${a:-b c}\""]),
            ("${a:-'b c'}", &["${a:-'b", "c'}"]),
            ("${a//b c/d}", &["${a/b", "c/d}"]),
            ("${a-${b+c}}", &["${a-${b+c}}"]),
            ("a\\", &["a\\"]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text, RAW).unwrap(), *expected, "{text}");
        }
    }

    #[test]
    fn cooked_words() {
        for (text, expected) in [("'E'OF", "EOF"), ("\"E O\"F", "E OF"), ("E\\OF", "EOF")] {
            assert_eq!(words(text, COOKED).unwrap(), [expected]);
        }
    }

    #[test]
    fn unbalanced() {
        for text in [
            "it's", "\"a", "${a", "${", "${}", "${:a}", "${{a}}", "${a:#b}", "${a=b}", "${a/b",
            "${a/b/c", "${a:", "\"${a\"",
        ] {
            assert_eq!(words(text, RAW), Err(Unbalanced), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let n = 200_000;
        let text = format!("{}{}", "${a-".repeat(n), "}".repeat(n));
        assert_eq!(words(&text, RAW).unwrap().len(), 1);
        assert_eq!(words(&"\"${a-".repeat(n), RAW), Err(Unbalanced));
    }
}
