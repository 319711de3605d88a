//! `volume prune`: removes all volumes that no container uses.

use crate::cli::volume::VolumePruneArgs;
use crate::commands::container::{confirmed, prune::said};
use crate::containers::{find, size};
use crate::home::{Home, store_failure};
use crate::output::print;
use crate::report::Failure;
use crate::volumes::Filter;

/// Removes them.
pub fn run(args: &VolumePruneArgs, home: &Home) -> anyhow::Result<u8> {
    let filter = Filter::of_prune(&args.filters)?;
    let store = home.enter_and_open()?;
    let warning = "This will remove all local volumes not used by at least one container.";
    let (names, bytes) = if args.force || confirmed(warning)? {
        prune(&store, &filter)?
    } else {
        (Vec::new(), 0)
    };
    print(&said("Deleted Volumes:", &names, bytes))?;
    Ok(0)
}

/// Removes volumes that no container uses; gives their names, and how many bytes were in them.
pub fn prune(store: &cache::Store, filter: &Filter) -> Result<(Vec<String>, u64), Failure> {
    let (mut names, mut bytes) = (Vec::new(), 0);
    for volume in store.volumes().map_err(|error| store_failure(&error))? {
        if !volume.users.is_empty() || !filter.takes(&volume) {
            continue;
        }
        let own = size::tree(&store.volume_files(&volume.name));
        match store.remove_volume(&volume.name) {
            Ok(()) => {
                bytes += own;
                names.push(volume.name);
            }
            // Somebody took it, or was faster.
            Err(cache::VolumeError::Used { .. } | cache::VolumeError::Unknown(_)) => {}
            Err(error) => return Err(find::volume_failure(&error)),
        }
    }
    Ok((names, bytes))
}
