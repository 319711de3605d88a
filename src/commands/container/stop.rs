//! `stop`: asks containers to end, and kills them when they do not.

use executor::monitor::{Control, MonitorError};

use crate::cli::container::StopArgs;
use crate::containers::{ENGINE, find, signal};
use crate::home::Home;
use crate::report::Failure;

/// Stops containers. One that does not run is stopped already.
pub fn run(args: &StopArgs, home: &Home) -> anyhow::Result<u8> {
    let signal = number(args.signal.as_deref())?;
    let store = home.enter_and_open_alone()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        stop(&store, &row, signal, args.time, Control::stop)?;
        Ok(Some(text.to_owned()))
    })
}

/// The number of a signal that is written.
pub fn number(text: Option<&str>) -> Result<Option<i32>, Failure> {
    text.map(|text| {
        signal::number(text).ok_or_else(|| Failure::new(ENGINE, format!("Invalid signal: {text}")))
    })
    .transpose()
}

/// Stops one by that order, and comes back when its monitor is gone.
pub fn stop(
    store: &cache::Store,
    row: &cache::StoredContainer,
    signal: Option<i32>,
    seconds: Option<i64>,
    order: fn(Control, Option<i32>, Option<i64>) -> Result<(), MonitorError>,
) -> Result<(), Failure> {
    // What died without a word is noticed here.
    find::status(store, row)?;
    match find::control(store, row)? {
        Some(control) => order(control, signal, seconds)
            .or_else(|error| {
                // `--rm` may have been faster.
                if find::folder(store, row).exists() {
                    Err(error)
                } else {
                    Ok(())
                }
            })
            .map_err(|error| find::monitor_failure(&error)),
        None => Ok(()),
    }
}
