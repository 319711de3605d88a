//! Containers that outlive the command that started them: made, started, asked, stopped, removed.

use std::io::Read;
use std::process::Stdio;

use crate::place::{BASE, Cleared, Place, said};

fn place() -> Option<Cleared> {
    Place::with_base().map(Cleared)
}

/// `create` or `run` with a network that needs nothing of the machine.
fn with<'a>(verb: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&[verb, "--network", "none"], arguments].concat()
}

impl Cleared {
    fn inspect(&self, container: &str, template: &str) -> String {
        let shown = self.rbuild(&["inspect", "-f", template, container]).ok();
        shown.out.trim_end().to_owned()
    }
}

#[test]
fn a_container_is_made_started_and_started_again() {
    let Some(place) = place() else { return };
    let script = "echo run >> /root/runs; cat /root/runs; echo err >&2; exit 3";
    let made = place.rbuild(&with(
        "create",
        &["--name", "box", BASE, "sh", "-c", script],
    ));
    let id = made.ok().out;
    assert_eq!(id.trim().len(), 64);
    let state = "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}";
    assert_eq!(place.inspect("box", state), "created 0 0");
    assert_eq!(place.rbuild(&["ps", "-q"]).ok().out, "");
    let first = place.rbuild(&["start", "-a", "box"]);
    assert_eq!(
        (first.code, first.out.as_str(), first.err.as_str()),
        (3, "run\n", "err\n")
    );
    assert_eq!(place.rbuild(&["start", "box"]).ok().out, "box\n");
    assert_eq!(place.rbuild(&["wait", &id[..12]]).ok().out, "3\n");
    assert_eq!(place.inspect("box", state), "exited 3 0");
    let logs = place.rbuild(&["logs", "box"]).ok();
    assert_eq!(
        (logs.out.as_str(), logs.err.as_str()),
        ("run\nrun\nrun\n", "err\nerr\n")
    );
    assert_eq!(place.rbuild(&["logs", "-n", "1", "box"]).ok().err, "err\n");
    let shown = place
        .rbuild(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"])
        .ok();
    assert!(shown.out.starts_with("box Exited (3) "), "{}", shown.out);
    assert_eq!(place.rbuild(&["rm", "box", "nosuch"]).out, "box\n");
    place
        .rbuild(&["start", "box"])
        .fails(1, "No such container: box");
}

#[test]
fn names_are_had_once_and_can_be_changed() {
    let Some(place) = place() else { return };
    place
        .rbuild(&with("create", &["--name", "one", BASE, "true"]))
        .ok();
    place
        .rbuild(&with("create", &["--name", "one", BASE, "true"]))
        .fails(1, "already in use by container");
    place
        .rbuild(&with("run", &["--name", "one", BASE, "true"]))
        .fails(125, "already in use by container");
    place
        .rbuild(&with("create", &["--name", "a b", BASE, "true"]))
        .fails(1, "Invalid container name");
    place.rbuild(&["rename", "one", "two"]).ok();
    place
        .rbuild(&with("create", &["--name", "one", BASE, "true"]))
        .ok();
    let names = place.rbuild(&["ps", "-a", "--format", "{{.Names}}"]).ok();
    assert_eq!(names.out, "one\ntwo\n");
    let unnamed = place.rbuild(&with("create", &[BASE, "true"])).ok().out;
    let name = place.inspect(unnamed.trim(), "{{.Name}}");
    let words: Vec<&str> = name.trim_start_matches('/').split('_').collect();
    assert!(
        words.len() == 2 && words.iter().all(|word| word.len() > 1),
        "{name}"
    );
}

#[test]
fn what_runs_can_be_asked_signalled_and_stopped() {
    let Some(place) = place() else { return };
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done";
    let id = place
        .rbuild(&with(
            "run",
            &["-d", "--name", "box", "-e", "A=1", BASE, "sh", "-c", script],
        ))
        .ok();
    let mut follow = place
        .command(&["logs", "-f", "box"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    follow
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    assert_eq!(&ready, b"ready\n");
    assert_eq!(
        place
            .rbuild(&["exec", "box", "sh", "-c", "echo $A; exit 4"])
            .code,
        4
    );
    place
        .rbuild(&["exec", "box", "nosuch"])
        .fails(127, "not found");
    assert_eq!(
        place
            .rbuild(&[
                "exec",
                "-e",
                "A=2",
                "-w",
                "/tmp",
                "box",
                "sh",
                "-c",
                "echo $A $PWD"
            ])
            .ok()
            .out,
        "2 /tmp\n"
    );
    place.rbuild(&["rm", "box"]).fails(1, "running container");
    place
        .rbuild(&["rmi", BASE])
        .fails(1, "image is being used by running container");
    assert_eq!(place.rbuild(&["ps", "-q", "--no-trunc"]).ok().out, id.out);
    let top = place.rbuild(&["top", "box"]).ok();
    assert!(
        top.out.starts_with("UID") && top.out.lines().count() >= 2,
        "{}",
        top.out
    );
    let stats = place.rbuild(&["stats", "--no-stream", "--format", "{{.Name}}", "box"]);
    assert_eq!(stats.ok().out, "box\n");
    // a busy machine may need long to let a shell come to its trap
    let stop = place.rbuild(&["stop", "-t", "120", "box"]).ok();
    assert_eq!(stop.out, "box\n");
    assert_eq!(
        place.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 7"
    );
    let ended = said(follow.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    place.rbuild(&["kill", "box"]).fails(1, "is not running");
    place
        .rbuild(&["exec", "box", "true"])
        .fails(1, "is not running");
    place
        .rbuild(&["attach", "box"])
        .fails(1, "stopped container");
    assert_eq!(place.rbuild(&["stop", "box"]).ok().out, "box\n");
}

#[test]
fn volumes_outlive_containers_unless_nobody_named_them() {
    let Some(place) = place() else { return };
    place
        .build(
            "FROM base:1\nRUN mkdir /v && echo image > /v/f && chmod 2750 /v\nVOLUME /v\n",
            &[],
        )
        .ok();
    let names = || place.rbuild(&["volume", "ls", "-q"]).ok().out;
    let run = |arguments: &[&str]| place.rbuild(&with("run", arguments));
    assert_eq!(run(&["--rm", "app", "cat", "/v/f"]).ok().out, "image\n");
    assert_eq!(names(), "", "an unnamed volume goes with --rm");
    let stat = run(&["--rm", "-v", "kept:/v", "app", "stat", "-c", "%a", "/v"]).ok();
    assert_eq!(stat.out, "2750\n");
    assert_eq!(names(), "kept\n");
    run(&[
        "--rm",
        "-v",
        "kept:/x",
        BASE,
        "sh",
        "-c",
        "echo more >> /x/f",
    ])
    .ok();
    assert_eq!(
        run(&["--rm", "-v", "kept:/v", "app", "cat", "/v/f"])
            .ok()
            .out,
        "image\nmore\n"
    );
    run(&[
        "--name", "box", "-v", "kept:/x", "-v", "/y", BASE, "touch", "/y/z",
    ])
    .ok();
    place
        .rbuild(&["volume", "rm", "kept"])
        .fails(1, "volume is in use");
    assert_eq!(names().lines().count(), 2);
    place.rbuild(&["rm", "-v", "box"]).ok();
    assert_eq!(names(), "kept\n");
    place.rbuild(&["volume", "rm", "kept"]).ok();
    place
        .rbuild(&["volume", "inspect", "kept"])
        .fails(1, "no such volume");
    run(&[
        "--rm",
        "--mount",
        "type=bind,src=/no/such,dst=/x",
        BASE,
        "true",
    ])
    .fails(125, "does not exist");
}

#[test]
fn a_container_keeps_its_layers_when_its_image_goes() {
    let Some(place) = place() else { return };
    place
        .build("FROM base:1\nRUN echo mine > /mine\n", &[])
        .ok();
    place
        .rbuild(&with("create", &["--name", "box", "app", "cat", "/mine"]))
        .ok();
    place.rbuild(&["rmi", "app"]).fails(1, "must be forced");
    place.rbuild(&["rmi", "-f", "app"]).ok();
    place.rbuild(&["prune", "-a", "-f"]).ok();
    assert_eq!(place.rbuild(&["start", "-a", "box"]).ok().out, "mine\n");
    let pruned = place.rbuild(&["container", "prune", "-f"]).ok().out;
    assert!(pruned.starts_with("Deleted Containers:\n"), "{pruned}");
    assert_eq!(place.rbuild(&["ps", "-aq"]).ok().out, "");
}

#[test]
fn lists_are_filtered() {
    let Some(place) = place() else { return };
    place
        .build(
            "FROM base:1\nRUN echo child > /child\nLABEL kind=child\n",
            &[],
        )
        .ok();
    let make = |arguments: &[&str]| place.rbuild(&with("create", arguments)).ok();
    make(&["--name", "first", "--label", "a=b", BASE, "true"]);
    make(&["--name", "second", "-v", "vol:/x", "app", "true"]);
    place.rbuild(&with("run", &["--name", "third", BASE, "false"]));
    let names = |filters: &[&str]| {
        let mut arguments = vec!["ps", "-a", "--format", "{{.Names}}"];
        for filter in filters {
            arguments.extend(["-f", filter]);
        }
        let shown = place.rbuild(&arguments).ok().out;
        let mut names: Vec<String> = shown.lines().map(str::to_owned).collect();
        names.sort();
        names.join(" ")
    };
    for (filters, expected) in [
        (&["name=ir"][..], "first third"),
        (&["name=^first$"], "first"),
        (&["label=a"], "first"),
        (&["label=a=b", "label=kind"], ""),
        (&["status=exited"], "third"),
        (&["exited=1"], "third"),
        (&["exited=0"], ""),
        (&["ancestor=base:1"], "first second third"),
        (&["ancestor=app"], "second"),
        (&["before=second"], "first"),
        (&["since=first"], "second third"),
        (&["volume=vol"], "second"),
        (&["volume=/x", "status=created"], "second"),
        (&["network=none"], "first second third"),
        (&["health=none", "name=second"], "second"),
    ] {
        assert_eq!(names(filters), expected, "{filters:?}");
    }
    place
        .rbuild(&["ps", "-f", "what=1"])
        .fails(1, "invalid filter");
    place.rbuild(&["ps", "-f", "what"]).fails(125, "name=value");
    let last = place
        .rbuild(&["ps", "-n", "2", "--format", "{{.Names}}"])
        .ok();
    assert_eq!(last.out, "third\nsecond\n");
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let Some(place) = place() else { return };
    for (arguments, code, text) in [
        (&["run", "--bogus", BASE, "true"][..], 125, "unknown flag"),
        (
            &["run", "--gpus", "all", BASE, "true"],
            125,
            "--gpus is not done",
        ),
        (
            &["run", "--disable-content-trust=false", BASE, "true"],
            125,
            "--disable-content-trust=false is not done",
        ),
        (
            &["run", "--restart", "nonsense", BASE, "true"],
            125,
            "invalid restart policy",
        ),
        (
            &["run", "--rm", "--restart", "always", BASE, "true"],
            125,
            "Conflicting options",
        ),
        (
            &["run", "-w", "relative", BASE, "true"],
            125,
            "absolute path",
        ),
        (
            &["run", "-p", "nonsense", BASE, "true"],
            125,
            "Invalid containerPort",
        ),
        (
            &["run", "--memory", "1k", BASE, "true"],
            125,
            "Minimum memory limit",
        ),
        (
            &["run", "-v", "a/b:/x", BASE, "true"],
            125,
            "invalid characters",
        ),
        (
            &["run", "--pull", "never", "no-such-image", "true"],
            125,
            "No such image",
        ),
        (&["run", BASE], 125, "No command specified"),
        (&["create", BASE], 1, "No command specified"),
        (&["run"], 1, "requires at least 1 argument"),
        (&["update", "box"], 1, "one or more flags"),
    ] {
        place.rbuild(arguments).fails(code, text);
    }
    assert_eq!(place.rbuild(&["ps", "-aq"]).ok().out, "");
    assert_eq!(place.rbuild(&["volume", "ls", "-q"]).ok().out, "");
    let cidfile = place.path("id");
    let cidfile = cidfile.to_str().unwrap();
    place
        .rbuild(&with(
            "run",
            &["--cidfile", cidfile, "--rm", BASE, "nosuch"],
        ))
        .fails(127, "not found");
    place
        .rbuild(&with("run", &["--cidfile", cidfile, BASE, "true"]))
        .fails(125, "file found");
    assert_eq!(place.rbuild(&["ps", "-aq"]).ok().out, "");
}
