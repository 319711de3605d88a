//! The threads that hash, walk and compress: rayon's one pool. By itself rayon would make it when it
//! is first needed and panic if there are no threads to be had.

use std::error::Error;

use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::report::{Class, Failure};

/// Makes the pool: as many threads as processors, or as many as there are to be had. Made before, it
/// stays as it is.
pub fn start() -> Result<(), Failure> {
    let mut started = false;
    let spawn = |thread: ThreadBuilder| {
        let spawned = std::thread::Builder::new()
            .name("cpu".to_owned())
            .spawn(|| thread.run());
        match spawned {
            Ok(_) => started = true,
            // Those that there are do its work.
            Err(_) if started => {}
            Err(error) => return Err(error),
        }
        Ok(())
    };
    match ThreadPoolBuilder::new().spawn_handler(spawn).build_global() {
        Err(error) if error.source().is_some() => Err(Failure {
            causes: error.source().map(ToString::to_string).into_iter().collect(),
            ..Failure::new(Class::System, "no thread can be started")
        }
        .help("raise the limit of processes (`ulimit -u`, pids.max of the control group), or end some")),
        _ => Ok(()),
    }
}
