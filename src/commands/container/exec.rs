//! `exec`: starts another process in a running container.

use std::os::fd::{AsFd, OwnedFd};

use executor::container::spec::Process;
use executor::monitor::{Exec, ExecStdio, Executed, MonitorError, State};
use signal_hook::consts::SIGWINCH;

use crate::cli::container::ExecArgs;
use crate::containers::document::Document;
use crate::containers::session::{check_terminal, keys};
use crate::containers::{env, find, ulimits};
use crate::home::Home;
use crate::keys::Keys;
use crate::report::{Class, Failure};
use crate::stop::Signals;
use crate::terminal::{Joined, resize, size};

/// docker's code for what could not be executed.
const NOT_EXECUTED: u8 = 126;

/// Starts the process, stays with it unless told otherwise, and ends with its exit code.
pub fn run(args: &ExecArgs, home: &Home) -> anyhow::Result<u8> {
    let keys = keys(args.detach_keys.as_deref()).map_err(|mut failure| {
        failure.class = Class::Refused;
        failure
    })?;
    check_terminal(args.tty, args.interactive && !args.detach)?;
    let given = env::given(&args.env, &args.env_files, |name| std::env::var(name).ok());
    let given = given.map_err(|mut failure| {
        failure.class = Class::Refused;
        failure
    })?;
    let (container, command) = args
        .words
        .split_first()
        .ok_or_else(|| Failure::new(Class::Refused, "exec requires at least 2 arguments"))?;
    let store = home.enter_and_open_alone()?;
    let row = find::row(&store, container)?;
    let document = find::document(&store, &row)?;
    let not_running = || {
        Failure::new(
            Class::Refused,
            format!("Container {} is not running", row.id),
        )
    };
    let paused = || {
        Failure::new(
            Class::Refused,
            format!("Container {container} is paused, unpause the container before exec"),
        )
    };
    match find::status(&store, &row)?.state {
        State::Running => {}
        State::Paused => return Err(paused().into()),
        State::Restarting => {
            return Err(Failure::new(
                Class::Refused,
                format!(
                    "Container {} is restarting, wait until the container is running",
                    row.id
                ),
            )
            .into());
        }
        _ => return Err(not_running().into()),
    }
    let control = find::control(&store, &row)?.ok_or_else(not_running)?;
    let exec = Exec {
        process: process(args, command, &document, given),
        privileged: args.privileged,
        stdio: stdio(args)?,
    };
    let executed = control.exec(exec).map_err(|error| match &error {
        MonitorError::Paused => paused(),
        MonitorError::NotRunning | MonitorError::Ended => not_running(),
        // Nobody waits for its code.
        _ if args.detach => Failure::from_error(Class::Refused, &error),
        MonitorError::Container(_) if error.exit_status().is_none() => {
            Failure::from_error(Class::Container(NOT_EXECUTED), &error)
        }
        _ => find::monitor_failure(&error),
    })?;
    if args.detach {
        return Ok(0);
    }
    Ok(stay(args, executed, keys)?)
}

fn process(
    args: &ExecArgs,
    command: &[String],
    document: &Document,
    given: Vec<String>,
) -> Process {
    let config = &document.config;
    let mut own = config.env.clone();
    own.extend(given);
    Process {
        args: command.to_vec(),
        env: env::complete(&own, &config.hostname, args.tty),
        cwd: match args.workdir.as_ref().unwrap_or(&config.working_dir) {
            dir if dir.is_empty() => "/".to_owned(),
            dir => dir.clone(),
        },
        user: args.user.as_ref().unwrap_or(&config.user).clone(),
        terminal: args.tty,
        groups: document.host_config.group_add.clone().unwrap_or_default(),
        ulimits: document
            .host_config
            .ulimits
            .iter()
            .flatten()
            .map(ulimits::written)
            .collect(),
        no_new_privileges: crate::containers::no_new_privileges(document),
        init: false,
    }
}

fn stdio(args: &ExecArgs) -> Result<ExecStdio, Failure> {
    if args.detach {
        return Ok(ExecStdio::Null);
    }
    if args.tty {
        let (rows, columns) = size().unwrap_or((24, 80));
        return Ok(ExecStdio::Terminal { rows, columns });
    }
    let given = || -> std::io::Result<[OwnedFd; 3]> {
        Ok([
            if args.interactive {
                std::io::stdin().as_fd().try_clone_to_owned()?
            } else {
                std::fs::File::open("/dev/null")?.into()
            },
            std::io::stdout().as_fd().try_clone_to_owned()?,
            std::io::stderr().as_fd().try_clone_to_owned()?,
        ])
    };
    given()
        .map(ExecStdio::Given)
        .map_err(|error| Failure::from_error(Class::System, &error))
}

fn stay(args: &ExecArgs, mut executed: Executed, keys: Keys) -> Result<u8, Failure> {
    let Some(master) = executed.take_terminal() else {
        return code(executed);
    };
    // The process's end; none when the keys were typed.
    let (said, hear) = std::sync::mpsc::channel::<Option<Result<u8, Failure>>>();
    let left = said.clone();
    let mut joined = Joined::new(&master, args.interactive, keys, move || {
        // Nobody hears it when the process has ended meanwhile.
        let _ = left.send(None);
    })
    .map_err(|error| Failure::from_error(Class::System, &error))?;
    Signals::take().forward(move |signal| {
        if signal == SIGWINCH {
            resize(&master);
        }
    });
    std::thread::spawn(move || {
        // Nobody hears it when the keys were typed.
        let _ = said.send(Some(code(executed)));
    });
    match hear.recv() {
        Ok(Some(code)) => {
            joined.drain();
            code
        }
        Ok(None) => {
            drop(joined);
            crate::report::note("read escape sequence");
            Ok(super::attach::LEFT)
        }
        Err(_) => Err(Failure::new(Class::Ours, "nobody waits for the process")),
    }
}

fn code(executed: Executed) -> Result<u8, Failure> {
    match executed.wait() {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(1)),
        // The container ended, and took the process with it.
        Err(MonitorError::Ended) => Ok(137),
        Err(error) => Err(find::monitor_failure(&error)),
    }
}
