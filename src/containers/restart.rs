//! Restart policies: `no`, `always`, `unless-stopped`, `on-failure[:TIMES]`.

use executor::monitor::Restart;

use super::ENGINE;
use super::document::RestartPolicy;
use crate::report::{Class, Failure};

/// Reads a policy. The messages are Docker's.
pub fn policy(text: &str) -> Result<RestartPolicy, Failure> {
    let wrong = |message: &str| Failure::new(ENGINE, message);
    // What docker's daemon says, and not its client.
    let refused = |message: String| Failure::new(Class::Refused, message);
    let (name, times) = match text.split_once(':') {
        Some((name, times)) => (name, Some(times)),
        None => (text, None),
    };
    let name = match name {
        "" | "no" | "always" | "unless-stopped" | "on-failure" => name,
        _ => return Err(refused(format!("invalid restart policy '{name}'"))),
    };
    let maximum_retry_count = match times {
        None => 0,
        Some(_) if name != "on-failure" => {
            return Err(refused(format!(
                "maximum retry count cannot be used with restart policy '{name}'"
            )));
        }
        Some(times) if times.contains(':') => return Err(wrong("invalid restart policy format")),
        Some(times) => {
            let times: i64 = times
                .parse()
                .map_err(|_| wrong("maximum retry count must be an integer"))?;
            u32::try_from(times)
                .map_err(|_| refused("maximum retry count cannot be negative".to_owned()))?
        }
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
        for wrong in [
            "nonsense",
            "always:3",
            "on-failure:x",
            "on-failure:-1",
            "on-failure:1:2",
        ] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
    }
}
