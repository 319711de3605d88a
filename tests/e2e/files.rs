//! Files of containers: what they changed, images and archives of it, and copies in and out.

use std::io::Read;

use crate::place::{BASE, Cleared, Place, said};

impl Cleared {
    /// What a script of the host's shell says, in the place's directory.
    fn host(&self, script: &str) -> String {
        let mut shell = std::process::Command::new("sh");
        let output = shell
            .args(["-c", script])
            .current_dir(self.0.path(""))
            .output();
        said(output.unwrap()).ok().out
    }
}

/// A place with a container `box` that ran a script and ended.
fn ran(script: &str) -> Option<Cleared> {
    let place = Place::with_base().map(Cleared)?;
    let words = [
        "run",
        "--network",
        "none",
        "--name",
        "box",
        "-v",
        "kept:/vol",
        "-e",
        "R=1",
    ];
    place
        .rbuild(&[&words[..], &[BASE, "sh", "-c", script]].concat())
        .ok();
    Some(place)
}

#[test]
fn what_a_container_changed_is_shown_exported_and_committed() {
    let script = "mkdir /srv; echo new > /srv/new; ln /srv/new /srv/other; chmod 600 /srv/new; \
                  rm -r /root; echo no > /vol/no";
    let Some(place) = ran(script) else { return };
    let shown = place.rbuild(&["diff", "box"]).ok();
    let lines: Vec<&str> = shown.out.lines().collect();
    for line in ["A /srv/new", "A /srv/other", "A /vol", "D /root"] {
        assert!(lines.contains(&line), "{line} in {}", shown.out);
    }
    assert!(!shown.out.contains("/etc/hosts") && !shown.out.contains("/vol/no"));
    assert!(!shown.out.contains("/proc") && !shown.out.contains("/dev"));

    place
        .rbuild(&[
            "export",
            "-o",
            &place.path("box.tar").display().to_string(),
            "box",
        ])
        .ok();
    let listed = place.host("tar -tf box.tar");
    assert!(
        listed.contains("srv/new\n") && listed.contains("vol/\n"),
        "{listed}"
    );
    assert!(
        !listed.contains("vol/no") && !listed.contains("root/"),
        "{listed}"
    );

    let id = place
        .rbuild(&[
            "commit",
            "-a",
            "me",
            "-m",
            "why",
            "-c",
            "CMD [\"cat\",\"/srv/other\"]",
            "-c",
            "ENV A=2",
            "box",
            "made:1",
        ])
        .ok()
        .out;
    assert!(id.starts_with("sha256:"), "{id}");
    let template = "{{.Author}}|{{.Comment}}|{{len .RootFS.Layers}}|{{json .Config.Env}}";
    let seen = place
        .rbuild(&["inspect", "-f", template, "made:1"])
        .ok()
        .out;
    assert!(
        seen.starts_with("me|why|2|") && seen.contains("\"R=1\"") && seen.contains("\"A=2\""),
        "{seen}"
    );
    let run = place
        .rbuild(&["run", "--network", "none", "--rm", "made:1"])
        .ok();
    assert_eq!(run.out, "new\n");
    let words = ["run", "--network", "none", "--rm", "made:1", "sh", "-c"];
    let test = "stat -c '%a %h' /srv/new; ls -d /root /vol";
    let run = place.rbuild(&[&words[..], &[test]].concat());
    // The volume's directory was made for a mount, and is no work of the container.
    assert_eq!(run.out, "600 2\n");
    place
        .rbuild(&["commit", "-c", "RUN true", "box", "made:2"])
        .fails(1, "not a valid change");
    place
        .rbuild(&["commit", "box", "Bad Name"])
        .fails(1, "invalid reference");
    place
        .rbuild(&["commit", "nosuch"])
        .fails(1, "No such container: nosuch");
}

