//! Ctrl-C and SIGTERM: the first asks the build to stop, the second ends the program.

use std::sync::OnceLock;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use solver::Cancel;

/// The request to stop that signals make, installed once.
pub fn on_signal() -> Cancel {
    static CANCEL: OnceLock<Cancel> = OnceLock::new();
    CANCEL
        .get_or_init(|| {
            let cancel = Cancel::new();
            if let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) {
                let asked = cancel.clone();
                std::thread::spawn(move || {
                    for _ in signals.forever() {
                        if asked.is_cancelled() {
                            // Containers end with their launcher, which ends with this program.
                            std::process::exit(i32::from(crate::report::Class::Interrupted.exit_code()));
                        }
                        asked.cancel();
                    }
                });
            }
            cancel
        })
        .clone()
}
