//! Signals by the names and numbers that people write.

/// Names without `SIG`, and their numbers on Linux (signal(7); x86 and arm).
const NAMES: &[(&str, i32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", REAL_TIME_FIRST),
    ("RTMAX", REAL_TIME_LAST),
];
/// Real-time signals, as containers' C libraries see them: two are the threads library's.
const REAL_TIME_FIRST: i32 = 34;
const REAL_TIME_LAST: i32 = 64;

/// The number of a signal written as a number, `TERM`, `SIGTERM` or `RTMIN+3`; none of anything else.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=REAL_TIME_LAST).contains(&number).then_some(number);
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, most: i32| {
        rest.parse::<i32>()
            .ok()
            .filter(|offset| (1..=most).contains(offset))
    };
    if let Some(rest) = name.strip_prefix("RTMIN+") {
        return offset(rest, 15).map(|offset| REAL_TIME_FIRST + offset);
    }
    if let Some(rest) = name.strip_prefix("RTMAX-") {
        return offset(rest, 14).map(|offset| REAL_TIME_LAST - offset);
    }
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_signals() {
        for (text, expected) in [
            ("9", Some(9)),
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("0", None),
            ("65", None),
            ("NOPE", None),
            ("", None),
            ("RTMIN+16", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
