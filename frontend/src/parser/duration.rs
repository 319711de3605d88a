//! Durations as Go writes them: `1h2m3.5s`.

use nom::bytes::complete::take_while;
use nom::character::complete::{char, digit0};
use nom::combinator::opt;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use super::quote;

/// Nanoseconds of the longest duration below zero.
const LIMIT: u64 = 1 << 63;

/// Reads a duration as nanoseconds.
///
/// # Errors
/// What Go says of one that is not valid.
pub(super) fn nanoseconds(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (negative, mut rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (after, (whole, fraction, unit)) = part(rest).map_err(|_| invalid())?;
        rest = after;
        if whole.is_empty() && fraction.is_none_or(str::is_empty) {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let scale = scale(unit).ok_or_else(|| {
            let (unit, text) = (quote(unit), quote(text));
            format!("time: unknown unit {unit} in duration {text}")
        })?;
        let whole: u64 = match whole {
            "" => 0,
            digits => digits.parse().map_err(|_| invalid())?,
        };
        total = whole
            .checked_mul(scale)
            .and_then(|n| n.checked_add(parts(fraction.unwrap_or_default(), scale)))
            .and_then(|n| n.checked_add(total))
            .filter(|n| *n <= LIMIT)
            .ok_or_else(invalid)?;
    }
    if negative {
        Ok((total as i64).wrapping_neg())
    } else {
        i64::try_from(total).map_err(|_| invalid())
    }
}

type Part<'t> = (&'t str, Option<&'t str>, &'t str);

/// `digits[.digits]unit`, each of which may be missing.
fn part(input: &str) -> IResult<&str, Part<'_>> {
    let unit = take_while(|c: char| c != '.' && !c.is_ascii_digit());
    (digit0, opt(preceded(char('.'), digit0)), unit).parse(input)
}

fn scale(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// That part of `scale` which the digits after a point are, rounded down.
fn parts(digits: &str, scale: u64) -> u64 {
    // Behind the eighteenth digit is less than a nanosecond of an hour.
    let value: u128 = digits
        .bytes()
        .take(18)
        .fold(0, |n, digit| n * 10 + u128::from(digit - b'0'));
    let power = 10_u128.pow(digits.len().min(18) as u32);
    (value * u128::from(scale) / power) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("5s", 5_000_000_000),
            ("+5s", 5_000_000_000),
            ("-1.5m", -90_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1µs1μs", 2_000),
            ("1.0000000000000000000000009s", 1_000_000_000),
            ("0.9999999999h", 3_599_999_999_640),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid() {
        for (text, expected) in [
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("3", "time: missing unit in duration \"3\""),
            ("3s4", "time: missing unit in duration \"3s4\""),
            ("3d", "time: unknown unit \"d\" in duration \"3d\""),
            ("3 s", "time: unknown unit \" s\" in duration \"3 s\""),
            (
                "9223372036854775808ns",
                "time: invalid duration \"9223372036854775808ns\"",
            ),
            (
                "99999999999999999999s",
                "time: invalid duration \"99999999999999999999s\"",
            ),
        ] {
            assert_eq!(nanoseconds(text).unwrap_err(), expected, "{text}");
        }
    }
}
