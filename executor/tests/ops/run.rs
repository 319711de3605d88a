//! RUN: what a step finds, what it leaves, and how it fails.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use executor::ops::{OpError, SecretSource};
use solver::Worker;
use solver::op::{ExecMount, ExecOp, InlineFile, MountKind, NetworkMode, Op, Sharing};
use solver::traits::Verdict;

use super::Case;
use crate::world::{Input, World, shell};

pub const CASES: &[Case] = &[
    ("run_leaves_what_it_changed", changes),
    ("run_fails_with_its_exit_code", failures),
    ("run_is_cancelled_within_a_second", cancelled),
    ("run_binds_contexts_and_stages", binds),
    ("run_uses_cache_mounts", caches),
    ("run_is_given_secrets", secrets),
    ("run_talks_to_an_agent", agent),
    ("run_finds_hosts_scripts_and_certificates", files),
    ("run_on_an_empty_root_says_what_is_missing", empty_root),
];

fn mount(target: &str, kind: MountKind) -> ExecMount {
    ExecMount {
        target: target.to_owned(),
        kind,
        readonly: true,
    }
}

fn with(script: &str, mounts: Vec<ExecMount>) -> Op {
    Op::Exec(ExecOp {
        mounts,
        ..shell(script)
    })
}

fn changes() {
    let world = World::new();
    let Some(base) = world.busybox() else { return };
    let ran = world
        .run(
            with("echo out; echo err >&2; echo 1 > /a; mkdir /d; rm /etc/group; touch /tmp2; echo x > /etc/hosts || true", vec![]),
            std::slice::from_ref(&base),
        )
        .unwrap();
    assert_eq!(
        world.added(&base, &ran),
        ["a 644 0:0 = 1\n", "d 755 0:0 dir", "tmp2 644 0:0 = "]
    );
    assert!(world.entry(&ran, "etc/group").is_none());
    assert!(
        world.entry(&ran, "etc/hosts").is_none() && world.entry(&ran, "etc/resolv.conf").is_none()
    );
    let log = world.log();
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");

    // The same step on the same files leaves the same state, whenever it runs.
    let op = || with("echo same > /s; mkdir /t", vec![]);
    let first = world.run(op(), std::slice::from_ref(&base)).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let second = world.run(op(), std::slice::from_ref(&base)).unwrap();
    assert_ne!(first.layers, second.layers);
    assert_eq!(first.state, second.state);
}

fn failures() {
    let world = World::new();
    let Some(base) = world.busybox() else { return };
    let error = world
        .run(
            with("echo last words >&2; exit 42", vec![]),
            std::slice::from_ref(&base),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "process \"/bin/sh -c echo last words >&2; exit 42\" did not complete successfully: exit code: 42"
    );
    assert!(matches!(error, OpError::Exit { code: 42, tail, .. } if tail == "last words"));

    let error = world
        .run(
            Op::Exec(ExecOp {
                args: vec!["no-such-program".to_owned()],
                ..shell("")
            }),
            std::slice::from_ref(&base),
        )
        .unwrap_err();
    assert!(error.to_string().contains("no-such-program"), "{error}");
    let error = world
        .run(
            Op::Exec(ExecOp {
                user: "nosuchuser".to_owned(),
                ..shell("true")
            }),
            std::slice::from_ref(&base),
        )
        .unwrap_err();
    assert!(error.to_string().contains("nosuchuser"), "{error}");
    assert_eq!(world.executor().verdict(&error), Verdict::Failed);
}

