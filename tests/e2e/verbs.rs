//! What docker's commands answer in the corners that scripts look into: each of these was asked of
//! docker too.

use crate::place::{BASE, Cleared, Place};

fn place() -> Option<Cleared> {
    Place::with_base().map(Cleared)
}

const RUN: [&str; 3] = ["run", "--network", "none"];

#[test]
fn a_container_that_goes_when_it_ends_outlives_a_restart() {
    let Some(place) = place() else { return };
    place
        .rbuild(
            &[
                &RUN[..],
                &["-d", "--rm", "--name", "box", BASE, "sleep", "1000"],
            ]
            .concat(),
        )
        .ok();
    let again = place.rbuild(&["restart", "-t", "0", "box"]).ok();
    assert_eq!(again.out, "box\n");
    let names = ["ps", "-a", "--format", "{{.Names}} {{.State}}"];
    assert_eq!(place.rbuild(&names).ok().out, "box running\n");
    place.rbuild(&["stop", "-t", "0", "box"]).ok();
    // It goes in the background.
    let begun = std::time::Instant::now();
    while !place.rbuild(&names).ok().out.is_empty() {
        assert!(begun.elapsed().as_secs() < 60, "it is still there");
    }
}

#[test]
fn lists_have_labels_and_commands_as_docker_writes_them() {
    let Some(place) = place() else { return };
    let make = [
        "create", "--name", "box", "-l", "a.b=v", BASE, "sh", "-c", "exit 3",
    ];
    place.rbuild(&make).ok();
    for (format, expected) in [
        ("{{.Label \"a.b\"}}|{{.Label \"none\"}}", "v|\n"),
        ("{{.Command}}", "\"sh -c 'exit 3'\"\n"),
    ] {
        let shown = place.rbuild(&["ps", "-a", "--format", format]).ok();
        assert_eq!(shown.out, expected, "{format}");
        // A format of one's own is heeded even where ids alone are asked for.
        let quiet = place.rbuild(&["ps", "-aq", "--format", format]).ok();
        assert_eq!(quiet.out, expected, "{format}");
    }
    place
        .rbuild(&["volume", "create", "--label", "a=b", "--name", "vol"])
        .ok();
    let shown = place
        .rbuild(&["volume", "ls", "--format", "{{.Label \"a\"}}"])
        .ok();
    assert_eq!(shown.out, "b\n");
}

#[test]
fn inspect_says_what_was_mounted_and_how() {
    let Some(place) = place() else { return };
    let make = [
        "create",
        "--name",
        "box",
        "--mount",
        "type=volume,src=vol,dst=/x,ro",
        BASE,
        "true",
    ];
    place.rbuild(&make).ok();
    let shown = |template: &str| place.rbuild(&["inspect", "-f", template, "box"]).ok().out;
    assert_eq!(
        shown("{{json .HostConfig.Mounts}}"),
        "[{\"Type\":\"volume\",\"Source\":\"vol\",\"Target\":\"/x\",\"ReadOnly\":true}]\n"
    );
    let make = ["create", "--name", "other", "-v", "/tmp:/y", BASE, "true"];
    place.rbuild(&make).ok();
    let template = "{{range .Mounts}}{{.Type}}|{{.Name}}|{{.Driver}}|{{.RW}}{{end}}";
    let shown = place.rbuild(&["inspect", "-f", template, "other"]).ok();
    assert_eq!(shown.out, "bind|||true\n");
}

