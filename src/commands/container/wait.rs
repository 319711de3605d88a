//! `wait`: waits until containers end, and prints their exit codes.

use executor::monitor::MonitorError;

use crate::cli::container::NamesArgs;
use crate::containers::find;
use crate::home::Home;

/// Waits for each, in the order asked.
pub fn run(args: &NamesArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open_alone()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        let ended = match find::control(&store, &row)? {
            Some(mut control) => match control.wait() {
                Ok(code) => Some(code),
                // It ended before it was asked, or was killed.
                Err(MonitorError::Ended | MonitorError::NotRunning) => None,
                Err(error) => return Err(find::monitor_failure(&error)),
            },
            None => None,
        };
        let code = match ended {
            Some(code) => code,
            None => find::status(&store, &row)?.exit_code,
        };
        Ok(Some(code.to_string()))
    })
}
