//! The `rbuild` binary: the only code that prints, reads the environment and picks exit codes.
//!
//! - [`cli`]: the arguments
//! - [`commands`]: one file for each command
//! - [`pipeline`]: a build on one screen
//! - [`findings`]: what a check found, for people and programs
//! - [`graph`]: plans as pictures
//! - [`images`], [`export`]: images found, made and given away
//! - [`containers`], [`volumes`]: containers made, found and started, and what outlives them
//! - [`copy`]: files carried between containers and the host
//! - [`diff`], [`replace`]: a user's file, shown and written anew
//! - [`template`], [`columns`], [`output`]: how results are printed
//! - [`progress`], [`report`]: what people see

mod cli;
mod columns;
mod commands;
mod containers;
mod contexts;
mod copy;
mod devices;
mod diff;
mod export;
mod findings;
mod graph;
mod hint;
mod home;
mod images;
mod keys;
mod networks;
mod output;
mod pipeline;
mod progress;
mod project;
mod replace;
mod report;
mod request;
mod stop;
mod template;
mod terminal;
mod threads;
mod time;
mod volumes;

use std::ffi::OsString;
use std::process::ExitCode;

use executor::container::LAUNCHER_ARGUMENT;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The launcher is this program under another first argument; it must not meet clap, nor threads.
    if arguments
        .get(1)
        .is_some_and(|first| first == LAUNCHER_ARGUMENT)
    {
        let status = executor::container::launcher_main();
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    if arguments
        .get(1)
        .is_some_and(|first| first == executor::monitor::MONITOR_ARGUMENT)
    {
        let status = executor::monitor::monitor_main();
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    raise_open_files();
    let cli = match cli::parse(arguments) {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
    match commands::dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(report::report(&error)),
    }
}

/// Lets this program have as many files open as it may: the usual soft limit of 1,024 is for
/// programs that still use select(2). Containers get limits of their own.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Without it there are fewer files to be had, which is said when they run out.
    let _ = setrlimit(Resource::Nofile, raised);
}