#[test]
fn what_docker_refuses_is_refused_with_its_code() {
    let Some(place) = place() else { return };
    for (arguments, code, text) in [
        (
            &["create", "--restart", "always:2", BASE, "true"][..],
            1,
            "maximum retry count",
        ),
        (
            &["create", "--memory", "1k", BASE, "true"],
            1,
            "Minimum memory limit",
        ),
        (
            &["create", "--cpuset-cpus", "4000", BASE, "true"],
            1,
            "not available",
        ),
        (
            &["create", "--health-interval", "1us", BASE, "true"],
            1,
            "cannot be less than 1ms",
        ),
        (
            &["create", "--sysctl", "kernel.panic=1", BASE, "true"],
            125,
            "not whitelisted",
        ),
        (
            &["create", "-v", "/tmp:/x:ro,rw", BASE, "true"],
            1,
            "invalid mode",
        ),
        (
            &["run", "-d", "-a", "stdout", BASE, "true"],
            1,
            "Conflicting options",
        ),
        (
            &["run", "-d", "-w", "/bin/sh", BASE, "true"],
            125,
            "not a directory",
        ),
        (&["import", "/no/such/file", "x"], 1, "cannot read"),
        (&["exec", "box"], 1, "requires at least 2 arguments"),
        (
            &["create", "--mount", "type=bind,src=tmp,dst=/x", BASE],
            1,
            "mount path must be absolute",
        ),
        (&["create", "-l", "", BASE], 125, "empty name"),
        (
            &["stop", "-t", "x", "box"],
            125,
            "invalid argument \"x\" for \"-t, --time\" flag",
        ),
        (
            &["start", "nosuch"],
            1,
            "failed to start containers: nosuch",
        ),
        (
            &["rename", "box", ""],
            1,
            "Neither old nor new names may be empty",
        ),
        (&["rm", "-x"], 125, "unknown shorthand flag: 'x' in -x"),
    ] {
        place.rbuild(arguments).fails(code, text);
    }
    assert_eq!(place.rbuild(&["ps", "-aq"]).ok().out, "");
}

#[test]
fn inspect_knows_kinds_and_says_what_is_wrong_with_its_template() {
    let Some(place) = place() else { return };
    place
        .rbuild(&["create", "--name", "box", BASE, "true"])
        .ok();
    for (arguments, code, text) in [
        (&["--type", "image", "box"][..], 1, "No such image: box"),
        (&["--type", "plugin", "box"], 1, "No such plugin: box"),
        (
            &["--type", "what", "box"],
            1,
            "not a valid value for --type",
        ),
        (&["-f", "{{.Name", "box"], 64, "unclosed action"),
        (&["-f", "{{.Nope}}", "box"], 1, "Nope"),
    ] {
        place
            .rbuild(&[&["inspect"], arguments].concat())
            .fails(code, text);
    }
    place
        .rbuild(&["version", "-f", "{{.Client"])
        .fails(64, "unclosed action");
    // The template of `ps` must fit a container even where there is none.
    let none = ["ps", "--format", "{{.Nope}}"];
    place.rbuild(&none).fails(1, "Nope");
    let paths =
        "{{len .HostConfig.MaskedPaths}} {{len .HostConfig.ReadonlyPaths}} {{len .ExecIDs}}";
    let shown = place.rbuild(&["inspect", "-f", paths, "box"]).ok().out;
    let counts: Vec<usize> = shown.split_whitespace().flat_map(str::parse).collect();
    assert!(matches!(counts[..], [1..=99, 1..=99, 0]), "{shown}");
    let data = ["image", "inspect", "-f", "{{json .GraphDriver.Data}}", BASE];
    let shown = place.rbuild(&data).ok().out;
    assert!(
        shown.contains("MergedDir") && shown.contains("WorkDir"),
        "{shown}"
    );
}

#[test]
fn what_runs_in_a_container_besides_has_an_id() {
    let Some(place) = place() else { return };
    let up = ["-d", "--name", "box", BASE, "sleep", "1000"];
    place.rbuild(&[&RUN[..], &up].concat()).ok();
    place.rbuild(&["exec", "-d", "box", "sleep", "1000"]).ok();
    let ids = ["inspect", "-f", "{{range .ExecIDs}}{{.}} {{end}}", "box"];
    let shown = place.rbuild(&ids).ok().out;
    assert_eq!(shown.trim().len(), 64, "{shown}");
    place
        .rbuild(&["exec", "-d", "box", "nosuch"])
        .fails(1, "not found");
    place.rbuild(&["kill", "box"]).ok();
    place.rbuild(&["kill", "box"]).fails(1, "is not running");
    place
        .rbuild(&["kill", "nosuch"])
        .fails(1, "Cannot kill container: nosuch");
    assert_eq!(place.rbuild(&ids).ok().out, "\n");
}

