//! `logs`: shows what a container wrote.

use std::io::Write;
use std::path::Path;

use executor::container::Stream;
use executor::monitor::Lock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::cli::container::LogsArgs;
use crate::containers::find;
use crate::containers::log::{Entry, Reader, tail};
use crate::home::Home;
use crate::report::{Class, Failure};

/// How long a change may go unnoticed that no event tells of: the death of a monitor.
const INTERVAL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Shows a log.
pub fn run(args: &LogsArgs, home: &Home) -> anyhow::Result<u8> {
    let moment = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => crate::time::moment(text).map(Some).ok_or_else(|| {
            Failure::new(
                Class::Refused,
                format!("invalid value for \"since\" or \"until\": {text}"),
            )
        }),
    };
    let (since, until) = (moment(&args.since)?, moment(&args.until)?);
    let store = home.enter_and_open()?;
    let row = find::row(&store, &args.container)?;
    let document = find::document(&store, &row)?;
    if !document.log.keep {
        return Err(Failure::new(
            Class::Refused,
            "configured logging driver does not support reading",
        )
        .into());
    }
    let folder = find::folder(&store, &row);
    let unreadable = |error: std::io::Error| Failure::from_error(Class::System, &error);
    let watch = watch(&folder).map_err(|errno| unreadable(errno.into()))?;
    let mut reader = Reader::new(&folder);
    let mut shower = Shower {
        args,
        since,
        until,
        is_inside: [false; 2],
    };
    // Any number that is none is all.
    if let Ok(count) = args.tail.parse::<usize>() {
        for entry in tail(&mut reader, count).map_err(unreadable)? {
            if !shower.show(&entry)? {
                return Ok(0);
            }
        }
    }
    loop {
        let is_live = args.follow && find::status(&store, &row)?.state.is_live();
        if args.follow && !is_live {
            // The last words are in the log once the monitor is gone.
            match Lock::wait(&folder) {
                Ok(lock) => drop(lock),
                // It was removed: what is open can still be read.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(error).into()),
            }
        }
        while let Some(entry) = reader.next().map_err(unreadable)? {
            if !shower.show(&entry)? {
                return Ok(0);
            }
        }
        if !is_live || !folder.exists() {
            return Ok(0);
        }
        wait(&watch);
    }
}

/// Hears of changes in a folder.
fn watch(folder: &Path) -> rustix::io::Result<rustix::fd::OwnedFd> {
    use inotify::{CreateFlags, WatchFlags};
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &watch,
        folder,
        WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE,
    )?;
    Ok(watch)
}

fn wait(watch: &rustix::fd::OwnedFd) {
    let mut fds = [PollFd::new(watch, PollFlags::IN)];
    // Whatever it is that woke us, the log is read again.
    let _ = poll(&mut fds, Some(&INTERVAL));
    let mut buffer = [0; 4096];
    while rustix::io::read(watch, &mut buffer).is_ok_and(|count| count > 0) {}
}

/// Shows entries as they were asked for.
struct Shower<'a> {
    args: &'a LogsArgs,
    since: Option<i64>,
    until: Option<i64>,
    /// Whether the last entry of a stream was a line without its end.
    is_inside: [bool; 2],
}

impl Shower<'_> {
    /// Shows an entry; false once all that follow are too late.
    fn show(&mut self, entry: &Entry) -> Result<bool, Failure> {
        let moment = match (self.since, self.until) {
            (None, None) => 0,
            _ => entry.moment(),
        };
        if self.until.is_some_and(|until| moment > until) {
            return Ok(false);
        }
        if self.since.is_some_and(|since| moment < since) {
            return Ok(true);
        }
        let inside = &mut self.is_inside[usize::from(entry.stream == Stream::Err)];
        let mut text = String::new();
        if !*inside {
            if self.args.timestamps {
                text.push_str(&entry.fixed_time());
                text.push(' ');
            }
            if self.args.details {
                text.push(' ');
            }
        }
        text.push_str(&entry.text);
        *inside = !entry.text.ends_with('\n');
        match entry.stream {
            Stream::Out => crate::output::print(&text)?,
            Stream::Err => std::io::stderr()
                .write_all(text.as_bytes())
                .map_err(|error| crate::output::failure(&error))?,
        }
        Ok(true)
    }
}
