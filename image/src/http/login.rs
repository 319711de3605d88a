//! User names and passwords in addresses (RFC 3986, section 3.2.1): taken out before an address is
//! stored, shown or given to another program, and masked in texts for people.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What stands for a name or a password, as in the reference.
const MASK: &str = "xxxxx";

/// An address without user and password, and the value of `Authorization` that they make.
pub fn split_login(url: &str) -> (Cow<'_, str>, Option<String>) {
    let Some(login) = logins(url).next().filter(|login| is_first(url, login)) else {
        return (Cow::Borrowed(url), None);
    };
    let (user, password) = match url[login.clone()].split_once(':') {
        Some((user, password)) => (decode(user), decode(password)),
        None => (decode(&url[login.clone()]), Vec::new()),
    };
    let pair = [user.as_slice(), b":", &password].concat();
    let bare = format!("{}{}", &url[..login.start], &url[login.end + 1..]);
    let value = format!("Basic {}", STANDARD.encode(pair));
    (Cow::Owned(bare), Some(value))
}

/// An address without the password: the user stays, whom ssh needs.
pub fn without_password(url: &str) -> Cow<'_, str> {
    let login = logins(url).next().filter(|login| is_first(url, login));
    match login.and_then(|login| Some((login.start + url[login.clone()].find(':')?, login.end))) {
        Some((colon, end)) => Cow::Owned(format!("{}{}", &url[..colon], &url[end..])),
        None => Cow::Borrowed(url),
    }
}

/// A text with the users and passwords of its addresses replaced: `https://xxxxx:xxxxx@host`.
pub fn masked(text: &str) -> Cow<'_, str> {
    replaced(text, |login| match login.split_once(':') {
        Some(_) => format!("{MASK}:{MASK}"),
        None => MASK.to_owned(),
    })
}

/// As [`masked`], but of the same length in bytes: places in the text stay where they were.
pub fn blotted(text: &str) -> Cow<'_, str> {
    replaced(text, |login| "x".repeat(login.len()))
}

fn replaced(text: &str, mask: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut made = String::new();
    let mut done = 0;
    for login in logins(text) {
        made.push_str(&text[done..login.start]);
        made.push_str(&mask(&text[login.clone()]));
        done = login.end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    made.push_str(&text[done..]);
    Cow::Owned(made)
}

/// Whether what is before the login is a scheme and nothing else.
fn is_first(url: &str, login: &Range<usize>) -> bool {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    url.split_once("://")
        .is_some_and(|(scheme, _)| scheme.len() + 3 == login.start && scheme.chars().all(is_scheme))
}

/// Where `user:password` stands in a text's addresses, in order: from `://` to the last `@` before
/// what ends a host's part.
fn logins(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let rest = &text[start..];
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`');
        let host = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let length = host.rfind('@')?;
        (length > 0).then_some(start..start + length)
    })
}

/// Bytes of a text in which `%41` is a byte; what is no such sequence stays.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if byte == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_taken_out_of_an_address() {
        let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
        for (url, bare, value) in [
            ("https://h/a@b", "https://h/a@b", None),
            ("https://u:p@h/a", "https://h/a", basic("u:p")),
            ("http://token@h", "http://h", basic("token:")),
            ("https://u:p%40q%zz@h:1/", "https://h:1/", basic("u:p@q%zz")),
            ("https://u:p@q@h/", "https://h/", basic("u:p@q")),
            ("git@h:path", "git@h:path", None),
            ("x https://u:p@h/a", "x https://u:p@h/a", None),
        ] {
            let (found, authorization) = split_login(url);
            assert_eq!((&*found, authorization), (bare, value), "{url}");
        }
    }

    #[test]
    fn a_user_stays_without_a_password() {
        for (url, expected) in [
            ("ssh://git:p@h/x", "ssh://git@h/x"),
            ("ssh://git@h/x", "ssh://git@h/x"),
            ("git@h:x", "git@h:x"),
        ] {
            assert_eq!(without_password(url), expected);
        }
    }

    #[test]
    fn texts_are_shown_without_logins() {
        for (text, shown) in [
            ("ADD https://h/x /", "ADD https://h/x /"),
            (
                "ADD [\"https://u:p@h/x\", \"ssh://git@h/y\", \"/\"]",
                "ADD [\"https://xxxxx:xxxxx@h/x\", \"ssh://xxxxx@h/y\", \"/\"]",
            ),
            (
                "ADD https://ü:€@h:80?x@y /",
                "ADD https://xxxxx:xxxxx@h:80?x@y /",
            ),
            ("://@", "://@"),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(blotted(text).len(), text.len());
        }
        assert_eq!(blotted("a://ü:p@h ü"), "a://xxxx@h ü");
    }
}
