//! Which texts STOPSIGNAL takes: the names and numbers of Linux.

use super::error::PlanError;

const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Refuses what is no signal.
pub(super) fn check(text: &str) -> Result<(), PlanError> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: &str, most: u32| {
        !text.starts_with('0') && text.parse::<u32>().is_ok_and(|n| (1..=most).contains(&n))
    };
    let known = match text.parse::<i64>() {
        Ok(number) => number != 0,
        Err(_) => {
            NAMES.contains(&name)
                || name.strip_prefix("RTMIN+").is_some_and(|n| offset(n, 15))
                || name.strip_prefix("RTMAX-").is_some_and(|n| offset(n, 14))
        }
    };
    if known {
        return Ok(());
    }
    Err(PlanError::new(format!("invalid signal: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for text in ["9", "SIGTERM", "term", "SIGRTMIN+3", "RTMAX-14", "sigusr1"] {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in ["0", "SIGNOPE", "", "RTMIN+16", "RTMAX-0", "RTMIN+03"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
