//! From start to end: output, exit codes, stopping, restarting, what is left.

use executor::monitor::{MonitorError, Restart, State, Status, Waiting};

use crate::Case;
use crate::place::{AFTERWARDS, Heard, World, hear, hear_until};

pub const CASES: &[Case] = &[
    ("life::output_and_code", output_and_code),
    ("life::nothing_is_lost", nothing_is_lost),
    ("life::ends_at_once", ends_at_once),
    ("life::not_started", not_started),
    ("life::input", input),
    ("life::terminal", terminal),
    ("life::stopped", stopped),
    ("life::killed_when_it_does_not_stop", insisted),
    ("life::paused", paused),
    ("life::restarted", restarted),
    ("life::stopped_while_it_waits", stopped_while_it_waits),
    ("life::afterwards", afterwards),
    ("life::once_at_a_time", once_at_a_time),
    ("life::started_again", started_again),
    ("life::joined_later", joined_later),
];

fn output_and_code(world: &World) {
    let place = world.place("echo out; echo err >&2; exit 3");
    let heard = hear(&mut place.attached(false));
    let wanted = Heard {
        out: "out\n".to_owned(),
        err: "err\n".to_owned(),
        code: Some(3),
    };
    assert_eq!(heard, wanted);
    let status = place.over();
    assert_eq!(
        (status.state, status.exit_code, status.pid),
        (State::Exited, 3, 0)
    );
    assert!(status.started_at.unwrap() <= status.finished_at.unwrap());
    let mut log = place.log();
    log.sort();
    let line = |stream: &str, text: &str| (stream.to_owned(), text.to_owned());
    assert_eq!(log, [line("stderr", "err\n"), line("stdout", "out\n")]);
}

fn nothing_is_lost(world: &World) {
    let place = world.place("dd if=/dev/zero bs=1000 count=3000 2>/dev/null; echo end");
    let heard = hear(&mut place.attached(false));
    assert_eq!(heard.out.len(), 3_000_004);
    let place = world.place("echo first; kill -9 $$");
    assert_eq!(hear(&mut place.attached(false)).out, "first\n");
}

fn ends_at_once(world: &World) {
    let mut place = world.place("");
    place.life.spec.process.args = vec!["true".to_owned()];
    for _ in 0..30 {
        assert_eq!(hear(&mut place.attached(false)).code, Some(0));
        place.over();
    }
}

fn not_started(world: &World) {
    for (program, code) in [("nosuch", 127), ("/bin/data", 126), ("/etc/passwd", 126)] {
        let mut place = world.place("");
        place.life.spec.process.args = vec![program.to_owned()];
        let error = place.start().unwrap_err();
        assert_eq!(error.exit_status(), Some(code), "{program}: {error}");
        let status = place.over();
        assert_eq!(
            (status.state, status.exit_code),
            (State::Created, code),
            "{program}"
        );
        assert!(status.error.contains(program), "{status:?}");
    }
    let mut place = world.place("");
    "nosuch".clone_into(&mut place.life.spec.process.user);
    let error = place.start().unwrap_err();
    assert_eq!(error.exit_status(), None, "{error}");
    assert_eq!(place.over().exit_code, 128);
}

fn input(world: &World) {
    let mut place = world.place("wc -c; echo done");
    place.life.keep_stdin = true;
    let mut attached = place.attached(true);
    let input = attached.input();
    let writer = std::thread::spawn(move || {
        for _ in 0..300 {
            input.write(&[b'x'; 10_000]).unwrap();
        }
        input.end();
        // the connection lasts as long as one of its two ends
        input
    });
    assert_eq!(hear(&mut attached).out, "3000000\ndone\n");
    writer.join().unwrap();
    // without `keep_stdin` there is nothing to read
    let place = world.place("cat; echo end");
    assert_eq!(hear(&mut place.attached(true)).out, "end\n");
    // the input of whoever is gone has ended
    let mut place = world.place("cat; exit 4");
    place.life.keep_stdin = true;
    drop(place.attached(true));
    assert_eq!(place.over().exit_code, 4);
}

fn terminal(world: &World) {
    let mut place = world.place("tty; stty size; read a; echo \"got $a\"; stty size; exit 5");
    place.life.spec.process.terminal = true;
    place.life.keep_stdin = true;
    let attach = executor::monitor::Attach {
        stdin: true,
        size: Some((31, 99)),
    };
    let started =
        executor::monitor::start(Waiting::new().unwrap(), &place.life, &[], Some(attach)).unwrap();
    let mut attached = started.attached.unwrap();
    let input = attached.input();
    let heard = hear_until(&mut attached, "31 99");
    assert!(heard.contains("/dev/pts/0"), "{heard}");
    input.resize(40, 120);
    input.write(b"word\r").unwrap();
    let heard = hear(&mut attached);
    assert!(
        heard.out.contains("got word") && heard.out.contains("40 120"),
        "{heard:?}"
    );
    assert_eq!(heard.code, Some(5));
}

fn stopped(world: &World) {
    let place = world.place("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep .1; done");
    let mut attached = place.attached(false);
    hear_until(&mut attached, "ready");
    place.control().stop(None, None).unwrap();
    let heard = hear(&mut attached);
    assert_eq!((heard.out.as_str(), heard.code), ("bye\n", Some(7)));
    let status = place.over();
    assert_eq!((status.exit_code, status.stopped_by_user), (7, true));
    assert!(
        executor::monitor::Control::connect(&place.folder)
            .unwrap()
            .is_none()
    );
}

