//! The threads that hash, walk and compress: rayon's one pool. By itself rayon would make it when it
//! is first needed and panic if there are no threads to be had; and it waits for every thread that it
//! was promised. So the threads are made first, and the pool of those that there are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use rayon::{ThreadBuilder, ThreadPoolBuilder};

use crate::report::{Class, Failure};

/// Makes the pool: as many threads as processors, or as many as there are to be had. Made before, it
/// stays as it is.
pub fn start() -> Result<(), Failure> {
    make().map_err(|error| failure(&error))
}

/// What people are told where there is no thread to be had.
pub fn failure(error: &std::io::Error) -> Failure {
    Failure::from_error(Class::System, error).help(
        "no thread can be started: raise the limit of processes (`ulimit -u`, pids.max of the control group), or end some",
    )
}

/// As [`start`], for whoever tells people himself.
pub fn make() -> std::io::Result<()> {
    static IS_MADE: AtomicBool = AtomicBool::new(false);
    if IS_MADE.load(Ordering::Acquire) {
        return Ok(());
    }
    let wanted = std::thread::available_parallelism().map_or(2, usize::from);
    let mut waiting: Vec<Sender<ThreadBuilder>> = Vec::new();
    for _ in 0..wanted {
        let (send, receive): (_, Receiver<ThreadBuilder>) = channel();
        let work = move || {
            // Nothing comes when the pool was made before.
            if let Ok(thread) = receive.recv() {
                thread.run();
            }
        };
        let spawned = std::thread::Builder::new()
            .name("cpu".to_owned())
            .spawn(work);
        match spawned {
            Ok(_) => waiting.push(send),
            // Those that there are do the work.
            Err(_) if !waiting.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    let count = waiting.len();
    let spawn = |thread: ThreadBuilder| {
        let next = waiting.pop().and_then(|next| next.send(thread).ok());
        next.ok_or_else(|| std::io::Error::other("a thread is missing"))
    };
    // Fails where it was made before.
    let _ = ThreadPoolBuilder::new()
        .num_threads(count)
        .spawn_handler(spawn)
        .build_global();
    IS_MADE.store(true, Ordering::Release);
    Ok(())
}
