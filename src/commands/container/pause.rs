//! `pause`: lets all processes of containers stand still.

use executor::monitor::MonitorError;

use crate::cli::container::NamesArgs;
use crate::containers::find;
use crate::home::Home;
use crate::report::{Class, Failure};

/// Lets all processes of containers stand still.
pub fn run(args: &NamesArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        find::status(&store, &row)?;
        let refused =
            |why: &str| Failure::new(Class::Refused, format!("Container {} {why}", row.id));
        let mut control = find::control(&store, &row)?.ok_or_else(|| refused("is not running"))?;
        match control.pause() {
            Ok(()) => Ok(Some(text.to_owned())),
            Err(MonitorError::Paused) => Err(refused("is already paused")),
            Err(MonitorError::NotRunning | MonitorError::Ended) => Err(refused("is not running")),
            Err(error) => Err(find::monitor_failure(&error)),
        }
    })
}
