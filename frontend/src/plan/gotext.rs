//! Texts as the reference's own language prints them: quoted strings, lists, durations. History
//! and error messages are made of them.

use std::fmt::Write;

/// `text` in double quotes, with what cannot be printed escaped (`%q`).
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if c.is_ascii_control() => push_hex(&mut out, "\\x", c, 2),
            c if c.is_control() || (c.is_whitespace() && c != ' ') || c == '\u{feff}' => {
                push_hex(&mut out, "\\u", c, 4);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn push_hex(out: &mut String, prefix: &str, c: char, width: usize) {
    out.push_str(prefix);
    // Writing to a string cannot fail.
    let _ = write!(out, "{:0width$x}", c as u32);
}

/// `["a" "b"]` (`%q` of a list).
pub(super) fn quoted_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(" "))
}

/// `[a b]` (`%v` of a list).
pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(" "))
}

/// `1m30s`, `1.5ms`, `0s`: a duration in nanoseconds.
pub(super) fn duration(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    if total < 1_000_000_000 {
        let (unit, scale) = match total {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", decimal(total, scale));
    }
    let seconds = total / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = decimal(total % 60_000_000_000, 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, _) => format!("{sign}{minutes}m{rest}s"),
        _ => format!("{sign}{hours}h{minutes}m{rest}s"),
    }
}

/// `value / scale` without trailing zeros; `scale` is a power of ten.
fn decimal(value: u64, scale: u64) -> String {
    let mut text = (value / scale).to_string();
    let rest = value % scale;
    if rest != 0 {
        let digits = scale.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (500_000_000, "500ms"),
            (3_000_000_000, "3s"),
            (90_000_000_000, "1m30s"),
            (300_000_000_000, "5m0s"),
            (3_600_500_000_000, "1h0m0.5s"),
            (-1_000_000, "-1ms"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
        assert!(duration(i64::MIN).starts_with('-'));
    }

    #[test]
    fn quotes_hide_what_cannot_be_printed() {
        assert_eq!(
            quoted("a\"\\\n\u{1}é\u{a0}"),
            "\"a\\\"\\\\\\n\\x01é\\u00a0\""
        );
        assert_eq!(
            quoted_list(&["a b".into(), String::new()]),
            "[\"a b\" \"\"]"
        );
    }
}
