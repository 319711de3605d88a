//! The caller's terminal while a container has one of its own: raw, resized along, bytes both ways.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::keys::Keys;

/// The caller's terminal, raw: keys come as they are typed. As it was before once this is dropped.
pub struct Raw {
    before: Option<Termios>,
}

impl Raw {
    /// Makes it raw, if standard input is one.
    pub fn new() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = if stdin.is_terminal() {
            tcgetattr(&stdin).ok()
        } else {
            None
        };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        }
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Rows and columns of the caller's terminal.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout())
        .or_else(|_| tcgetwinsize(std::io::stdin()))
        .ok()?;
    Some((size.ws_row, size.ws_col))
}

/// Gives the other side of a terminal the size of the caller's.
pub fn resize(master: impl AsFd) {
    if let Ok(size) = tcgetwinsize(std::io::stdout()) {
        // A terminal without a size keeps what it has.
        let _ = tcsetwinsize(master, size);
    }
}

/// The caller's terminal, joined to another one. As it was before once this is dropped.
pub struct Joined {
    _raw: Option<Raw>,
    output: Option<std::thread::JoinHandle<()>>,
}

impl Joined {
    /// Joins the terminal to `master`, the other side of a process's. When `keys` are typed, what is
    /// shown ends, and `left` is called.
    pub fn new(
        master: &OwnedFd,
        interactive: bool,
        mut keys: Keys,
        left: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let raw = if interactive { Some(Raw::new()?) } else { None };
        resize(master);
        if interactive {
            let mut to = File::from(master.try_clone()?);
            std::thread::spawn(move || {
                let mut stdin = std::io::stdin();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stdin.read(&mut buffer) {
                    let (bytes, is_left) = keys.typed(&buffer[..count]);
                    if to.write_all(&bytes).is_err() {
                        return;
                    }
                    if is_left {
                        return left();
                    }
                }
            });
        }
        let mut from = File::from(master.try_clone()?);
        let output = std::thread::spawn(move || {
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
        });
        Ok(Self {
            _raw: raw,
            output: Some(output),
        })
    }

    /// Waits until everything that the process wrote is shown.
    pub fn drain(&mut self) {
        if let Some(output) = self.output.take() {
            // A thread that panicked has shown all that it will show.
            let _ = output.join();
        }
    }
}