#[test]
fn files_are_copied_out_of_a_container_and_into_it() {
    let script = "mkdir -p /srv/dir; echo one > /srv/dir/one; echo two > /srv/two; \
                  chmod 640 /srv/two; ln -s two /srv/link; echo v > /vol/v";
    let Some(place) = ran(script) else { return };
    std::fs::create_dir(place.path("there")).unwrap();
    let copy = |from: &str, to: &str| place.rbuild(&["cp", from, to]);
    let host = |name: &str| place.path(name).display().to_string();
    copy("box:/srv/two", &host("name")).ok();
    copy("box:srv/two", &host("there")).ok();
    copy("box:/srv/dir/.", &host("there")).ok();
    copy("box:/srv/dir", &host("new")).ok();
    copy("box:/srv/link", &host("link")).ok();
    copy("box:/vol/v", &host("v")).ok();
    place
        .rbuild(&["cp", "-L", "box:/srv/link", &host("followed")])
        .ok();
    assert_eq!(
        place.host("cat name followed v; stat -c %a name; ls there new; readlink link"),
        "two\ntwo\nv\n640\nnew:\none\n\nthere:\none\ntwo\ntwo\n"
    );
    let tar = place
        .command(&["cp", "box:/srv/dir", "-"])
        .output()
        .unwrap();
    std::fs::write(place.path("dir.tar"), &tar.stdout).unwrap();
    assert_eq!(place.host("tar -tf dir.tar"), "dir/\ndir/one\n");

    copy(&host("new"), "box:/vol/").ok();
    copy(&host("name"), "box:/srv/dir/in").ok();
    copy("box:/vol/new/one", &host("back")).ok();
    copy("box:/srv/dir/in", &host("back2")).ok();
    let tar = std::fs::File::open(place.path("dir.tar")).unwrap();
    let output = place.command(&["cp", "-", "box:/vol"]).stdin(tar).output();
    said(output.unwrap()).ok();
    copy("box:/vol/dir/one", &host("back3")).ok();
    assert_eq!(place.host("cat back back2 back3"), "one\ntwo\none\n");

    copy("box:/nosuch", &host("x")).fails(1, "Could not find the file /nosuch in container box");
    copy("box:/srv/two", &host("missing/dir/")).fails(1, "no such directory");
    copy("box:/srv/dir", &host("name")).fails(1, "cannot copy directory");
    copy("nosuch:/srv", &host("x")).fails(1, "No such container: nosuch");
    copy(&host("name"), "box:/no/where/x").fails(1, "Could not find the file /no/where");
    copy(&host("nosuch"), "box:/srv").fails(1, "no such file");
    copy("box:/srv", "box:/vol").fails(1, "copying between containers is not supported");
    copy(&host("name"), &host("x")).fails(1, "must specify at least one container source");
}

#[test]
fn links_in_a_container_lead_nowhere_outside() {
    let Some(place) = ran("ln -s /etc /srv; ln -s ../../../../.. /out") else {
        return;
    };
    std::fs::write(place.path("mine"), "text").unwrap();
    let mine = place.path("mine").display().to_string();
    // Both are followed inside the container's root.
    place.rbuild(&["cp", &mine, "box:/out/mine"]).ok();
    place
        .rbuild(&["cp", &mine, "box:/srv/rbuild-test-mine"])
        .ok();
    assert!(!std::path::Path::new("/etc/rbuild-test-mine").exists());
    let back = place.path("back").display().to_string();
    place.rbuild(&["cp", "box:/mine", &back]).ok();
    place
        .rbuild(&["cp", "box:/etc/rbuild-test-mine", &back])
        .ok();
    assert_eq!(place.host("cat back"), "text");
}

