//! Beginnings and ends: status, output, cancelling, and what happens when somebody dies.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio as CommandStdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use executor::container::{Attachments, ContainerError, Status, Stdio};

use crate::Case;
use crate::fixture::{Fixture, launch, spec};

pub const CASES: &[Case] = &[
    ("lifecycle::status", status),
    ("lifecycle::missing_commands", missing_commands),
    (
        "lifecycle::output_ends_with_the_process",
        output_ends_with_the_process,
    ),
    ("lifecycle::much_output", much_output),
    ("lifecycle::cancel", cancel),
    ("lifecycle::dropped", dropped),
    ("lifecycle::side_by_side", side_by_side),
    ("lifecycle::announced", announced),
    ("lifecycle::terminal", terminal),
    ("lifecycle::init", init),
    (
        "lifecycle::a_killed_caller_takes_all_with_it",
        a_killed_caller_takes_all_with_it,
    ),
    ("lifecycle::locks_are_held", locks_are_held),
];

/// The argument that makes this program start a container and hang.
pub const HOLD: &str = "hold-a-container";

fn status(fixture: &Fixture) {
    let cases = [
        ("exit 0", Status::Code(0)),
        ("exit 7", Status::Code(7)),
        ("sh -c 'kill -TERM $$'; exit $?", Status::Code(143)),
    ];
    for (script, status) in cases {
        let said = fixture.run(&fixture.spec(script)).unwrap();
        assert_eq!(said.exit.status, status, "{script}");
        assert!(said.exit.usage.peak_memory > 0);
        assert!(!said.exit.oom);
    }
}

fn missing_commands(fixture: &Fixture) {
    let mut spec = fixture.spec("");
    let codes = [
        ("nosuch", Some(127)),
        ("/nosuch", Some(127)),
        ("data", Some(127)),
        ("/bin/data", Some(126)),
        ("/etc", Some(126)),
        ("true", None),
    ];
    for (program, code) in codes {
        spec.process.args = vec![program.to_owned()];
        let outcome = fixture.run(&spec);
        let got = outcome.as_ref().err().and_then(ContainerError::exit_status);
        assert_eq!(got, code, "{program}: {outcome:?}");
        assert_eq!(outcome.is_ok(), code.is_none());
        // the same upper directory again: the throw-away mount left its mark
        let mark = fixture
            .store
            .path()
            .join(spec.root.upper.as_ref().unwrap().work.join("work"));
        let _ = std::fs::remove_dir_all(mark);
    }
    spec.process.args = Vec::new();
    assert_eq!(fixture.run(&spec).unwrap_err(), ContainerError::NoCommand);
}

fn output_ends_with_the_process(fixture: &Fixture) {
    let began = Instant::now();
    let out = fixture.sh("sleep 1000 & echo first");
    assert_eq!(out, "first\n");
    assert!(began.elapsed() < Duration::from_mins(1));
}

fn much_output(fixture: &Fixture) {
    let said = fixture
        .run(&fixture.spec("dd if=/dev/zero bs=1024 count=2048 2>/dev/null; echo end >&2"))
        .unwrap();
    assert_eq!(said.out.len(), 2 << 20);
    assert_eq!(said.err, "end\n");
}

fn cancel(fixture: &Fixture) {
    let spec = fixture.spec("echo ready; sleep 1000");
    let running = fixture
        .launcher
        .run(&spec, Attachments::default(), Stdio::Pipes)
        .unwrap();
    let ready = AtomicBool::new(false);
    let cancelled = || ready.load(Ordering::Relaxed);
    let exit = running.wait(&cancelled, &mut |_, _| ready.store(true, Ordering::Relaxed));
    assert_eq!(exit.unwrap().status, Status::Signal(9));
}

fn dropped(fixture: &Fixture) {
    let mut held = lock(fixture, "sleep 1000");
    // the end of the pipe is the end of the launcher's copy: the container was reaped
    assert_eq!(held.read(&mut [0]).unwrap(), 0);
}

/// Starts a container, for which the launcher holds the writing end of a pipe, and drops it.
fn lock(fixture: &Fixture, script: &str) -> std::io::PipeReader {
    let (read, write) = std::io::pipe().unwrap();
    let spec = fixture.spec(script);
    let attachments = Attachments {
        held: vec![std::os::fd::AsFd::as_fd(&write)],
        ..Attachments::default()
    };
    let running = fixture
        .launcher
        .run(&spec, attachments, Stdio::Null)
        .unwrap();
    drop(running);
    drop(write);
    read
}

fn locks_are_held(fixture: &Fixture) {
    let (mut read, write) = std::io::pipe().unwrap();
    let spec = fixture.spec("echo ready; sleep 1000");
    let attachments = Attachments {
        held: vec![std::os::fd::AsFd::as_fd(&write)],
        ..Attachments::default()
    };
    let running = fixture
        .launcher
        .run(&spec, attachments, Stdio::Pipes)
        .unwrap();
    drop(write);
    let killer = running.killer();
    let mut held = None;
    running
        .wait(&|| false, &mut |_, _| {
            // the container does not have it, the launcher does
            do_not_block(&read);
            held = Some((&read).read(&mut [0]).map_err(|error| error.kind()));
            killer.signal(9);
        })
        .unwrap();
    assert_eq!(held, Some(Err(std::io::ErrorKind::WouldBlock)));
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::empty()).unwrap();
    // and gives it back after the end
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
}

