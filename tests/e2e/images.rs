//! Images: listed, named, removed, written and read again.

use crate::place::{BASE, Place};

#[test]
fn an_image_has_names_and_an_id() {
    let Some(place) = Place::with_base() else {
        return;
    };
    place
        .build("FROM base:1\nLABEL a=b\nCMD [\"echo\", \"hi\"]\n", &[])
        .ok();
    let listed = place.rbuild(&["images"]).ok().out;
    assert!(
        listed.starts_with("REPOSITORY") && listed.contains("app") && listed.contains("base"),
        "{listed}"
    );
    place.rbuild(&["tag", "app", "other:2"]).ok();
    let id = |name: &str| place.rbuild(&["inspect", "-f", "{{.Id}}", name]).ok().out;
    assert_eq!(id("app"), id("other:2"));
    assert!(id("app").starts_with("sha256:"));
    assert_eq!(
        place
            .rbuild(&[
                "inspect",
                "-f",
                "{{.Config.Labels.a}} {{json .Config.Cmd}}",
                "app"
            ])
            .ok()
            .out,
        "b [\"echo\",\"hi\"]\n"
    );
    place.rbuild(&["rmi", "app"]).ok();
    assert_eq!(place.rbuild(&["run", "--rm", "other:2"]).ok().out, "hi\n");
    place.rbuild(&["rmi", "other:2"]).ok();
    place.rbuild(&["inspect", "other:2"]).fails(1, "other:2");
    let history = place.rbuild(&["history", "--no-trunc", BASE]).ok().out;
    assert!(
        history.contains("IMAGE") && history.lines().count() == 2,
        "{history}"
    );
}

#[test]
fn save_and_load_give_the_same_image() {
    let (Some(one), Some(two)) = (Place::with_base(), Place::new()) else {
        return;
    };
    one.build("FROM base:1\nRUN echo x > /x\nCMD [\"cat\", \"/x\"]\n", &[])
        .ok();
    let archive = one.path("app.tar");
    one.rbuild(&["save", "-o", archive.to_str().unwrap(), "app"])
        .ok();
    two.rbuild(&["load", "-i", archive.to_str().unwrap()]).ok();
    assert_eq!(two.rbuild(&["run", "--rm", "app"]).ok().out, "x\n");
    let id = |place: &Place| place.rbuild(&["inspect", "-f", "{{.Id}}", "app"]).ok().out;
    assert_eq!(id(&one), id(&two));
}

#[test]
fn import_takes_changes_and_standard_input() {
    let Some(place) = Place::new() else { return };
    let tar = std::fs::File::open(crate::place::base_tar()).unwrap();
    let output = place
        .command(&[
            "import",
            "-c",
            "CMD [\"echo\", \"$A\"]",
            "-c",
            "ENV A=b",
            "-",
            "mine:3",
        ])
        .stdin(tar)
        .output()
        .unwrap();
    crate::place::said(output).ok();
    assert_eq!(
        place
            .rbuild(&["inspect", "-f", "{{.Config.Env}}", "mine:3"])
            .ok()
            .out,
        "[A=b]\n"
    );
    assert_eq!(
        place
            .rbuild(&["run", "--rm", "mine:3", "sh", "-c", "echo $A"])
            .ok()
            .out,
        "b\n"
    );
}

#[test]
fn an_archive_that_is_none_is_refused() {
    let Some(place) = Place::new() else { return };
    std::fs::write(place.path("x.tar"), "not a tar at all").unwrap();
    let said = place.rbuild(&["load", "-i", "x.tar"]);
    assert!(
        matches!(said.code, 1..=3) && !said.err.contains("panicked"),
        "{said:?}"
    );
    let said = place.rbuild(&["import", "x.tar", "x"]);
    assert!(
        matches!(said.code, 1..=3) && !said.err.contains("panicked"),
        "{said:?}"
    );
}

#[test]
fn a_built_name_is_an_image_for_whoever_asks() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let build = |text: &str| place.build(&format!("FROM base:1\nRUN echo {text} > /x\n"), &[]);
    build("one").ok();
    build("two").ok();
    assert_eq!(
        place.rbuild(&["run", "--rm", "app", "cat", "/x"]).ok().out,
        "two\n"
    );
    let id = || place.rbuild(&["inspect", "-f", "{{.Id}}", "app"]).ok().out;
    let before = id();
    // What the name leads to already stays, and so does its id.
    build("two").ok();
    assert_eq!(id(), before);
    assert_eq!(
        place.rbuild(&["images", "-q"]).ok().out.lines().count(),
        2,
        "the first one was replaced before anybody saw it"
    );
    // A base, and a source, of another build, straight after its own.
    build("three").ok();
    place.build("FROM app\nCOPY --from=app /x /y\n", &[]).ok();
    assert_eq!(
        place
            .rbuild(&["run", "--rm", "app", "cat", "/x", "/y"])
            .ok()
            .out,
        "three\nthree\n"
    );
    build("four").ok();
    place.rbuild(&["prune", "--all"]).ok();
    assert_eq!(
        place.rbuild(&["run", "--rm", "app", "cat", "/x"]).ok().out,
        "four\n",
        "a draft keeps its layers"
    );
    build("five").ok();
    place.rbuild(&["rmi", "app"]).ok();
    place.rbuild(&["inspect", "app"]).fails(1, "app");
}
