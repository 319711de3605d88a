//! `logs`: shows what a container wrote.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use executor::container::Stream;
use executor::monitor::Lock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::cli::container::LogsArgs;
use crate::containers::document::Document;
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
    let moment = |name: &str, text: &Option<String>| {
        match text {
        None => Ok(None),
        Some(text) => crate::time::moment(text).map(Some).ok_or_else(|| {
            Failure::new(
                Class::Refused,
                format!(
                    "invalid value for \"{name}\": failed to parse value as time or duration: \"{text}\""
                ),
            )
        }),
    }
    };
    let (since, until) = (moment("since", &args.since)?, moment("until", &args.until)?);
    let store = home.enter_and_open_alone()?;
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
        details: args.details.then(|| details(&document)),
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
    /// What `--details` says in front of a line.
    details: Option<String>,
}

/// The labels and variables that `--log-opt` names, as docker's `--details` writes them.
fn details(document: &Document) -> String {
    let config = &document.config;
    let names = |option: &str| {
        let names = document.host_config.log_config.config.get(option);
        names.map_or("", String::as_str).split(',')
    };
    let labels = names("labels").filter_map(|name| Some((name, config.labels.get(name)?.as_str())));
    let variables = names("env").filter_map(|wanted| {
        let mut pairs = config.env.iter().filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted)
    });
    let all: BTreeMap<&str, &str> = labels.chain(variables).collect();
    let pairs: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(",") + " "
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
            text.extend(self.details.as_deref());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_the_labels_and_variables_that_were_asked_for() {
        let mut document = Document::default();
        assert_eq!(details(&document), " ");
        document.config.env = vec!["X=y".to_owned(), "Z=1".to_owned()];
        document
            .config
            .labels
            .insert("l".to_owned(), "v".to_owned());
        let options = &mut document.host_config.log_config.config;
        options.insert("labels".to_owned(), "l,none".to_owned());
        options.insert("env".to_owned(), "X".to_owned());
        assert_eq!(details(&document), "X=y,l=v ");
    }
}
