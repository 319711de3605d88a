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
        (&["rm", "-x"], 125, "unknown shorthand flag: 'x' in -x"),
    ] {
        place.rbuild(arguments).fails(code, text);
    }
    assert_eq!(place.rbuild(&["ps", "-aq"]).ok().out, "");
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
