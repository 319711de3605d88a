//! A user and a password in a URL of the Dockerfile: the server gets them, and nobody else sees
//! them: not the terminal, the history of the image, the image, nor any file of the store.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::loopback::serve_whom;
use crate::place::{Place, Said};

const USER: &str = "carla-9917";
const PASSWORD: &str = "tr0ub4dor-3311";

/// Whether a request has the user and the password, as RFC 7617 has them.
fn allowed(headers: &[String]) -> bool {
    // base64 of carla-9917:tr0ub4dor-3311
    headers
        .iter()
        .any(|line| line.ends_with("Basic Y2FybGEtOTkxNzp0cjB1YjRkb3ItMzMxMQ=="))
}

/// Fails if the password is in what was said or anywhere below the place but in the project.
#[track_caller]
fn nowhere(place: &Place, said: &Said) {
    for text in [&said.out, &said.err] {
        assert!(!text.contains(PASSWORD) && !text.contains(USER), "{text}");
    }
    for word in [PASSWORD, "Y2FybGEtOTkxNzp0cjB1YjRkb3ItMzMxMQ"] {
        let found = Command::new("grep")
            .args(["-rlaF", word])
            .arg(place.path("store"))
            .output()
            .unwrap();
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found, "", "{word}");
    }
}

#[test]
fn a_password_in_a_url_reaches_the_server_and_nobody_else() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let served = place.directory("served");
    fs::write(served.join("file"), "content").unwrap();
    let address = serve_whom(served, allowed);
    let url = format!("http://{USER}:{PASSWORD}@{address}");
    let dockerfile = format!("FROM base:1\nADD {url}/file /\nRUN true\n");
    let said = place.build(&dockerfile, &["--load"]).ok();
    assert!(said.err.contains("ADD http://xxxxx:xxxxx@"), "{}", said.err);
    nowhere(&place, &said);
    assert_eq!(place.sh("cat /file"), "content");
    let history = place.rbuild(&["history", "--no-trunc", "app"]).ok();
    assert!(
        history
            .out
            .contains(&format!("ADD http://xxxxx:xxxxx@{address}/file /")),
        "{}",
        history.out
    );
    nowhere(&place, &history);
    nowhere(
        &place,
        &place
            .build(&dockerfile.replace("/file", "/none"), &[])
            .fails(1, "404"),
    );
    nowhere(
        &place,
        &place
            .build(&format!("FROM base:1\nADD --bad {url}/file /\n"), &[])
            .fails(2, "--bad"),
    );
    nowhere(&place, &place.rbuild(&["why"]));
    let without = dockerfile.replace(&format!("{USER}:{PASSWORD}@"), "");
    place.build(&without, &["--no-cache"]).fails(1, "401");
}

#[test]
fn a_password_in_the_address_of_a_repository_stays_out_of_it() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let served = place.path("served");
    let git = |directory: &Path, arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=e@e"])
            .args(arguments)
            .current_dir(directory)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    let work = place.path("work");
    fs::create_dir_all(&work).unwrap();
    fs::create_dir_all(&served).unwrap();
    git(&work, &["init", "-q", "-b", "main"]);
    fs::write(work.join("file"), "content").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "first"]);
    git(
        &served,
        &["clone", "-q", "--bare", work.to_str().unwrap(), "repo.git"],
    );
    git(&served.join("repo.git"), &["update-server-info"]);
    let address = serve_whom(served, allowed);
    let url = format!("http://{USER}:{PASSWORD}@{address}/repo.git");
    let dockerfile = format!("FROM base:1\nADD --keep-git-dir=true {url}#main /repo\n");
    let said = place.build(&dockerfile, &["--load"]).ok();
    nowhere(&place, &said);
    assert_eq!(place.sh("cat /repo/file"), "content");
    let config = place.sh("cat /repo/.git/config");
    assert!(
        config.contains(&address) && !config.contains(USER),
        "{config}"
    );
    nowhere(
        &place,
        &place
            .build(&dockerfile.replace("#main", "#none"), &[])
            .fails(1, "none"),
    );
}
