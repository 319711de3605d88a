//! Restart policies: `no`, `always`, `unless-stopped`, `on-failure[:TIMES]`.

use executor::monitor::Restart;

use super::ENGINE;
use super::document::RestartPolicy;
use crate::report::Failure;

/// Reads a policy. The messages are Docker's.
pub fn policy(text: &str) -> Result<RestartPolicy, Failure> {
    let wrong = |message: String| Failure::new(ENGINE, message);
    let (name, times) = match text.split_once(':') {
        Some((name, times)) => (name, Some(times)),
        None => (text, None),
    };
    let name = match name {
        "" | "no" => "no",
        "always" | "unless-stopped" | "on-failure" => name,
        _ => return Err(wrong(format!("invalid restart policy '{name}'"))),
    };
    let maximum_retry_count = match times {
        None => 0,
        Some(_) if name != "on-failure" => {
            return Err(wrong(format!(
                "maximum retry count cannot be used with restart policy '{name}'"
            )));
        }
        Some(times) => times
            .parse()
            .map_err(|_| wrong("maximum retry count must be an integer".to_owned()))?,
    };
    Ok(RestartPolicy {
        name: name.to_owned(),
        maximum_retry_count,
    })
}

/// The policy as the monitor has it.
pub fn restart(policy: &RestartPolicy) -> Restart {
    match policy.name.as_str() {
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure(policy.maximum_retry_count),
        _ => Restart::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read() {
        for (text, expected) in [
            ("no", Restart::No),
            ("", Restart::No),
            ("always", Restart::Always),
            ("unless-stopped", Restart::UnlessStopped),
            ("on-failure", Restart::OnFailure(0)),
            ("on-failure:3", Restart::OnFailure(3)),
        ] {
            assert_eq!(restart(&policy(text).unwrap()), expected, "{text}");
        }
        for wrong in ["nonsense", "always:3", "on-failure:x", "on-failure:-1"] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
    }
}
