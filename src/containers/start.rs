//! Starting a container that was made.

use cache::{Store, StoredContainer};
use executor::monitor::{self, Attach, Attached, Lock, MonitorError, State, Waiting};

use super::document::Document;
use super::{find, life, network};
use crate::report::{Class, Failure};

/// What came of it.
pub enum Start {
    /// It runs; with the connection that was asked for.
    Started(Option<Attached>),
    /// It ran already.
    Running,
}

/// A process that will be the monitor of the container that is started next.
pub fn waiting() -> Result<Waiting, Failure> {
    Waiting::new().map_err(|error| find::monitor_failure(&error))
}

/// Starts a container, whose monitor `waiting` will be.
pub fn start(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
    waiting: Waiting,
    attach: Option<Attach>,
) -> Result<Start, Failure> {
    let network = network::wanted(store, row, document)?;
    let prepared = life::prepare(store, row, document, network)?;
    let mut started = monitor::start(waiting, &prepared.life, &prepared.joined, attach);
    // a monitor that has told of the end may still be clearing up
    while matches!(started, Err(MonitorError::Running))
        && !find::status(store, row)?.state.is_live()
    {
        Lock::wait(&find::folder(store, row))
            .map(drop)
            .map_err(|error| Failure::from_error(Class::System, &error))?;
        started = monitor::start(self::waiting()?, &prepared.life, &prepared.joined, attach);
    }
    match started {
        Ok(started) => Ok(Start::Started(started.attached)),
        Err(MonitorError::Running) => {
            if find::status(store, row)?.state == State::Paused {
                return Err(Failure::new(
                    Class::Refused,
                    "cannot start a paused container, try unpause instead",
                ));
            }
            Ok(Start::Running)
        }
        Err(error) => Err(find::monitor_failure(&error)),
    }
}
