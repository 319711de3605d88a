//! `--cpuset-cpus` and `--cpuset-mems`: lists of what this machine has.

use crate::report::{Class, Failure};

/// Whether this machine has all that a list such as `0-2,5` names, by what the kernel says in `file`.
pub fn available(what: &str, wanted: &str, file: &str) -> Result<(), Failure> {
    let refused = |message: String| Failure::new(Class::Refused, message);
    let numbers =
        list(wanted).ok_or_else(|| refused(format!("Invalid value {wanted} for cpuset {what}")))?;
    let Ok(online) = std::fs::read_to_string(file) else {
        // A kernel that does not say what it has knows best what it takes.
        return Ok(());
    };
    let online = online.trim();
    let has = list(online).unwrap_or_default();
    if numbers.iter().all(|number| has.contains(number)) {
        return Ok(());
    }
    Err(refused(format!(
        "Requested {what} are not available - requested {wanted}, available: {online}"
    )))
}

/// The numbers of a list such as `0-2,5`; none if it is no list.
fn list(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 8192;
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(list("0-2,5"), Some(vec![0, 1, 2, 5]));
        for wrong in ["x", "2-1", "9999", "1-"] {
            assert_eq!(list(wrong), None, "{wrong}");
        }
    }
}