fn cancelled() {
    let world = World::new();
    let Some(base) = world.busybox() else { return };
    let cancel = world.cancel.clone();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel();
    });
    let begun = Instant::now();
    let error = world
        .run(with("sleep 1000", vec![]), std::slice::from_ref(&base))
        .unwrap_err();
    canceller.join().unwrap();
    assert!(
        begun.elapsed() < Duration::from_mins(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(world.executor().verdict(&error), Verdict::Cancelled);
}

fn binds() {
    let world = World::new();
    let Some(base) = world.busybox() else { return };
    world.write("src/main", "main");
    world.write("one", "1");
    let bind = |input, source: &str| MountKind::Bind {
        input,
        source: source.to_owned(),
    };
    let ran = world
        .run(
            with(
                "cat /src/main /one > /seen; ls /stage >> /seen; echo no > /src/new || echo refused >> /seen",
                vec![
                    mount("/src", bind(1, "src")),
                    mount("/one", bind(1, "one")),
                    mount("/stage", bind(2, "etc")),
                ],
            ),
            &[base.clone(), Input::Context, base.clone()],
        )
        .unwrap();
    assert_eq!(
        world.added(&base, &ran),
        ["seen 644 0:0 = main1group\npasswd\nrefused\n"]
    );
    assert!(!world.path("src/new").exists());

    let mut writable = mount("/src", bind(1, "src"));
    writable.readonly = false;
    let ran = world
        .run(
            with(
                "echo new > /src/new && cat /src/new /src/main > /seen",
                vec![writable],
            ),
            &[base.clone(), Input::Context],
        )
        .unwrap();
    assert_eq!(world.added(&base, &ran), ["seen 644 0:0 = new\nmain"]);
    assert!(!world.path("src/new").exists());

    let missing = world.run(
        with("true", vec![mount("/x", bind(1, "nothing"))]),
        &[base, Input::Context],
    );
    assert!(missing.unwrap_err().to_string().contains("nothing"));
}

fn cache(id: &str, from: Option<usize>, source: &str, mode: u32) -> ExecMount {
    ExecMount {
        target: "/c".to_owned(),
        readonly: false,
        kind: MountKind::Cache {
            id: id.to_owned(),
            sharing: Sharing::Locked,
            from,
            source: source.to_owned(),
            uid: 0,
            gid: 0,
            mode,
        },
    }
}

fn caches() {
    let world = World::new();
    let Some(base) = world.busybox() else { return };
    let seen = |script: &str, mount: ExecMount, forced| {
        let inputs = [base.clone(), base.clone()];
        let ran = world
            .run_as(with(script, vec![mount]), &inputs, forced)
            .unwrap();
        world.added(&base, &ran).join("|")
    };
    let log = "echo x >> /c/log; cat /c/log > /seen";
    assert_eq!(
        seen(log, cache("a", None, "", 0o755), false),
        "seen 644 0:0 = x\n"
    );
    assert_eq!(
        seen(log, cache("a", None, "", 0o755), false),
        "seen 644 0:0 = x\nx\n"
    );
    // Other attributes are another directory.
    assert_eq!(
        seen(log, cache("a", None, "", 0o700), false),
        "seen 644 0:0 = x\n"
    );
    let mode = "stat -c %a /c > /seen";
    assert_eq!(
        seen(mode, cache("a", None, "", 0o700), false),
        "seen 644 0:0 = 700\n"
    );
    // A seed is there from the start.
    assert_eq!(
        seen(
            "ls /c > /seen; touch /c/new",
            cache("s", Some(1), "etc", 0o755),
            false
        ),
        "seen 644 0:0 = group\npasswd\n"
    );
    assert_eq!(
        seen("ls /c > /seen", cache("s", Some(1), "etc", 0o755), false),
        "seen 644 0:0 = group\nnew\npasswd\n"
    );
    // A forced build begins with an empty one, once.
    world.next_build();
    assert_eq!(
        seen(log, cache("a", None, "", 0o755), true),
        "seen 644 0:0 = x\n"
    );
    assert_eq!(
        seen(log, cache("a", None, "", 0o755), true),
        "seen 644 0:0 = x\nx\n"
    );
    world.next_build();
    assert_eq!(
        seen(log, cache("a", None, "", 0o755), false),
        "seen 644 0:0 = x\nx\nx\n"
    );
}

fn secret(id: &str, env: Option<&str>, file: bool, required: bool) -> ExecMount {
    mount(
        &format!("/run/secrets/{id}"),
        MountKind::Secret {
            id: id.to_owned(),
            env: env.map(str::to_owned),
            file,
            required,
            uid: 0,
            gid: 0,
            mode: 0o400,
        },
    )
}

fn secrets() {
    let world = World::with(|options| {
        options
            .secrets
            .insert("s".to_owned(), SecretSource::Value(b"x7Qw9".to_vec()));
    });
    let Some(base) = world.busybox() else { return };
    let script = "stat -c %a /run/secrets/s > /1; test \"$(cat /run/secrets/s)$S\" = x7Qw9x7Qw9 && echo right > /2; \
                  test -e /run/secrets/none || echo absent > /3; echo \"[${NONE-unset}]\" > /4";
    let ran = world
        .run(
            with(
                script,
                vec![
                    secret("s", Some("S"), true, true),
                    secret("none", Some("NONE"), true, false),
                ],
            ),
            std::slice::from_ref(&base),
        )
        .unwrap();
    assert_eq!(
        world.added(&base, &ran),
        [
            "1 644 0:0 = 400\n",
            "2 644 0:0 = right\n",
            "3 644 0:0 = absent\n",
            "4 644 0:0 = []\n"
        ]
    );
    let error = world
        .run(
            with("true", vec![secret("none", None, true, true)]),
            std::slice::from_ref(&base),
        )
        .unwrap_err();
    assert_eq!(error.to_string(), "secret none: not found");
    let found = std::process::Command::new("grep")
        .args(["-rl", "x7Qw9"])
        .arg(world.store.root())
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found, "", "the secret is in the store");
}

