//! The caller's standard input, output, terminal and signals, joined to a running container.

use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use executor::container::Stream;
use executor::monitor::{Attached, Event, Input};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};

use super::ENGINE;
use super::document::Config;
use crate::keys::Keys;
use crate::report::{Class, Failure};
use crate::stop::Signals;
use crate::terminal::{Raw, size};

/// The request to stop that is not passed on any more but kills the container, as Docker has it.
const INSISTING: u32 = 3;
const SIGKILL: i32 = 9;

/// What is joined.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whether the container has a terminal.
    pub terminal: bool,
    /// Whether it hears standard input.
    pub stdin: bool,
    /// Whether its standard output is shown.
    pub stdout: bool,
    /// Whether its standard error is shown.
    pub stderr: bool,
    /// Whether signals go to it.
    pub signals: bool,
    /// Keys that leave it running.
    pub keys: Keys,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The container ended with this code.
    Exited(u8),
    /// The caller left it running.
    Detached,
    /// Its monitor is gone.
    Lost,
}

/// Keys that leave a container running, as they were written.
pub fn keys(text: Option<&str>) -> Result<Keys, Failure> {
    Keys::parse(text).map_err(|word| {
        Failure::new(
            ENGINE,
            format!(
                "invalid detach keys ({}): {word} is no key",
                text.unwrap_or_default()
            ),
        )
    })
}

/// Whether the caller has what a session on a terminal needs.
pub fn check_terminal(terminal: bool, stdin: bool) -> Result<(), Failure> {
    if terminal && stdin && !std::io::stdin().is_terminal() {
        return Err(
            Failure::new(Class::Refused, "the input device is not a TTY").help("leave out -t"),
        );
    }
    Ok(())
}

impl Session {
    /// All of a container's output, and its input if `stdin`.
    ///
    /// # Errors
    /// When the caller's input is no terminal and the container's would be.
    pub fn whole(config: &Config, stdin: bool, signals: bool, keys: Keys) -> Result<Self, Failure> {
        let stdin = stdin && config.open_stdin;
        check_terminal(config.tty, stdin)?;
        Ok(Self {
            terminal: config.tty,
            stdin,
            stdout: true,
            stderr: true,
            signals,
            keys,
        })
    }

    /// Stays until the container ends or the caller leaves.
    pub fn attend(&self, attached: &mut Attached, signals: &Signals) -> Result<End, Failure> {
        let raw = if self.terminal && self.stdin {
            Some(Raw::new().map_err(|error| Failure::from_error(Class::System, &error))?)
        } else {
            None
        };
        let input = attached.input();
        if self.terminal {
            resize(&input);
        }
        let detached = Arc::new(AtomicBool::new(false));
        self.pass_signals(&input, signals);
        if self.stdin {
            let (input, keys) = (input, self.keys.clone());
            let keys = self.terminal.then_some(keys);
            let detached = Arc::clone(&detached);
            std::thread::spawn(move || read(&input, keys, &detached));
        }
        let end = self.show(attached)?;
        drop(raw);
        if end == End::Lost && detached.load(Ordering::SeqCst) {
            crate::report::note("read escape sequence");
            return Ok(End::Detached);
        }
        Ok(end)
    }

    /// Shows what the container writes.
    fn show(&self, attached: &mut Attached) -> Result<End, Failure> {
        let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
        loop {
            let event = attached
                .next()
                .map_err(|error| super::find::monitor_failure(&error))?;
            match event {
                Event::Output(Stream::Out, bytes) if self.stdout => stdout
                    .write_all(&bytes)
                    .and_then(|()| stdout.flush())
                    .map_err(|error| crate::output::failure(&error))?,
                Event::Output(Stream::Err, bytes) if self.stderr => stderr
                    .write_all(&bytes)
                    .map_err(|error| crate::output::failure(&error))?,
                Event::Output(..) => {}
                Event::Ended(code) => return Ok(End::Exited(u8::try_from(code).unwrap_or(1))),
                Event::Lost => return Ok(End::Lost),
            }
        }
    }

    fn pass_signals(&self, input: &Input, signals: &Signals) {
        let input = input.clone();
        let (terminal, passed) = (self.terminal, self.signals);
        let mut asked = 0;
        signals.forward(move |signal| match signal {
            SIGWINCH => {
                if terminal {
                    resize(&input);
                }
            }
            // The container goes on, as it does when its terminal goes away.
            SIGHUP | SIGINT | SIGTERM | SIGQUIT if !passed => {
                std::process::exit(128 + signal);
            }
            _ if !passed => {}
            // The kernel drops what a first process has no handler for: whoever insists means it.
            SIGINT | SIGTERM => {
                asked += 1;
                input.signal(if asked >= INSISTING { SIGKILL } else { signal });
            }
            signal => input.signal(signal),
        });
    }
}

fn resize(input: &Input) {
    if let Some((rows, columns)) = size() {
        input.resize(rows, columns);
    }
}

/// Passes standard input on, until it ends or the keys are typed.
fn read(input: &Input, mut keys: Option<Keys>, detached: &AtomicBool) {
    let mut stdin = std::io::stdin().lock();
    let mut buffer = vec![0; 1 << 15];
    loop {
        let count = match stdin.read(&mut buffer) {
            Ok(0) | Err(_) => return input.end(),
            Ok(count) => count,
        };
        let (bytes, is_left) = match &mut keys {
            Some(keys) => keys.typed(&buffer[..count]),
            None => (buffer[..count].to_vec(), false),
        };
        if !bytes.is_empty() && input.write(&bytes).is_err() {
            return;
        }
        if is_left {
            detached.store(true, Ordering::SeqCst);
            return input.hang_up();
        }
    }
}
