//! The build's one launcher, started when the first step needs it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::container::{ContainerError, LaunchOptions, Launcher};

/// A launcher that may not have been started yet.
#[derive(Default)]
pub struct LazyLauncher(Mutex<Option<Arc<Launcher>>>);

impl LazyLauncher {
    /// The launcher; one that could not be started is tried again by the next step.
    pub fn get(
        &self,
        store_root: PathBuf,
        host_sources: Vec<PathBuf>,
    ) -> Result<Arc<Launcher>, ContainerError> {
        let mut launcher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(launcher) = &*launcher {
            return Ok(Arc::clone(launcher));
        }
        let started = Arc::new(Launcher::start(&LaunchOptions {
            store_root,
            host_sources,
        })?);
        *launcher = Some(Arc::clone(&started));
        Ok(started)
    }
}
