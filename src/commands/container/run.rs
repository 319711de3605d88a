//! `run`: makes a container and starts it, in the foreground or not.

use cache::{Store, StoredContainer};
use executor::monitor::{Attach, Attached};

use super::create;
use crate::cli::container::RunArgs;
use crate::containers::document::Document;
use crate::containers::session::{End, Session, check_terminal, keys};
use crate::containers::start::{Start, start, waiting};
use crate::containers::{ENGINE, find, remove, request};
use crate::home::Home;
use crate::output::print;
use crate::report::{Class, Failure};
use crate::stop::Signals;

/// Makes and starts a container; gives the exit code of its process, or docker's 125, 126 and 127.
pub fn run(args: &RunArgs, home: &Home) -> anyhow::Result<u8> {
    if args.detach && !args.flags.process.attach.is_empty() {
        return Err(Failure::new(Class::Refused, "Conflicting options: -a and -d").into());
    }
    let request = request::understand(&args.flags, args.detach).map_err(engine)?;
    let keys = keys(args.detach_keys.as_deref())?;
    let config = &request.document.config;
    check_terminal(config.tty, config.attach_stdin)?;
    let session = Session {
        terminal: config.tty,
        stdin: config.attach_stdin,
        stdout: config.attach_stdout,
        stderr: config.attach_stderr,
        signals: args.sig_proxy,
        keys,
    };
    Ok(go(args, home, request, &session).map_err(engine)?)
}

/// Whatever kept the process from being started is docker's 125.
fn engine(mut failure: Failure) -> Failure {
    if !matches!(
        failure.class,
        Class::Container(_) | Class::Interrupted | Class::Unread
    ) {
        failure.class = ENGINE;
    }
    failure
}

fn go(
    args: &RunArgs,
    home: &Home,
    request: request::Request,
    session: &Session,
) -> Result<u8, Failure> {
    Home::enter()?;
    // it gets ready while the container is made
    let waiting = waiting()?;
    let store = home.open()?;
    let (row, document) = create::make(&store, &args.flags, request)?;
    let is_detached = !session.stdout && !session.stderr && !session.stdin;
    if is_detached {
        print(&format!("{}\n", row.id))?;
    }
    let attach = (!is_detached).then(|| Attach {
        stdin: session.stdin,
        size: crate::terminal::size(),
    });
    let attached = match start(&store, &row, &document, waiting, attach) {
        Ok(Start::Started(attached)) => attached,
        // Somebody else started it in the moment between.
        Ok(Start::Running) => None,
        Err(failure) => {
            if document.host_config.auto_remove {
                remove::remove(&store, &row, true, true)?;
            }
            return Err(failure);
        }
    };
    match attached {
        None => Ok(0),
        Some(attached) => stay(&store, &row, &document, attached, session, 0),
    }
}

/// Stays with a container until it ends, and removes it then if that was asked for. `left` is the exit
/// code when the keys end the session before.
pub fn stay(
    store: &Store,
    row: &StoredContainer,
    document: &Document,
    mut attached: Attached,
    session: &Session,
    left: u8,
) -> Result<u8, Failure> {
    match session.attend(&mut attached, &Signals::take())? {
        End::Exited(code) => {
            if document.host_config.auto_remove {
                attached.input().take_over();
                remove::remove_ended(store, row)?;
            }
            Ok(code)
        }
        End::Detached => Ok(left),
        End::Lost => {
            let status = find::status(store, row)?;
            Ok(u8::try_from(status.exit_code).unwrap_or(1))
        }
    }
}
