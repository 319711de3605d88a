//! `network rm`.

use cache::networks::NetworkRowError;

use crate::cli::network::NetworkRemoveArgs;
use crate::home::Home;
use crate::networks::{alive, row_failure, sweep};
use crate::output::print;
use crate::report::Failure;

/// Removes networks and prints what they were called; those that stay are named afterwards.
pub fn run(args: &NetworkRemoveArgs, home: &Home) -> anyhow::Result<u8> {
    let store = home.enter_and_open()?;
    sweep(&store)?;
    let mut failures = Vec::new();
    for text in &args.networks {
        let removed = store
            .network(text)
            .and_then(|network| store.remove_network(&network, &alive(&store)));
        match removed {
            Ok(()) => print(&format!("{text}\n"))?,
            Err(NetworkRowError::Unknown(_)) if args.force => {}
            Err(error) => failures.push(row_failure(&error)),
        }
    }
    Failure::all(failures).map_or(Ok(0), |failure| Err(failure.into()))
}
