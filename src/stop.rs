//! Signals: the first Ctrl-C or SIGTERM asks a build to stop, the second ends the program; a
//! container in the foreground gets them all.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals as Incoming;
use solver::Cancel;

use crate::report::{Class, Failure};

/// How long a build may take to put its things away. What it leaves then goes as that of a killed
/// one does: containers end with it, and its files are swept by the next who opens the store.
const PATIENCE: Duration = Duration::from_millis(1500);

type Forward = Box<dyn FnMut(i32) + Send>;

/// The request to stop that signals make, installed once.
pub fn on_signal() -> Cancel {
    Signals::take().asked()
}

/// What is said of a build that was stopped.
pub fn stopped() -> Failure {
    Failure::new(
        Class::Interrupted,
        "stopped; what was finished is in the cache",
    )
}

/// Ends a program that was asked to stop and waits for something that does not listen: a silent
/// registry, a file of many gigabytes.
fn end_soon() {
    std::thread::sleep(PATIENCE);
    std::process::exit(i32::from(crate::report::report(&stopped().into())));
}

/// The signals that this program gets.
#[derive(Clone)]
pub struct Signals {
    cancel: Cancel,
    forward: Arc<Mutex<Option<Forward>>>,
}

impl Signals {
    /// Takes over the signals of this program; once, however often it is called.
    pub fn take() -> Self {
        static TAKEN: OnceLock<Signals> = OnceLock::new();
        TAKEN
            .get_or_init(|| {
                let signals = Self {
                    cancel: Cancel::new(),
                    forward: Arc::new(Mutex::new(None)),
                };
                if let Ok(incoming) =
                    Incoming::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH])
                {
                    let own = signals.clone();
                    // Where there is no thread to be had, a build fails soon and says so.
                    let attend = move || own.attend(incoming);
                    let _ = std::thread::Builder::new().spawn(attend);
                }
                signals
            })
            .clone()
    }

    /// The request to stop that they make.
    pub fn asked(&self) -> Cancel {
        self.cancel.clone()
    }

    /// From now on they go to `to`, and ask nobody to stop.
    pub fn forward(&self, to: impl FnMut(i32) + Send + 'static) {
        *self.lock() = Some(Box::new(to));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Forward>> {
        self.forward.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attend(&self, mut incoming: Incoming) {
        for signal in incoming.forever() {
            if let Some(forward) = &mut *self.lock() {
                forward(signal);
            } else if matches!(signal, SIGINT | SIGTERM | SIGHUP | SIGQUIT) {
                if self.cancel.is_cancelled() {
                    // Containers end with their launcher, which ends with this program.
                    std::process::exit(i32::from(Class::Interrupted.exit_code()));
                }
                self.cancel.cancel();
                let _ = std::thread::Builder::new().spawn(end_soon);
            }
        }
    }
}