fn do_not_block(pipe: &std::io::PipeReader) {
    rustix::fs::fcntl_setfl(pipe, rustix::fs::OFlags::NONBLOCK).unwrap();
}

fn side_by_side(fixture: &Fixture) {
    // each waits for the other's name in a directory that both have
    let shared = fixture.store.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::thread::scope(|scope| {
        for (mine, theirs) in [("a", "b"), ("b", "a")] {
            let script = format!("touch /s/{mine}; while [ ! -e /s/{theirs} ]; do :; done");
            let mut spec = fixture.spec(&script);
            let source = executor::container::spec::MountSource::Store("shared".into());
            spec.mounts.push(crate::fixture::mount("/s", source));
            scope.spawn(move || assert_eq!(fixture.run(&spec).unwrap().exit.status.code(), 0));
        }
    });
}

fn announced(fixture: &Fixture) {
    let announce = || Attachments {
        announce: true,
        ..Attachments::default()
    };
    let spec = fixture.spec("sleep 1000");
    let mut running = fixture
        .launcher
        .run(&spec, announce(), Stdio::Null)
        .unwrap();
    assert!(running.started().unwrap() > 1);
    running.kill();
    let exit = running.wait(&|| false, &mut |_, _| {}).unwrap();
    assert_eq!(exit.status.code(), 137);

    let mut spec = fixture.spec("");
    spec.process.args = vec!["nosuch".to_owned()];
    let mut running = fixture
        .launcher
        .run(&spec, announce(), Stdio::Null)
        .unwrap();
    assert_eq!(running.started().unwrap_err().exit_status(), Some(127));
}

fn terminal(fixture: &Fixture) {
    let mut spec = fixture
        .spec("tty; read line; stty size; echo got $line; [ -c /dev/console ] && echo console");
    spec.process.terminal = true;
    let mut running = fixture
        .launcher
        .run(&spec, Attachments::default(), Stdio::Terminal)
        .unwrap();
    let master = running.take_terminal().unwrap().unwrap();
    rustix::termios::tcsetwinsize(
        &master,
        rustix::termios::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )
    .unwrap();
    let mut writer = std::fs::File::from(master.try_clone().unwrap());
    writer.write_all(b"hello\n").unwrap();
    let mut text = Vec::new();
    // the master gives an error when the last of the other side is gone
    let _ = std::fs::File::from(master).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    for wanted in ["/dev/pts/0", "24 80", "got hello", "console"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    drop(writer);
    assert_eq!(
        running
            .wait(&|| false, &mut |_, _| {})
            .unwrap()
            .status
            .code(),
        0
    );
}

fn init(fixture: &Fixture) {
    let mut spec = fixture.spec("echo $$; sh -c 'sleep 0 & exit 0'; exit 5");
    spec.process.init = true;
    let said = fixture.run(&spec).unwrap();
    assert_eq!(said.exit.status, Status::Code(5));
    assert_ne!(said.out.trim(), "1");
    // a signal to init reaches the program
    let mut spec =
        fixture.spec("trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 1; done");
    spec.process.init = true;
    let running = fixture
        .launcher
        .run(&spec, Attachments::default(), Stdio::Pipes)
        .unwrap();
    let killer = running.killer();
    let exit = running
        .wait(&|| false, &mut |_, _| killer.signal(15))
        .unwrap();
    assert_eq!(exit.status, Status::Code(9));
}

/// Runs a container that reports a byte on standard output and then sleeps, holding it open.
pub fn hold(args: &[String]) {
    let store = std::path::Path::new(&args[0]);
    let launcher = launch(store).unwrap();
    let upper = executor::container::spec::Upper {
        fs: "held/fs".into(),
        work: "held/work".into(),
    };
    // a process that has left its session and its parent is killed too
    let script = "(sleep 1000 &); echo held; sleep 1000";
    let running = launcher
        .run(
            &spec(Some(upper), script),
            Attachments::default(),
            Stdio::Inherit,
        )
        .unwrap();
    let _ = running.wait(&|| false, &mut |_, _| {});
}

fn a_killed_caller_takes_all_with_it(fixture: &Fixture) {
    for directory in ["held/fs", "held/work"] {
        std::fs::create_dir_all(fixture.store.path().join(directory)).unwrap();
    }
    let mut caller = Command::new("/proc/self/exe")
        .arg(HOLD)
        .arg(fixture.store.path())
        .stdout(CommandStdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(caller.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    caller.kill().unwrap();
    caller.wait().unwrap();
    // ends only when every process that has the pipe is gone
    out.read_to_end(&mut Vec::new()).unwrap();
}
