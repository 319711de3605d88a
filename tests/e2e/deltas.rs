//! A COPY of many files of which few changed: only those are written, and nobody can tell.

use crate::place::Place;

const FILES: usize = 600;

fn fill(place: &Place) {
    let context = place.project();
    for number in 0..FILES {
        let dir = context.join(format!("data/d{}", number / 50));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("f{number}")), format!("text {number}\n")).unwrap();
    }
}

fn change(place: &Place) {
    let data = place.project().join("data");
    std::fs::write(data.join("d3/f160"), "other text\n").unwrap();
    std::fs::write(data.join("d3/new"), "new text\n").unwrap();
    std::fs::remove_file(data.join("d5/f270")).unwrap();
    std::fs::remove_dir_all(data.join("d7")).unwrap();
}

/// What a shell command of this machine's says.
fn host(script: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-ec", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Files that layers of the store hold.
fn files_in(place: &Place, store: &str) -> usize {
    let layers = place.path(store).join("layers");
    let count = format!("find {} -path '*/fs/*' -type f | wc -l", layers.display());
    host(&count).trim().parse().unwrap()
}

#[test]
fn a_few_changed_files_of_many_cost_a_few_files() {
    let Some(place) = Place::with_base() else {
        return;
    };
    fill(&place);
    let dockerfile = "FROM base:1\nCOPY data /data\n\
        RUN cd /data && find . -type f | sort | xargs cat | md5sum > /sum && ls d5 | wc -l > /count";
    place.build(dockerfile, &["-t", "app"]).ok();
    let before = files_in(&place, "store");
    change(&place);
    place.build(dockerfile, &["-t", "app"]).ok();
    let made = files_in(&place, "store") - before;
    assert!(made < 20, "{made} files were written for three");

    let script = "cat /data/d3/f160 /data/d3/new /count; ls /data /data/d7 /data/d5/f270 2>&1; \
        cd /data && find . -type f | sort | xargs cat | md5sum | cmp - /sum && echo same";
    let said = place.rbuild(&["run", "--rm", "app", "sh", "-c", script]);
    assert!(
        said.out.contains("other text\nnew text\n49\n"),
        "{}",
        said.out
    );
    assert!(said.out.ends_with("same\n"), "{}", said.out);
    assert!(!said.out.lines().any(|line| line == "d7"), "{}", said.out);

    // What the first build left may go; what the second one stands on may not.
    place.rbuild(&["prune", "--all"]).ok();
    let again = place.rbuild(&["run", "--rm", "app", "sh", "-c", script]);
    assert_eq!(again.out, said.out);
}

#[test]
fn an_archive_does_not_tell_how_the_layer_was_written() {
    let (Some(place), Some(other)) = (Place::with_base(), Place::with_base()) else {
        return;
    };
    let build = |place: &Place| {
        let dest = place.path("out.tar");
        let output = format!("type=oci,dest={}", dest.display());
        let epoch = "--build-arg=SOURCE_DATE_EPOCH=1700000000";
        place
            .build("FROM base:1\nCOPY data /\n", &[epoch, "-o", &output])
            .ok();
        let list = format!("tar tf {} | grep blobs/ | sort", dest.display());
        (files_in(place, "store"), host(&list))
    };
    fill(&place);
    let (before, _) = build(&place);
    change(&place);
    let (after, delta) = build(&place);
    assert!(after - before < 20, "{before} {after}");
    host(&format!(
        "rm -rf {1} && cp -a {0} {1}",
        place.project().display(),
        other.project().display()
    ));
    let (files, whole) = build(&other);
    assert!(files > FILES / 2);
    assert_eq!(delta, whole);
}
