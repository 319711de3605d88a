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
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs() as i64;
    let passed = (now - seconds).max(0);
    let (count, unit) = match passed {
        0 => return "Less than a second ago".to_owned(),
        1 => return "1 second ago".to_owned(),
        2..60 => (passed, "seconds"),
        60..120 => return "About a minute ago".to_owned(),
        120..3600 => (passed / 60, "minutes"),
        3600..7200 => return "About an hour ago".to_owned(),
        7200..172_800 => (passed / 3600, "hours"),
        172_800..1_209_600 => (passed / 86_400, "days"),
        1_209_600..5_184_000 => (passed / 604_800, "weeks"),
        5_184_000..63_072_000 => (passed / 2_592_000, "months"),
        _ => (passed / 31_536_000, "years"),
    };
    format!("{count} {unit} ago")
}