fn insisted(world: &World) {
    let mut place = world.place("trap : TERM HUP; echo ready; while :; do sleep .1; done");
    place.life.stop_timeout = Some(0);
    let mut attached = place.attached(false);
    hear_until(&mut attached, "ready");
    place.control().signal(1).unwrap();
    assert_eq!(place.status().state, State::Running);
    place.control().stop(None, None).unwrap();
    assert_eq!(hear(&mut attached).code, Some(137));
}

fn paused(world: &World) {
    let place = world.place("trap 'exit 9' TERM; echo ready; while :; do echo x; sleep .01; done");
    let mut attached = place.attached(false);
    hear_until(&mut attached, "ready");
    let mut control = place.control();
    assert_eq!(control.unpause(), Err(MonitorError::NotPaused));
    control.pause().unwrap();
    assert_eq!(place.status().state, State::Paused);
    assert_eq!(control.pause(), Err(MonitorError::Paused));
    assert_eq!(
        crate::exec::sh(&place, "true").unwrap_err(),
        MonitorError::Paused
    );
    control.unpause().unwrap();
    assert_eq!(place.status().state, State::Running);
    control.pause().unwrap();
    // whoever is stopped is let go on for it
    place.control().stop(None, None).unwrap();
    assert_eq!(place.status().exit_code, 9);
}

fn restarted(world: &World) {
    let mut place = world.place("echo run >> /tmp/runs; exit 2");
    place.life.restart = Restart::OnFailure(2);
    place.start().unwrap();
    let status = place.over();
    assert_eq!((status.restart_count, status.exit_code), (2, 2));
    let runs = std::fs::read_to_string(place.folder.join("fs/tmp/runs")).unwrap();
    assert_eq!(runs, "run\nrun\nrun\n");
    let mut place = world.place("exit 0");
    place.life.restart = Restart::OnFailure(0);
    place.start().unwrap();
    assert_eq!(place.over().restart_count, 0);
    // a policy may change
    let mut place = world.place("exit 0");
    place.life.restart = Restart::Always;
    place.start().unwrap();
    place.until("restarted", |status| status.restart_count > 0);
    place.control().update(Some(Restart::No), None).unwrap();
    assert_eq!(place.over().state, State::Exited);
}

fn stopped_while_it_waits(world: &World) {
    let mut place = world.place("exit 1");
    place.life.restart = Restart::Always;
    place.start().unwrap();
    place.until("restarted twice", |status| status.restart_count > 2);
    place.control().stop(None, None).unwrap();
    let status = place.status();
    assert!(
        status.stopped_by_user && status.state == State::Exited,
        "{status:?}"
    );
}

fn afterwards(world: &World) {
    let mark = world.store().join("mark");
    let mut place = world.place("exit 1");
    place.life.afterwards = Some(vec![AFTERWARDS.into(), mark.clone().into()]);
    place.start().unwrap();
    place.over();
    let end = std::time::Instant::now() + std::time::Duration::from_mins(2);
    while !mark.exists() && std::time::Instant::now() < end {
        std::thread::yield_now();
    }
    std::fs::remove_file(&mark).unwrap();
    // whoever started it may do it himself
    let mut attached = place.attached(false);
    assert_eq!(hear(&mut attached).code, Some(1));
    attached.input().take_over();
    place.over();
    assert!(!mark.exists());
}

fn once_at_a_time(world: &World) {
    let place = world.place("sleep 1000");
    place.start().unwrap();
    assert_eq!(place.start(), Err(MonitorError::Running));
    let status = place.status();
    assert_eq!((status.state, status.error.as_str()), (State::Running, ""));
    // the process id is the host's
    place.until_called("sleep");
}

fn started_again(world: &World) {
    let place = world.place("echo x >> /tmp/x; cat /tmp/x");
    assert_eq!(hear(&mut place.attached(false)).out, "x\n");
    let first = place.over();
    assert_eq!(hear(&mut place.attached(false)).out, "x\nx\n");
    let second: Status = place.over();
    assert!(second.started_at > first.started_at);
    assert_eq!(place.log().len(), 3);
}

fn joined_later(world: &World) {
    let mut place = world.place("echo before; read a; echo after; exit 6");
    place.life.keep_stdin = true;
    place.start().unwrap();
    let mut waiting = place.control();
    let (say, hear_of) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        say.send(rustix::thread::gettid()).unwrap();
        waiting.wait()
    });
    // it has asked when it sleeps: who asks after the end is not told
    let thread = hear_of.recv().unwrap().as_raw_pid();
    place.until("asked", |_| {
        std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).is_ok_and(|stat| {
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('S'))
        })
    });
    let mut one = place.control().attach(true).unwrap();
    let mut two = place.control().attach(false).unwrap();
    one.input().write(b"go\n").unwrap();
    for attached in [&mut one, &mut two] {
        let heard = hear(attached);
        // whoever joins hears only what follows
        assert!(heard.out.ends_with("after\n"), "{heard:?}");
        assert_eq!(heard.code, Some(6));
    }
    assert_eq!(waiter.join().unwrap(), Ok(6));
}
