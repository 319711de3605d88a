//! `rm`: removes containers.

use crate::cli::container::RemoveArgs;
use crate::containers::{find, remove};
use crate::home::Home;
use crate::report::{Class, Failure};

/// Removes containers, and says which; those that cannot go are named afterwards.
pub fn run(args: &RemoveArgs, home: &Home) -> anyhow::Result<u8> {
    if args.link {
        return Err(Failure::new(Class::Refused, "--link is not done").into());
    }
    let store = home.enter_and_open_alone()?;
    super::each(&args.containers, |text| {
        let row = match store.container(text) {
            Err(error @ cache::ContainerRowError::Unknown(_)) if args.force => {
                // By force what is not there is gone already.
                crate::report::note(&format!("note: {error}"));
                return Ok(None);
            }
            found => found.map_err(|error| find::failure(&error))?,
        };
        remove::remove(&store, &row, args.force, args.volumes)?;
        Ok(Some(text.to_owned()))
    })
}
