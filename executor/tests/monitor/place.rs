//! A store with one layer, containers in it, and short ways to start them and hear them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use executor::container::Stream;
use executor::container::hook::Hooks;
use executor::container::spec::{Network, Upper};
use executor::monitor::{
    Attach, Attached, Control, Event, Life, LogOptions, MonitorError, Restart, Status, Waiting,
    start,
};
use executor::network::Plan;

use crate::base::{Fixture, spec};

/// The argument that makes this program what a monitor becomes at last.
pub const AFTERWARDS: &str = "after-a-container";

pub struct World {
    fixture: Fixture,
    next: AtomicUsize,
}

/// A container in the world, whose monitor ends with the test at the latest.
pub struct Place {
    pub life: Life,
    pub folder: PathBuf,
}

/// All that somebody attached heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub out: String,
    pub err: String,
    /// None when the monitor was lost.
    pub code: Option<i32>,
}

impl World {
    pub fn new() -> Option<Self> {
        Some(Self {
            fixture: Fixture::new()?,
            next: AtomicUsize::new(0),
        })
    }

    pub fn store(&self) -> &Path {
        self.fixture.store.path()
    }

    /// A container that runs a script with the host's network.
    pub fn place(&self, script: &str) -> Place {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:032x}{number:032x}", std::process::id());
        let relative = PathBuf::from("containers").join(&id);
        let folder = self.store().join(&relative);
        let upper = Upper {
            fs: relative.join("fs"),
            work: relative.join("work"),
        };
        for directory in [&upper.fs, &upper.work] {
            std::fs::create_dir_all(self.store().join(directory)).unwrap();
        }
        let mut spec = spec(Some(upper), script);
        spec.root.volatile = false;
        spec.network = Network::Host;
        Place {
            folder,
            life: Life {
                id,
                store_root: self.store().to_owned(),
                folder: relative,
                host_sources: vec![self.store().join("offered")],
                spec,
                contents: Vec::new(),
                restart: Restart::No,
                health: None,
                stop_signal: libc_sigterm(),
                stop_timeout: Some(120),
                log: LogOptions::default(),
                network: Plan::Host,
                keep_stdin: false,
                afterwards: None,
                runtime: None,
                hooks: Hooks::default(),
                annotations: std::collections::BTreeMap::new(),
            },
        }
    }
}

const fn libc_sigterm() -> i32 {
    15
}

impl Place {
    /// Starts it, with nobody attached.
    pub fn start(&self) -> Result<(), MonitorError> {
        start(Waiting::new()?, &self.life, &[], None).map(|_| ())
    }

    /// Starts it, attached from its first byte.
    pub fn attached(&self, stdin: bool) -> Attached {
        let attach = Attach { stdin, size: None };
        let started = start(Waiting::new().unwrap(), &self.life, &[], Some(attach)).unwrap();
        started.attached.unwrap()
    }

    pub fn control(&self) -> Control {
        Control::connect(&self.folder).unwrap().unwrap()
    }

    pub fn status(&self) -> Status {
        Status::settled(&self.folder).unwrap().0
    }

    /// Waits until its monitor is gone, and gives what it left.
    pub fn over(&self) -> Status {
        if let Some(control) = Control::connect(&self.folder).unwrap() {
            control.gone().unwrap();
        }
        self.status()
    }

    /// Waits for a state.
    pub fn until(&self, wanted: &str, is: impl Fn(&Status) -> bool) -> Status {
        let end = Instant::now() + Duration::from_mins(2);
        loop {
            let status = self.status();
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < end, "never {wanted}: {status:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until its first process is a program of that name: one that has been executed a moment
    /// ago, or that a shell executes in its own place, has another one before.
    pub fn until_called(&self, name: &str) -> Status {
        self.until(name, |status| {
            std::fs::read_to_string(format!("/proc/{}/comm", status.pid))
                .is_ok_and(|called| called.trim_end() == name)
        })
    }

    /// Texts of its log, by stream.
    pub fn log(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let read = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let word = |name: &str| value[name].as_str().unwrap().to_owned();
            (word("stream"), word("log"))
        };
        text.lines().map(read).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(Some(control)) = Control::connect(&self.folder) {
            let _ = control.stop(None, Some(0));
        }
    }
}

/// Hears a container until it ends, or its monitor.
pub fn hear(attached: &mut Attached) -> Heard {
    let mut heard = Heard::default();
    loop {
        match attached.next().unwrap() {
            Event::Output(Stream::Out, bytes) => heard.out += &String::from_utf8_lossy(&bytes),
            Event::Output(Stream::Err, bytes) => heard.err += &String::from_utf8_lossy(&bytes),
            Event::Ended(code) => {
                heard.code = Some(code);
                return heard;
            }
            Event::Lost => return heard,
        }
    }
}

/// Hears a container until it has said `words`.
pub fn hear_until(attached: &mut Attached, words: &str) -> String {
    let mut heard = String::new();
    while !heard.contains(words) {
        match attached.next().unwrap() {
            Event::Output(_, bytes) => heard += &String::from_utf8_lossy(&bytes),
            other => panic!("{other:?} after {heard:?}, before {words:?}"),
        }
    }
    heard
}

/// What a monitor becomes at last: notes that it came here.
pub fn afterwards(path: &str) -> i32 {
    i32::from(std::fs::write(path, "was here").is_err())
}