fn agent() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 5];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(b"answer to ").unwrap();
        stream.write_all(&question).unwrap();
    });
    let path = socket.clone();
    let world = World::with(move |options| {
        options
            .ssh_agents
            .insert("default".to_owned(), path.clone());
    });
    let Some(base) = world.busybox() else { return };
    let ssh = |id: &str, required| {
        mount(
            "/run/buildkit/ssh_agent.0",
            MountKind::Ssh {
                id: id.to_owned(),
                required,
                uid: 0,
                gid: 0,
                mode: 0o600,
            },
        )
    };
    let script = "test -S $SSH_AUTH_SOCK && stat -c '%a %u' $SSH_AUTH_SOCK > /mode; \
                  echo $SSH_AUTH_SOCK > /name; echo hello | nc local:$SSH_AUTH_SOCK > /said || true";
    let ran = world
        .run(
            with(script, vec![ssh("default", true)]),
            std::slice::from_ref(&base),
        )
        .unwrap();
    let lines = world.added(&base, &ran);
    assert!(
        lines.contains(&"mode 644 0:0 = 600 0\n".to_owned()),
        "{lines:?}"
    );
    assert!(lines.contains(&"name 644 0:0 = /run/buildkit/ssh_agent.0\n".to_owned()));
    assert!(world.entry(&ran, "run/buildkit").is_none());
    if lines
        .iter()
        .any(|line| line.starts_with("said") && line.contains("answer"))
    {
        server.join().unwrap();
    } else {
        // Not every busybox can speak to a socket.
        eprintln!("SKIPPED: talking to the agent from inside: {lines:?}");
        let mut direct = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        direct.write_all(b"hello").unwrap();
        server.join().unwrap();
    }
    let error = world
        .run(
            with("true", vec![ssh("other", true)]),
            std::slice::from_ref(&base),
        )
        .unwrap_err();
    assert!(matches!(error, OpError::NoSshAgent { .. }));
    let ran = world.run(
        with(
            "test -n \"$SSH_AUTH_SOCK\" && ! test -e $SSH_AUTH_SOCK",
            vec![ssh("other", false)],
        ),
        std::slice::from_ref(&base),
    );
    ran.unwrap();
}

fn files() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle.pem");
    std::fs::write(&bundle, "CERTIFICATES").unwrap();
    let world = World::with(move |options| options.host_certs = Some(bundle.clone()));
    let Some(base) = world.busybox() else { return };
    let mut op =
        shell("cat $SSL_CERT_FILE; cat /etc/hosts > /hosts; /dev/pipes/script; ls /dev/pipes");
    op.extra_hosts = vec![("db".to_owned(), "10.0.0.7".to_owned())];
    op.network = NetworkMode::None;
    "sandbox".clone_into(&mut op.hostname);
    op.scripts = vec![InlineFile {
        name: "script".to_owned(),
        data: "#!/bin/sh\necho from a script > /script\n".to_owned(),
    }];
    let ran = world
        .run(Op::Exec(op), std::slice::from_ref(&base))
        .unwrap();
    let hosts =
        "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\n";
    assert_eq!(
        world.added(&base, &ran),
        [
            format!("hosts 644 0:0 = {hosts}"),
            "script 644 0:0 = from a script\n".to_owned()
        ]
    );
    assert!(world.log().contains("CERTIFICATES"), "{}", world.log());
}

fn empty_root() {
    let world = World::new();
    if world.busybox().is_none() {
        return;
    }
    let error = world
        .run(with("true", vec![]), &[Input::Scratch])
        .unwrap_err();
    assert!(error.to_string().contains("/bin/sh"), "{error}");
}