#[test]
fn a_name_taken_by_force_leaves_a_running_container_its_image() {
    let Some(place) = place() else { return };
    place.rbuild(&["tag", BASE, "other"]).ok();
    let up = ["-d", "--name", "box", "other", "sleep", "1000"];
    place.rbuild(&[&RUN[..], &up].concat()).ok();
    let images = || place.rbuild(&["ps", "--format", "{{.Image}}"]).ok().out;
    assert_eq!(images(), "other\n");
    place.rbuild(&["rmi", "-f", "other"]).ok();
    let id = place
        .rbuild(&["inspect", "-f", "{{.Image}}", "box"])
        .ok()
        .out;
    let short = id.strip_prefix("sha256:").unwrap().get(..12).unwrap();
    assert_eq!(images().trim(), short);
    place.rbuild(&["rmi", "-f", BASE]).ok();
    place
        .rbuild(&["rmi", "-f", short])
        .fails(1, "cannot be forced");
    assert_eq!(
        place.rbuild(&["exec", "box", "echo", "on"]).ok().out,
        "on\n"
    );
}

#[test]
fn the_last_of_a_flag_given_twice_counts() {
    let Some(place) = place() else { return };
    let twice = ["--rm", "--rm", "-w", "/etc", "-w", "/tmp", BASE, "pwd"];
    assert_eq!(
        place.rbuild(&[&RUN[..], &twice].concat()).ok().out,
        "/tmp\n"
    );
    let root = ["--rm", "-w", "", BASE, "pwd"];
    assert_eq!(place.rbuild(&[&RUN[..], &root].concat()).ok().out, "/\n");
}

#[test]
fn a_commit_adds_no_variables_and_an_update_checks_swap() {
    let Some(place) = place() else { return };
    // A layer on nothing, whose configuration has no PATH.
    place
        .rbuild(&[&RUN[..], &["--name", "box", BASE, "true"]].concat())
        .ok();
    let file = place.path("box.tar");
    let file = file.to_str().unwrap();
    place.rbuild(&["export", "-o", file, "box"]).ok();
    place.rbuild(&["import", file, "bare"]).ok();
    place
        .rbuild(&["create", "--name", "other", "bare", "true"])
        .ok();
    place
        .rbuild(&["commit", "-c", "ENV A=1", "other", "made"])
        .ok();
    let variables = [
        "image",
        "inspect",
        "-f",
        "{{.Config.Env}} {{.Config.Cmd}}",
        "made",
    ];
    assert_eq!(place.rbuild(&variables).ok().out, "[A=1] [true]\n");
    place
        .rbuild(&["update", "--memory", "64m", "other"])
        .fails(1, "update the memoryswap at the same time");
    place
        .rbuild(&[
            "update",
            "--memory",
            "64m",
            "--memory-swap",
            "128m",
            "other",
        ])
        .ok();
    place.rbuild(&["update", "--memory", "32m", "other"]).ok();
}

#[test]
fn what_is_copied_onto_a_link_goes_where_it_leads() {
    let Some(place) = place() else { return };
    place
        .rbuild(
            &[
                &RUN[..],
                &["--name", "box", BASE, "ln", "-s", "/tmp/new", "/tmp/link"],
            ]
            .concat(),
        )
        .ok();
    let file = place.path("file");
    std::fs::write(&file, "one\n").unwrap();
    place
        .rbuild(&["cp", file.to_str().unwrap(), "box:/tmp/link"])
        .ok();
    let back = place.path("back");
    place
        .rbuild(&["cp", "box:/tmp/new", back.to_str().unwrap()])
        .ok();
    assert_eq!(std::fs::read_to_string(back).unwrap(), "one\n");
    place
        .rbuild(&["cp", "box:", "x"])
        .fails(1, "path cannot be empty");
}
