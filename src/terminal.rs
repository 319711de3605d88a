//! The caller's terminal while a container has one of its own: raw, resized along, bytes both ways.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// The caller's terminal, joined to a container's. As it was before once this is dropped.
pub struct Attached {
    before: Option<Termios>,
    output: Option<std::thread::JoinHandle<()>>,
}

impl Attached {
    /// Joins the terminal to `master`, the other side of the container's.
    pub fn new(master: &OwnedFd, interactive: bool) -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = if interactive {
            tcgetattr(&stdin).ok()
        } else {
            None
        };
        // As it was, should anything fail from here on.
        let mut attached = Self {
            before,
            output: None,
        };
        if let Some(before) = &attached.before {
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        }
        resize(master);
        if interactive {
            let mut to = File::from(master.try_clone()?);
            std::thread::Builder::new().spawn(move || {
                let mut stdin = std::io::stdin();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stdin.read(&mut buffer) {
                    if to.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            })?;
        }
        let mut from = File::from(master.try_clone()?);
        let output = std::thread::Builder::new().spawn(move || {
            let mut stdout = std::io::stdout();
            let mut buffer = [0; 1 << 14];
            // Reading ends with EIO once the last process that had the other side is gone.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if stdout
                    .write_all(&buffer[..count])
                    .and_then(|()| stdout.flush())
                    .is_err()
                {
                    return;
                }
            }
        })?;
        attached.output = Some(output);
        Ok(attached)
    }

    /// Waits until everything that the container wrote is shown.
    pub fn drain(&mut self) {
        if let Some(output) = self.output.take() {
            // A thread that panicked has shown all that it will show.
            let _ = output.join();
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Gives the container's terminal the size of the caller's.
pub fn resize(master: impl AsFd) {
    if let Ok(size) = tcgetwinsize(std::io::stdout()) {
        // A terminal without a size keeps what it has.
        let _ = tcsetwinsize(master, size);
    }
}
