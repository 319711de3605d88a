//! Containers that another OCI runtime starts, through the binary: they look as rbuild's own do. Says
//! nothing of what a runtime does inside.

use crate::place::{BASE, Cleared, Place, has_networks, other_runtimes};

/// A place and the other runtimes that work there.
fn place() -> Option<(Cleared, Vec<&'static str>)> {
    let place = Cleared(Place::with_base()?);
    let runtimes = other_runtimes(&place);
    (!runtimes.is_empty()).then_some((place, runtimes))
}

#[test]
fn another_runtimes_container_looks_as_ours_does() {
    let Some((place, runtimes)) = place() else {
        return;
    };
    let networks = has_networks(&place);
    let mut all = vec!["rbuild"];
    all.extend(runtimes);
    for runtime in all {
        let run = |flags: &[&str], words: &[&str]| {
            let flags = [&["run", "--runtime", runtime], flags, &[BASE], words].concat();
            place.rbuild(&flags)
        };
        let ended = run(&["--rm"], &["sh", "-c", "echo out; echo err >&2; exit 3"]);
        let said = (ended.code, ended.out.as_str(), ended.err.as_str());
        assert_eq!(said, (3, "out\n", "err\n"), "{runtime}");
        run(&["--rm"], &["nosuch"]).fails(127, "nosuch");
        run(&["--rm"], &["/etc"]).fails(126, "/etc");
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done";
        let kept = [
            "-d", "--name", "box", "-v", "vol:/v", "-e", "A=1", "-w", "/tmp",
        ];
        run(&kept, &["sh", "-c", script]).ok();
        let asked = place.rbuild(&[
            "exec",
            "box",
            "sh",
            "-c",
            "echo $A $PWD; touch /v/x; exit 4",
        ]);
        assert_eq!(
            (asked.code, asked.out.as_str()),
            (4, "1 /tmp\n"),
            "{runtime}"
        );
        let template =
            "{{.State.Status}} {{.HostConfig.Runtime}} {{len .NetworkSettings.IPAddress}}";
        let shown = place.rbuild(&["inspect", "-f", template, "box"]).ok().out;
        assert!(shown.starts_with(&format!("running {runtime} ")), "{shown}");
        assert!(!networks || !shown.ends_with(" 0\n"), "{shown}");
        assert_eq!(place.rbuild(&["logs", "box"]).ok().out, "ready\n");
        place.rbuild(&["pause", "box"]).ok();
        let pid = place
            .rbuild(&["inspect", "-f", "{{.State.Pid}}", "box"])
            .ok();
        assert!(is_frozen(pid.out.trim()), "{runtime}");
        for verb in ["unpause", "stop"] {
            place.rbuild(&[verb, "box"]).ok();
        }
        let state = "{{.State.Status}} {{.State.ExitCode}}";
        let stopped = place.rbuild(&["inspect", "-f", state, "box"]).ok().out;
        assert_eq!(stopped, "exited 7\n", "{runtime}");
        place.rbuild(&["start", "box"]).ok();
        place.rbuild(&["kill", "box"]).ok();
        let killed = place.rbuild(&["wait", "box"]).ok().out;
        assert_eq!(killed, "137\n", "{runtime}");
        place.rbuild(&["rm", "-f", "box"]).ok();
    }
}

/// Whether the control group of a process, in the tree of version 2, stands still.
fn is_frozen(pid: &str) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let trees = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let events = trees.iter().find_map(|tree| {
        let file = format!("{tree}{}/cgroup.events", group.unwrap());
        std::fs::read_to_string(file).ok()
    });
    events.unwrap().contains("frozen 1")
}

#[test]
fn a_privileged_container_of_another_runtime_has_the_devices_of_ours() {
    let Some((place, runtimes)) = place() else {
        return;
    };
    let list = |flags: &[&str], runtime: &str| {
        let words = [
            BASE,
            "sh",
            "-c",
            "ls /dev; head -c 1 /dev/zero | od -An -tx1; ls -l /dev/again",
        ];
        let flags = [
            &["run", "--rm", "--network", "none", "--runtime", runtime],
            flags,
            &words,
        ]
        .concat();
        let out = place.rbuild(&flags).out;
        // a link of crun's own
        out.replacen("core\n", "", 1)
    };
    for runtime in runtimes {
        for flags in [&["--privileged"][..], &["--device", "/dev/kmsg:/dev/again"]] {
            assert_eq!(
                list(flags, runtime),
                list(flags, "rbuild"),
                "{runtime} {flags:?}"
            );
        }
    }
}

#[test]
fn a_runtime_that_is_not_there_is_refused() {
    let Some(place) = Place::with_base() else {
        return;
    };
    for name in ["nosuch", "/no/such/runtime"] {
        place
            .rbuild(&["run", "--rm", "--runtime", name, BASE, "true"])
            .fails(125, "Unknown runtime specified");
        place
            .rbuild(&["create", "--runtime", name, BASE, "true"])
            .fails(1, "Unknown runtime specified");
    }
    for (flag, said) in [
        ("--pid=host", "--pid is not done"),
        ("--init", "--init is not done"),
    ] {
        place
            .rbuild(&["run", "--rm", flag, "--runtime", "/bin/true", BASE, "true"])
            .fails(125, said);
    }
    assert_eq!(place.rbuild(&["ps", "-aq"]).ok().out, "");
}
