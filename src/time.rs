//! The time of this build, and times as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, RFC 3339 with nanoseconds, in UTC.
pub fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    image::time::rfc3339(since.as_secs() as i64, since.subsec_nanos()).unwrap_or_default()
}

/// A time as images write it; empty if no calendar has it.
pub fn written(seconds: i64) -> String {
    image::time::rfc3339(seconds, 0).unwrap_or_default()
}

/// A time as docker's lists have it.
pub fn shown(seconds: i64) -> String {
    let text = written(seconds).replace('T', " ");
    format!("{} +0000 UTC", text.trim_end_matches('Z'))
}

/// How long ago something was, as docker says it.
pub fn ago(seconds: i64) -> String {
    format!("{} ago", lasted(since(seconds)))
}

/// Seconds from then to now.
pub fn since(seconds: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs() as i64;
    (now - seconds).max(0)
}

/// A time in seconds as docker says it.
pub fn lasted(passed: i64) -> String {
    let (count, unit) = match passed {
        ..=0 => return "Less than a second".to_owned(),
        1 => return "1 second".to_owned(),
        2..60 => (passed, "seconds"),
        60..120 => return "About a minute".to_owned(),
        120..3600 => (passed / 60, "minutes"),
        3600..7200 => return "About an hour".to_owned(),
        7200..172_800 => (passed / 3600, "hours"),
        172_800..1_209_600 => (passed / 86_400, "days"),
        1_209_600..5_184_000 => (passed / 604_800, "weeks"),
        5_184_000..63_072_000 => (passed / 2_592_000, "months"),
        _ => (passed / 31_536_000, "years"),
    };
    format!("{count} {unit}")
}

/// A moment as people write it, in nanoseconds since 1970: a time of RFC 3339 (the zone, the time of
/// day and parts of a second may be missing; UTC then), seconds since 1970, or how long ago (`10m`).
pub fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some((seconds, nanos)) = decimal(text) {
        return seconds.checked_mul(1_000_000_000)?.checked_add(nanos);
    }
    if let Ok(duration) = crate::cli::value::duration(text) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        return i64::try_from(now.as_nanos()).ok()?.checked_sub(duration);
    }
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let (clock, zone) = match time.find(['Z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, "Z"),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let clock = match clock.matches(':').count() {
        0 if clock.is_empty() => "00:00:00".to_owned(),
        0 => format!("{clock}:00:00"),
        1 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    let mut parts = day.split('-').skip(1).map(str::parse::<u32>);
    let (month, date) = (parts.next()?.ok()?, parts.next()?.ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&date) {
        return None;
    }
    let seconds = image::time::parse_rfc3339(&format!("{day}T{clock}{zone}"))?;
    let (_, nanos) = decimal(&format!("0.{fraction}0"))?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// A decimal number in its whole part and thousand millionths.
fn decimal(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((whole.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let second = 1_000_000_000;
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000 * second)),
            ("1700000000.25", Some(1_700_000_000 * second + 250_000_000)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000 * second)),
            (
                "2023-11-14T22:13:20.5Z",
                Some(1_700_000_000 * second + 500_000_000),
            ),
            ("2023-11-14T23:13:20+01:00", Some(1_700_000_000 * second)),
            ("2023-11-14T22:13:20", Some(1_700_000_000 * second)),
            ("2023-11-14T22:13", Some(1_699_999_980 * second)),
            ("1970-01-02", Some(86_400 * second)),
            ("never", None),
            ("", None),
            ("2023-13-14", None),
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        let ago = moment("10m").unwrap();
        let now = moment("0s").unwrap();
        assert!((now - ago - 600 * second).abs() < 10 * second);
    }
}
