//! `stop`: asks containers to end, and kills them when they do not.

use std::time::Duration;

use crate::cli::container::StopArgs;
use crate::containers::{ENGINE, find, signal};
use crate::home::Home;
use crate::report::Failure;

/// Stops containers. One that does not run is stopped already.
pub fn run(args: &StopArgs, home: &Home) -> anyhow::Result<u8> {
    let signal = number(args.signal.as_deref())?;
    let store = home.enter_and_open()?;
    super::each(&args.containers, |text| {
        let row = find::row(&store, text)?;
        stop(&store, &row, signal, args.time)?;
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

/// Stops one, and comes back when its monitor is gone.
pub fn stop(
    store: &cache::Store,
    row: &cache::StoredContainer,
    signal: Option<i32>,
    seconds: Option<i64>,
) -> Result<(), Failure> {
    // What died without a word is noticed here.
    find::status(store, row)?;
    match find::control(store, row)? {
        Some(control) => control
            .stop(signal, seconds)
            .or_else(|error| {
                // `--rm` may have been faster.
                if find::folder(store, row).exists() {
                    Err(error)
                } else {
                    Ok(())
                }
            })
            .map_err(|error| find::monitor_failure(&error))?,
        None => return Ok(()),
    }
    wait_for_removal(store, row)
}

/// The end of a `--rm` container is its removal, by a process of its monitor's.
fn wait_for_removal(store: &cache::Store, row: &cache::StoredContainer) -> Result<(), Failure> {
    let folder = find::folder(store, row);
    let Ok(document) = find::document(store, row) else {
        return Ok(());
    };
    if document.host_config.auto_remove {
        let start = std::time::Instant::now();
        while folder.exists() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}
