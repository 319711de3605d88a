//! `pause` and `unpause`: let all processes of containers stand still, and go on.

use executor::monitor::{Control, MonitorError};

use crate::cli::container::NamesArgs;
use crate::containers::find;
use crate::home::Home;
use crate::report::{Class, Failure};

/// Lets all processes of containers stand still.
pub fn run(args: &NamesArgs, home: &Home) -> anyhow::Result<u8> {
    order(args, home, Control::pause)
}

/// Lets them go on.
pub fn undo(args: &NamesArgs, home: &Home) -> anyhow::Result<u8> {
    order(args, home, Control::unpause)
}

fn order(
    args: &NamesArgs,
    home: &Home,
    order: fn(&mut Control) -> Result<(), MonitorError>,
) -> anyhow::Result<u8> {
    let store = home.enter_and_open_alone()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        find::status(&store, &row)?;
        let refused =
            |why: &str| Failure::new(Class::Refused, format!("Container {} {why}", row.id));
        let mut control = find::control(&store, &row)?.ok_or_else(|| refused("is not running"))?;
        match order(&mut control) {
            Ok(()) => Ok(Some(text.to_owned())),
            Err(MonitorError::Paused) => Err(refused("is already paused")),
            Err(MonitorError::NotPaused) => Err(refused("is not paused")),
            Err(MonitorError::NotRunning | MonitorError::Ended) => Err(refused("is not running")),
            Err(error) => Err(find::monitor_failure(&error)),
        }
    })
}
