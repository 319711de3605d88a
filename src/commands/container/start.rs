//! `start`: starts containers, or starts one and stays with it.

use executor::monitor::Attach;

use super::run::stay;
use crate::cli::container::StartArgs;
use crate::containers::find;
use crate::containers::session::{Session, keys};
use crate::containers::start::{Start, start, waiting};
use crate::home::Home;
use crate::report::{Class, Failure};

/// Starts containers.
pub fn run(args: &StartArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open_alone()?;
    if !args.attach && !args.interactive {
        let mut unstarted = Vec::new();
        let ended = super::each(&args.containers, |text| {
            let one = || {
                let row = find::row(&store, text)?;
                let document = find::document(&store, &row)?;
                start(&store, &row, &document, waiting()?, None).map(drop)
            };
            one().inspect_err(|_| unstarted.push(text.to_owned()))?;
            Ok(Some(text.to_owned()))
        });
        return ended.map_err(|error| match error.downcast::<Failure>() {
            Ok(mut failure) => {
                let names = unstarted.join(", ");
                failure.further.push(Failure::new(
                    Class::Refused,
                    format!("failed to start containers: {names}"),
                ));
                failure.into()
            }
            Err(error) => error,
        });
    }
    let [text] = args.containers.as_slice() else {
        return Err(Failure::new(
            Class::Refused,
            "you cannot start and attach multiple containers at once",
        )
        .into());
    };
    let row = find::row(&store, text)?;
    let document = find::document(&store, &row)?;
    let keys = keys(args.detach_keys.as_deref())?;
    let session = Session::whole(&document.config, args.interactive, true, keys)?;
    let attach = Attach {
        stdin: session.stdin,
        size: crate::terminal::size(),
    };
    let attached = match start(&store, &row, &document, waiting()?, Some(attach)) {
        Ok(Start::Started(attached)) => attached,
        Ok(Start::Running) => super::attach::connect(&store, &row, session.stdin)?,
        Err(mut failure) => {
            failure.class = Class::Refused;
            return Err(failure.into());
        }
    };
    match attached {
        Some(attached) => Ok(stay(&store, &row, &document, attached, &session, 0)?),
        None => Ok(0),
    }
}
