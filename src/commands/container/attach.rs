//! `attach`: joins a running container's input and output.

use cache::{Store, StoredContainer};
use executor::monitor::{Attached, State};

use super::run::stay;
use crate::cli::container::AttachArgs;
use crate::containers::find;
use crate::containers::session::{Session, keys};
use crate::home::Home;
use crate::report::{Class, Failure};

/// docker's code for a session that the keys ended.
pub(super) const LEFT: u8 = 1;

/// Joins a container.
pub fn run(args: &AttachArgs, home: &Home) -> anyhow::Result<u8> {
    let keys = keys(args.detach_keys.as_deref())?;
    let store = home.enter_and_open_alone()?;
    let row = find::row(&store, &args.container)?;
    let refused = |message: &str| Failure::new(Class::Refused, message);
    match find::status(&store, &row)?.state {
        State::Running => {}
        State::Paused => {
            return Err(
                refused("You cannot attach to a paused container, unpause it first").into(),
            );
        }
        State::Restarting => {
            return Err(refused(
                "You cannot attach to a restarting container, wait until it is running",
            )
            .into());
        }
        _ => {
            return Err(refused("You cannot attach to a stopped container, start it first").into());
        }
    }
    let document = find::document(&store, &row)?;
    let session = Session::whole(&document.config, !args.no_stdin, args.sig_proxy, keys)?;
    match connect(&store, &row, session.stdin)? {
        // Whoever leaves it running has not seen its end: docker's 1.
        Some(attached) => Ok(stay(&store, &row, &document, attached, &session, LEFT)?),
        None => Err(refused("You cannot attach to a stopped container, start it first").into()),
    }
}

/// A connection to a running container; none when it does not run any more.
pub fn connect(
    store: &Store,
    row: &StoredContainer,
    stdin: bool,
) -> Result<Option<Attached>, Failure> {
    find::control(store, row)?
        .map(|control| {
            control
                .attach(stdin)
                .map_err(|error| find::monitor_failure(&error))
        })
        .transpose()
}
