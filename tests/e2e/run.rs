//! `rbuild run`: what a container sees, and how it ends.

use crate::place::{BASE, Place};

#[test]
fn the_exit_code_is_that_of_the_process() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let code = |arguments: &[&str]| {
        let mut all = vec!["run", "--rm", BASE];
        all.extend(arguments);
        place.rbuild(&all).code
    };
    assert_eq!(code(&["sh", "-c", "exit 3"]), 3);
    assert_eq!(code(&["no-such-command"]), 127);
    assert_eq!(code(&["/etc/passwd"]), 126);
    assert_eq!(code(&["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"]), 143);
    assert_eq!(
        place.rbuild(&["run", "--rm", "no-such-image", "true"]).code,
        125
    );
}

/// A first process without a handler never gets SIGTERM; whoever sends it three times means it.
#[test]
fn insisting_ends_what_takes_no_signals() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let started = place.path("started");
    std::fs::create_dir(&started).unwrap();
    let volume = format!("{}:/started", started.display());
    let script = "touch /started/yes; sleep 600; true";
    let mut command = place.command(&["run", "--rm", "-v", &volume, BASE, "sh", "-c", script]);
    let mut child = command.spawn().unwrap();
    let until = |done: &mut dyn FnMut() -> bool| {
        let start = std::time::Instant::now();
        while !done() {
            assert!(start.elapsed() < crate::place::PATIENCE, "waited too long");
            std::thread::yield_now();
        }
    };
    until(&mut || started.join("yes").exists());
    let mut status = None;
    until(&mut || {
        // Signals of one kind merge until they are seen, so more than three may be needed.
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status();
        assert!(sent.unwrap().success());
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(137));
}

#[test]
fn flags_change_what_the_process_sees() {
    let Some(place) = Place::with_users() else {
        return;
    };
    std::fs::create_dir(place.path("shared")).unwrap();
    std::fs::write(place.path("shared/f"), "from outside\n").unwrap();
    let volume = format!("{}:/v", place.path("shared").display());
    let said = place
        .rbuild(&[
            "run",
            "--rm",
            "-e",
            "A=1",
            "-v",
            &volume,
            "-w",
            "/tmp",
            "-u",
            "user",
            "--hostname",
            "box",
            "--network",
            "none",
            BASE,
            "sh",
            "-c",
            "echo $A; cat /v/f; pwd; id -u; hostname; ip addr | grep -c '^[0-9]*: '",
        ])
        .ok();
    assert_eq!(said.out, "1\nfrom outside\n/tmp\n1000\nbox\n1\n");
    let readonly = format!("{volume}:ro");
    let said = place.rbuild(&["run", "--rm", "-v", &readonly, BASE, "touch", "/v/x"]);
    assert_eq!(said.code, 1, "{said:?}");
}

/// The reference's table: no, shell and exec form of ENTRYPOINT by those of CMD.
#[test]
fn an_entrypoint_takes_the_command_unless_a_shell_is_in_front_of_it() {
    let Some(place) = Place::with_base() else {
        return;
    };
    const SHELL: &str = "echo \"e $*\"";
    const EXEC: &str = "[\"echo\", \"e\"]";
    for (entrypoint, command, alone, given) in [
        (None, None, None, "x\n"),
        (None, Some("[\"echo\", \"c\"]"), Some("c\n"), "x\n"),
        (None, Some("echo c"), Some("c\n"), "x\n"),
        (Some(EXEC), None, Some("e\n"), "e echo x\n"),
        (Some(EXEC), Some("[\"c\"]"), Some("e c\n"), "e echo x\n"),
        (
            Some(EXEC),
            Some("c"),
            Some("e /bin/sh -c c\n"),
            "e echo x\n",
        ),
        (Some(SHELL), None, Some("e \n"), "e x\n"),
        (Some(SHELL), Some("[\"c\", \"d\"]"), Some("e d\n"), "e x\n"),
        (Some(SHELL), Some("c"), Some("e -c c\n"), "e x\n"),
    ] {
        let mut text = format!("FROM {BASE}\n");
        for (keyword, words) in [("ENTRYPOINT", entrypoint), ("CMD", command)] {
            if let Some(words) = words {
                text += &format!("{keyword} {words}\n");
            }
        }
        place.build(&text, &["--load"]).ok();
        let run = |words: &[&str]| {
            let mut all = vec!["run", "--rm", "app"];
            all.extend(words);
            place.rbuild(&all)
        };
        match alone {
            Some(out) => assert_eq!(run(&[]).ok().out, out, "{text}"),
            None => drop(run(&[]).fails(125, "No command specified")),
        }
        assert_eq!(run(&["echo", "x"]).ok().out, given, "{text}");
    }
}

#[test]
fn input_reaches_the_process_and_output_is_kept_apart() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let script = "cat; echo no >&2";
    let run = ["run", "--rm", "-i", "--network=none", BASE, "sh", "-c"];
    let command = place.command(&[&run[..], &[script]].concat());
    let said = crate::place::fed(command, b"yes\n");
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (0, "yes\n", "no\n")
    );
}

#[test]
fn nothing_of_the_caller_comes_through() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let said = place
        .rbuild(&["run", "--rm", BASE, "sh", "-c", "ls /proc/self/fd | wc -l; grep -E '^(SigBlk|SigIgn|Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\\t'; umask; env | sort"])
        .ok();
    let lines: Vec<&str> = said.out.lines().collect();
    // 0, 1, 2 and the one that `ls` has open.
    assert_eq!(lines[0], "4", "{}", said.out);
    assert!(
        said.out.contains("SigBlk:0000000000000000")
            && said.out.contains("SigIgn:0000000000000000"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("Seccomp:2") && said.out.contains("NoNewPrivs:0"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("0022\n") && !said.out.contains("CARGO"),
        "{}",
        said.out
    );
}

#[test]
fn foreign_devices_cannot_be_made_or_opened() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let said = place.rbuild(&[
        "run", "--rm", BASE, "sh", "-c",
        "mknod /tmp/disk b 254 0 2>/dev/null; head -c 1 /tmp/disk >/dev/null 2>&1 && echo opened; \
         mknod /tmp/kmsg c 1 11 2>/dev/null; head -c 1 /tmp/kmsg >/dev/null 2>&1 && echo opened; \
         head -c 1 /proc/kcore | wc -c; echo x > /proc/sysrq-trigger 2>/dev/null && echo written; true",
    ]);
    assert_eq!(said.ok().out, "0\n");
}

#[test]
fn a_name_is_taken_while_its_container_runs() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let mut first = place
        .command(&[
            "run",
            "--rm",
            "-i",
            "--name",
            "one",
            BASE,
            "sh",
            "-c",
            "echo up; cat",
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    std::io::Read::read_exact(first.stdout.as_mut().unwrap(), &mut line).unwrap();
    place
        .rbuild(&["run", "--rm", "--name", "one", BASE, "true"])
        .fails(125, "already in use");
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
    place
        .rbuild(&["run", "--rm", "--name", "one", BASE, "true"])
        .ok();
}
