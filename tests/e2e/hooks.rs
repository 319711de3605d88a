//! Hooks that `--hooks-dir` brings: called at their stages and told of the container, whichever runtime
//! starts it; and what comes of one that fails. Says nothing of which hooks are for which container.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::place::{BASE, Cleared, Place, other_runtimes};

/// Names that the host's programs have.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Writes a hook of `stage` that is `script` of a shell.
fn hook(place: &Place, stage: &str, script: &str, more: &Value) {
    let mut hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script], "env": [PATH]});
    for (name, value) in more.as_object().into_iter().flatten() {
        hook[name] = value.clone();
    }
    let file = json!({
        "version": "1.0.0", "hook": hook, "when": {"always": true}, "stages": [stage],
    });
    let directory = place.path("hooks");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(format!("{stage}.json")), file.to_string()).unwrap();
}

#[test]
fn hooks_are_called_at_their_stages_and_told_of_the_container() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let place = Cleared(place);
    let runtimes = [vec!["rbuild"], other_runtimes(&place)].concat();
    let seen = place.path("seen");
    let shown = seen.display();
    for runtime in runtimes {
        let _ = fs::remove_dir_all(&seen);
        fs::create_dir_all(&seen).unwrap();
        for stage in ["prestart", "createRuntime", "poststart", "poststop"] {
            let mut script = format!("cat > {shown}/{stage} && echo {stage} >> {shown}/order");
            if stage == "createRuntime" {
                // the process that it is told of is there, in namespaces of its own
                write!(
                    script,
                    " && pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' {shown}/{stage}) \
                     && test \"$(readlink /proc/$pid/ns/ipc)\" != \"$(readlink /proc/self/ns/ipc)\" \
                     && echo apart >> {shown}/order"
                )
                .unwrap();
            }
            hook(&place, stage, &script, &json!({}));
        }
        // in the container, whose shell this is
        let script = "cat > /seen/startContainer && echo startContainer >> /seen/order";
        let env = json!({"env": ["PATH=/bin"], "timeout": 60});
        hook(&place, "startContainer", script, &env);
        let (hooks, volume) = (place.path("hooks"), format!("{shown}:/seen"));
        place
            .rbuild(&[
                "run",
                "--name",
                "box",
                "--network",
                "none",
                "--runtime",
                runtime,
                "--hooks-dir",
                hooks.to_str().unwrap(),
                "--annotation",
                "org.x=y",
                "-v",
                &volume,
                BASE,
                "sh",
                "-c",
                "echo program >> /seen/order; read line < /seen/startContainer; test -n \"$line\"",
            ])
            .ok();
        let order = fs::read_to_string(seen.join("order")).unwrap();
        let mut order: Vec<&str> = order.lines().collect();
        // the program and what is called once it runs are not in step
        let poststart = order.iter().position(|line| *line == "poststart").unwrap();
        let poststart = order.remove(poststart);
        assert_eq!(poststart, "poststart");
        let wanted = [
            "prestart",
            "createRuntime",
            "apart",
            "startContainer",
            "program",
            "poststop",
        ];
        assert_eq!(order, wanted, "{runtime}");
        let id = place.rbuild(&["inspect", "-f", "{{.Id}}", "box"]).ok().out;
        for (stage, status) in [
            ("prestart", "creating"),
            ("createRuntime", "creating"),
            ("startContainer", "created"),
            ("poststart", "running"),
            ("poststop", "stopped"),
        ] {
            let state = fs::read(seen.join(stage)).unwrap();
            let state: Value = serde_json::from_slice(&state).unwrap();
            assert_eq!(state["id"], id.trim(), "{runtime} {stage}");
            assert_eq!(state["annotations"]["org.x"], "y", "{runtime} {stage}");
            if runtime == "rbuild" {
                assert_eq!(state["status"], status, "{stage}");
                let bundle = state["bundle"].as_str().unwrap();
                assert!(
                    fs::exists(format!("{bundle}/config.json")).unwrap(),
                    "{bundle}"
                );
            }
        }
        // started again, they are called again
        fs::remove_file(seen.join("order")).unwrap();
        place.rbuild(&["start", "-a", "box"]).ok();
        let again = fs::read_to_string(seen.join("order")).unwrap();
        assert_eq!(again.lines().count(), 7, "{runtime}: {again}");
        place.rbuild(&["rm", "box"]).ok();
        fs::remove_dir_all(place.path("hooks")).unwrap();
    }
}

