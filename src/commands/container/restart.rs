//! `restart`: stops containers and starts them again.

use executor::monitor::Control;

use super::stop::{number, stop};
use crate::cli::container::StopArgs;
use crate::containers::find;
use crate::containers::start::{start, waiting};
use crate::home::Home;

/// Restarts containers; one that does not run is started.
pub fn run(args: &StopArgs, home: &Home) -> anyhow::Result<u8> {
    let signal = number(args.signal.as_deref())?;
    let store = home.enter_and_open_alone()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        let document = find::document(&store, &row)?;
        // With --rm it stays: it is not over yet.
        stop(&store, &row, signal, args.time, Control::stop_for_restart)?;
        start(&store, &row, &document, waiting()?, None)?;
        Ok(Some(text.to_owned()))
    })
}
