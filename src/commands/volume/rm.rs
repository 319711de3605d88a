//! `volume rm`: removes volumes.

use cache::VolumeError;

use crate::cli::volume::VolumeRemoveArgs;
use crate::containers::find;
use crate::home::Home;

/// Removes volumes that no container uses, and says which.
pub fn run(args: &VolumeRemoveArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    crate::commands::container::each(&args.volumes, |name| {
        match store.remove_volume(name) {
            Err(VolumeError::Unknown(_)) if args.force => {}
            removed => removed.map_err(|error| find::volume_failure(&error))?,
        }
        Ok(Some(name.to_owned()))
    })
}
