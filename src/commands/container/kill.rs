//! `kill`: sends a signal to containers.

use executor::monitor::MonitorError;

use super::stop::number;
use crate::cli::container::KillArgs;
use crate::containers::find;
use crate::home::Home;
use crate::report::{Class, Failure};

const SIGKILL: i32 = 9;

/// Sends a signal to the first process of each.
pub fn run(args: &KillArgs, home: &Home) -> anyhow::Result<u8> {
    // As docker has it, no signal is the usual one.
    let given = Some(args.signal.as_str()).filter(|signal| !signal.is_empty());
    let signal = number(given).map_err(|mut failure| {
        failure.class = Class::Refused;
        failure
    })?;
    let signal = signal.unwrap_or(SIGKILL);
    let store = home.enter_and_open_alone()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text).map_err(|mut failure| {
            failure.title = format!("Cannot kill container: {text}: {}", failure.title);
            failure
        })?;
        find::status(&store, &row)?;
        let not_running = || {
            Failure::new(
                Class::Refused,
                format!(
                    "Cannot kill container: {text}: Container {} is not running",
                    row.id
                ),
            )
        };
        let mut control = find::control(&store, &row)?.ok_or_else(not_running)?;
        let killed = match control.signal(signal) {
            // What is killed has ended when this says so.
            Ok(()) if signal == SIGKILL => match control.wait() {
                Ok(_) | Err(MonitorError::Ended) => Ok(()),
                Err(error) => Err(error),
            },
            // Its monitor was clearing up after another end.
            Err(MonitorError::Ended) => Err(MonitorError::NotRunning),
            other => other,
        };
        match killed {
            Ok(()) => Ok(Some(text.to_owned())),
            Err(MonitorError::NotRunning) => Err(not_running()),
            Err(error) => Err(find::monitor_failure(&error)),
        }
    })
}