#[test]
fn a_hook_that_fails_keeps_the_container_from_running() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let place = Cleared(place);
    let seen = place.path("seen");
    fs::create_dir_all(&seen).unwrap();
    let (shown, hooks) = (seen.display(), place.path("hooks"));
    let volume = format!("{shown}:/seen");
    let run = |script: &str| {
        place.rbuild(&[
            "run",
            "--name",
            "box",
            "--network",
            "none",
            "--hooks-dir",
            hooks.to_str().unwrap(),
            "-v",
            &volume,
            BASE,
            "sh",
            "-c",
            script,
        ])
    };
    let cases = [
        (
            "createRuntime",
            "echo no luck >&2; exit 3",
            json!({}),
            "exit status 3: no luck",
        ),
        (
            "prestart",
            "exec sleep 600",
            json!({"timeout": 1}),
            "it took more than 1 s",
        ),
        (
            "createRuntime",
            "",
            json!({"path": "/no/such/hook"}),
            "No such file or directory",
        ),
        ("startContainer", "exit 4", json!({}), "exit status: 4"),
        (
            "startContainer",
            "exec sleep 600",
            json!({"timeout": 1}),
            "it took more than 1 s",
        ),
    ];
    for (stage, script, more, said) in cases {
        let _ = fs::remove_dir_all(&hooks);
        hook(&place, stage, script, &more);
        hook(
            &place,
            "poststop",
            &format!("touch {shown}/stopped"),
            &json!({}),
        );
        let ran = run("touch /seen/ran");
        assert!(ran.err.contains(said), "{stage}: {}", ran.err);
        ran.fails(125, &format!("{stage} hook"));
        assert!(!seen.join("ran").exists(), "{stage}");
        fs::remove_file(seen.join("stopped")).unwrap();
        let state = place.rbuild(&[
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.Running}}",
            "box",
        ]);
        assert_eq!(state.ok().out, "created false\n", "{stage}");
        place.rbuild(&["rm", "box"]).ok();
    }

    // one that fails when the program runs stops it
    fs::remove_dir_all(&hooks).unwrap();
    hook(&place, "poststart", "exit 5", &json!({}));
    run("exec sleep 600").fails(125, "poststart hook");
    assert_eq!(place.rbuild(&["ps", "-q"]).ok().out, "");
    place.rbuild(&["rm", "box"]).ok();

    // and one that fails when all is over is noted
    fs::remove_dir_all(&hooks).unwrap();
    hook(&place, "poststop", "exit 6", &json!({}));
    assert_eq!(run("exit 7").code, 7);
    let id = place.rbuild(&["inspect", "-f", "{{.Id}}", "box"]).ok().out;
    let notes = place
        .path("store")
        .join("containers")
        .join(id.trim())
        .join("hooks.log");
    let notes = fs::read_to_string(notes).unwrap();
    assert!(
        notes.contains("poststop hook /bin/sh failed: exit status 6"),
        "{notes}"
    );

    // a stage that rbuild's own start has not is refused
    hook(&place, "createContainer", "true", &json!({}));
    let refused = place.rbuild(&[
        "run",
        "--rm",
        "--hooks-dir",
        hooks.to_str().unwrap(),
        BASE,
        "true",
    ]);
    refused.fails(125, "createContainer is not done");
}

/// Among the host's processes its first one is like any other: no signal passes it by.
#[test]
fn a_hook_need_not_read_what_it_is_told() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let place = Cleared(place);
    hook(&place, "startContainer", "exit 0", &json!({}));
    // more than a pipe holds
    let annotation = format!("k={}", "v".repeat(100_000));
    let hooks = place.path("hooks");
    let flags = [
        "run",
        "--rm",
        "--network",
        "none",
        "--pid",
        "host",
        "--hooks-dir",
        hooks.to_str().unwrap(),
        "--annotation",
        &annotation,
        BASE,
        "echo",
        "here",
    ];
    assert_eq!(place.rbuild(&flags).ok().out, "here\n");
}

#[test]
fn every_container_has_a_document_of_the_runtime_specification() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let place = Cleared(place);
    let id = place
        .rbuild(&[
            "create",
            "--network",
            "none",
            "-u",
            "root",
            "-w",
            "/tmp",
            "-e",
            "A=b",
            "--cap-drop",
            "all",
            "--read-only",
            "--annotation",
            "k=v",
            "--device",
            "/dev/zero:/dev/nought",
            BASE,
            "env",
        ])
        .ok()
        .out;
    let folder = place.path("store").join("containers").join(id.trim());
    let read = || -> Value {
        serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
    };
    let told = read();
    assert_eq!(told["ociVersion"], "1.0.2");
    assert_eq!(told["root"], json!({"path": "rootfs", "readonly": true}));
    let process = &told["process"];
    assert_eq!(
        (&process["user"]["uid"], &process["user"]["gid"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (&process["args"], &process["cwd"]),
        (&json!(["env"]), &json!("/tmp"))
    );
    assert_eq!(process["capabilities"]["bounding"], json!([]));
    assert!(process["env"].as_array().unwrap().contains(&json!("A=b")));
    assert_eq!(told["annotations"], json!({"k": "v"}));
    // as it starts, however many rbuild itself may have open
    let files = &process["rlimits"][0];
    assert_eq!(
        (&files["type"], &files["soft"]),
        (&json!("RLIMIT_NOFILE"), &json!(1024))
    );
    let rules = told["linux"]["resources"]["devices"].as_array().unwrap();
    let zero = json!({"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw"});
    assert!(rules.contains(&zero), "{rules:?}");
    let kinds: Vec<&Value> = told["linux"]["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    assert!(kinds.contains(&&json!({"type": "network"})), "{kinds:?}");
    let targets: Vec<&str> = told["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|mount| mount["destination"].as_str())
        .collect();
    for target in ["/proc", "/dev", "/sys", "/etc/hosts", "/etc/resolv.conf"] {
        assert!(targets.contains(&target), "{target} of {targets:?}");
    }
    fs::remove_file(folder.join("config.json")).unwrap();
    place.rbuild(&["start", "-a", id.trim()]).ok();
    assert_eq!(read()["process"]["args"], json!(["env"]));
}
