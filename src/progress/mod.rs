//! What a build does, as it happens: solver events in, and out come a live view for terminals,
//! plain lines for logs, or JSON. Everything goes to standard error.

mod json;
mod plain;
mod steps;
mod tally;
mod terminal;

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use solver::{Event, EventSink, VertexId};

use crate::cli::build::Progress as Mode;
pub use json::to_value;
pub use steps::{Kind, Steps, bytes};
pub use tally::Tally;

/// Shows events to people or programs.
trait View: Send {
    /// Something happened to a step; `steps` is already up to date.
    fn event(&mut self, steps: &Steps, index: usize, event: &Event);
    /// A line that belongs to no step.
    fn note(&mut self, text: &str);
    /// Whether it wants to know that time goes by.
    fn ticks(&self) -> bool {
        false
    }
    /// Time went by: called about ten times a second, if it [wants](Self::ticks) that.
    fn tick(&mut self, _steps: &Steps) {}
    /// It is over.
    fn finish(&mut self, steps: &Steps);
}

/// Takes the events of a build and shows them; clones share one view.
#[derive(Clone)]
pub struct Progress {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    steps: Steps,
    view: Box<dyn View>,
    over: bool,
}

/// Something shown like a step that is none: a pull, an export.
pub struct Task {
    progress: Progress,
    id: VertexId,
    started: std::time::Instant,
}

impl Progress {
    /// A view of the kind that was asked for.
    pub fn new(mode: Mode) -> Self {
        let stderr = std::io::stderr();
        let view: Box<dyn View> = match mode {
            Mode::Tty => Box::new(terminal::Terminal::new()),
            Mode::Auto if stderr.is_terminal() => Box::new(terminal::Terminal::new()),
            Mode::Auto | Mode::Plain => Box::new(plain::Plain::new(stderr)),
            Mode::Json => Box::new(json::Json::new(stderr)),
            Mode::Quiet => Box::new(Quiet),
        };
        let ticks = view.ticks();
        let progress = Self {
            shared: Arc::new(Mutex::new(Shared {
                steps: Steps::default(),
                view,
                over: false,
            })),
        };
        if ticks {
            progress.start_clock();
        }
        progress
    }

    /// Names the steps to come, in the order in which they are numbered.
    pub fn expect(&self, steps: impl IntoIterator<Item = (VertexId, Kind, String)>) {
        let mut shared = self.lock();
        for (id, kind, name) in steps {
            shared.steps.expect(id, kind, name);
        }
    }

    /// Shows a line that belongs to no step.
    pub fn note(&self, text: &str) {
        self.lock().view.note(text);
    }

    /// Shows something like a step that is none.
    pub fn task(&self, name: impl Into<String>) -> Task {
        let mut shared = self.lock();
        let id = shared.steps.new_id();
        shared.steps.expect(id, Kind::Task, name.into());
        drop(shared);
        self.event(Event::Started { vertex: id });
        Task {
            progress: self.clone(),
            id,
            started: std::time::Instant::now(),
        }
    }

    /// Clears the live view and shows the summary; later events are ignored.
    pub fn finish(&self) {
        let mut shared = self.lock();
        let Shared { steps, view, over } = &mut *shared;
        if !std::mem::replace(over, true) {
            view.finish(steps);
        }
    }

    /// What became of the steps so far.
    pub fn steps(&self) -> Steps {
        self.lock().steps.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ticks until it is over or nobody holds the progress any more.
    fn start_clock(&self) {
        let weak = Arc::downgrade(&self.shared);
        // Without a clock only the times stand still.
        let _ = std::thread::Builder::new().spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(100));
                let Some(shared) = weak.upgrade() else { return };
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let Shared { steps, view, over } = &mut *shared;
                if *over {
                    return;
                }
                view.tick(steps);
            }
        });
    }
}

impl EventSink for Progress {
    fn event(&self, event: Event) {
        let mut shared = self.lock();
        let Shared { steps, view, over } = &mut *shared;
        if *over {
            return;
        }
        if let Some(index) = steps.update(&event) {
            view.event(steps, index, &event);
        }
    }
}

impl Task {
    /// Notes how far it is, in bytes; `total` is 0 when not known.
    pub fn advance(&self, item: &str, done: u64, total: u64) {
        self.progress.event(Event::Progress {
            vertex: self.id,
            item: item.to_owned(),
            done,
            total,
        });
    }

    /// Ends it well.
    pub fn done(self) {
        self.progress.event(Event::Done {
            vertex: self.id,
            elapsed: self.started.elapsed(),
        });
    }

    /// Ends it badly; the reason is in the error that follows.
    pub fn failed(self, message: &str) {
        self.progress.event(Event::Failed {
            vertex: self.id,
            message: message.to_owned(),
        });
    }
}

struct Quiet;

impl View for Quiet {
    fn event(&mut self, _: &Steps, _: usize, _: &Event) {}
    fn note(&mut self, _: &str) {}
    fn finish(&mut self, _: &Steps) {}
}
