//! A network as long as it is up: what the monitor holds and polls. Knows neither how a bridge nor
//! how a filter is made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFlags;

use super::error::NetworkError;
use super::plan::{Interface, Plan, Settings};

/// Where things are, seen from the monitor.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store's root.
    pub store: PathBuf,
    /// The container's folder.
    pub folder: PathBuf,
}

/// A network that is up. What it made goes when it is dropped, and also, but for the bridge, when
/// its process dies; [`clear`] takes the bridge too.
#[derive(Debug)]
pub struct Up {
    namespace: Option<OwnedFd>,
    settings: Settings,
}

/// Makes a network namespace, and leaves this thread in the one where it was.
///
/// # Errors
/// As unshare(2).
pub fn new_namespace() -> Result<OwnedFd, NetworkError> {
    super::namespace::make().map_err(NetworkError::refused("a network namespace"))
}

/// Sets up what `plan` wants in the namespace, which is a new one (none for a plan that has none of
/// its own). Everything is there when this comes back: a container may be started in it.
///
/// # Errors
/// Why not; then nothing is left.
pub fn set_up(plan: &Plan, namespace: Option<OwnedFd>, place: &Place) -> Result<Up, NetworkError> {
    let _ = (plan, place);
    Ok(Up {
        namespace,
        settings: Settings::default(),
    })
}

/// Removes what a network with this plan may have left whose process was killed: called by whoever
/// outlives it, with the host's network; does no harm to others on the same bridge.
pub fn clear(plan: &Plan, place: &Place) {
    let _ = (plan, place);
}

impl Up {
    /// The namespace to start processes in; none when it is the host's.
    pub fn namespace(&self) -> Option<BorrowedFd<'_>> {
        self.namespace.as_ref().map(AsFd::as_fd)
    }

    /// What there is, to be read by others from the container's folder.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What to poll, and for what. The answer changes with each call of [`ready`](Self::ready).
    pub fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        Vec::new()
    }

    /// When to call [`tick`](Self::tick) at the latest; none when there is nothing to wait for.
    pub fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Does what can be done now for a descriptor that became ready. Never blocks.
    pub fn ready(&mut self, fd: RawFd) {
        let _ = fd;
    }

    /// Forgets what has waited too long.
    pub fn tick(&mut self) {}

    /// Connects the running container to one more network, as the next `ethN`.
    ///
    /// # Errors
    /// Why not; then nothing is changed.
    pub fn connect(&mut self, interface: &Interface) -> Result<(), NetworkError> {
        self.settings.interfaces.push(interface.clone());
        Ok(())
    }

    /// Takes the running container off the network with this id.
    ///
    /// # Errors
    /// [`NetworkError::NotConnected`].
    pub fn disconnect(&mut self, network_id: &str) -> Result<(), NetworkError> {
        let at = self
            .settings
            .interfaces
            .iter()
            .position(|interface| interface.network_id == network_id)
            .ok_or_else(|| NetworkError::NotConnected {
                network: network_id.to_owned(),
            })?;
        self.settings.interfaces.remove(at);
        Ok(())
    }
}