#[test]
fn directories_and_addresses_are_imported_too() {
    let Some(place) = Place::with_base().map(Cleared) else {
        return;
    };
    place.host("mkdir -p tree/bin tree/srv && echo text > tree/srv/f && ln tree/srv/f tree/srv/g");
    let tree = place.path("tree").display().to_string();
    place
        .rbuild(&["import", &tree, "-", "-m", "x"])
        .fails(1, "the name `-`");
    place.rbuild(&["import", "-m", "mine", &tree, "dir:1"]).ok();
    let template = "{{.Comment}}|{{len .RootFS.Layers}}";
    let seen = place.rbuild(&["inspect", "-f", template, "dir:1"]).ok();
    assert_eq!(seen.out, "mine|1\n");
    place
        .rbuild(&["create", "--name", "box", "dir:1", "x"])
        .ok();
    let copy = place.path("copy").display().to_string();
    place.rbuild(&["cp", "box:/srv/g", &copy]).ok();
    assert_eq!(place.host("cat copy"), "text\n");

    place.host("tar -C tree -cf tree.tar .");
    let tar = std::fs::read(place.path("tree.tar")).unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/tree.tar?secret", server.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        use std::io::Write;
        let (mut client, _) = server.accept().unwrap();
        // The request fits into one packet, and nothing of it matters.
        let _ = client.read(&mut [0; 4096]);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            tar.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(&tar).unwrap();
    });
    place.rbuild(&["import", &url, "url:1"]).ok();
    serving.join().unwrap();
    let seen = place.rbuild(&["history", "--format", "{{.Comment}}", "url:1"]);
    let seen = seen.ok().out;
    assert!(
        seen.starts_with("Imported from http://127.0.0.1:") && !seen.contains("secret"),
        "{seen}"
    );
    place
        .rbuild(&["import", "http://127.0.0.1:1/x"])
        .fails(1, "cannot fetch http://127.0.0.1:1/x");
}

#[test]
fn the_whole_is_shown_and_pruned() {
    let Some(place) = ran("echo new > /srv-new") else {
        return;
    };
    place.rbuild(&["commit", "box", "unused:1"]).ok();
    place.rbuild(&["commit", "box"]).ok();
    let format = "{{.Type}} {{.TotalCount}} {{.Active}}";
    let seen = place.rbuild(&["system", "df", "--format", format]).ok();
    assert!(
        seen.out
            .starts_with("Images 3 1\nContainers 1 0\nLocal Volumes 1 1\n"),
        "{}",
        seen.out
    );
    let seen = place.rbuild(&["system", "df", "-v"]).ok();
    assert!(
        seen.out.contains("kept") && seen.out.contains("unused"),
        "{}",
        seen.out
    );
    let format = "{{.Containers}} {{.ContainersRunning}} {{.Images}} {{.Driver}}";
    let seen = place.rbuild(&["info", "-f", format]).ok();
    assert_eq!(seen.out, "1 0 3 overlay2\n");
    place
        .rbuild(&["info", "-f", "{{.Nonsense}}"])
        .fails(1, "template");
    let version = place.rbuild(&["version", "-f", "{{.Client.Version}}"]).ok();
    assert_eq!(version.out.trim(), env!("CARGO_PKG_VERSION"));

    let pruned = place.rbuild(&["image", "prune", "-f"]).ok().out;
    assert!(
        pruned.starts_with("Deleted Images:\ndeleted: sha256:"),
        "{pruned}"
    );
    let again = place.rbuild(&["image", "prune", "-f"]).ok().out;
    assert_eq!(again, "Total reclaimed space: 0B\n");
    place
        .rbuild(&["image", "prune", "-f", "--filter", "nonsense=1"])
        .fails(1, "invalid filter");
    let pruned = place.rbuild(&["image", "prune", "-a", "-f"]).ok().out;
    assert!(pruned.contains("untagged: unused:1\n"), "{pruned}");
    let pruned = place
        .rbuild(&["system", "prune", "-a", "-f", "--volumes"])
        .ok();
    for text in [
        "Deleted Containers:",
        "Deleted Volumes:\nkept",
        "Deleted Images:",
    ] {
        assert!(pruned.out.contains(text), "{text} in {}", pruned.out);
    }
    assert_eq!(place.rbuild(&["images", "-q"]).ok().out, "");
}
