//! `RUN --device`: devices by the names of the Container Device Interface.

use std::fs;

use crate::place::Place;

/// Writes a specification of two devices and gives the flag that names its directory.
fn registered(place: &Place, edits: &str) -> String {
    let dir = place.project().join("cdi");
    fs::create_dir_all(&dir).unwrap();
    let file = place.project().join("library");
    fs::write(&file, "of the host\n").unwrap();
    let text = format!(
        "cdiVersion: \"0.6.0\"\n\
         kind: vendor.com/class\n\
         devices:\n\
         - name: one\n  \
           containerEdits:\n    \
             env: [WHICH=one, OWN=device]\n    \
             deviceNodes: [{{path: /dev/own/zero, hostPath: /dev/zero, uid: 0, gid: 0}}]\n    \
             mounts: [{{hostPath: {}, containerPath: /opt/library, options: [ro, bind]}}]\n\
         - name: two\n  \
           annotations: {{org.mobyproject.buildkit.device.class: pair}}\n  \
           containerEdits:\n    env: [WHICH=two]\n{edits}",
        file.display()
    );
    fs::write(dir.join("vendor.yaml"), text).unwrap();
    dir.display().to_string()
}

const RUN: &str = "echo \"$WHICH $OWN\" > /out; cat /opt/library >> /out; \
    head -c 2 /dev/own/zero | wc -c >> /out; if echo x > /opt/library; then exit 1; fi";

#[test]
fn a_step_has_the_devices_it_may_have() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let dir = registered(&place, "");
    let build = |run: &str, allow: &[&str]| {
        place.write(
            "Dockerfile",
            &format!("FROM base:1\nENV OWN=step\nRUN {run}\n"),
        );
        let mut arguments = vec!["--cdi-spec-dir", &dir];
        arguments.extend(allow.iter().flat_map(|allowed| ["--allow", allowed]));
        place.build_again(&arguments)
    };
    let one = format!("--device=vendor.com/class=one,required {RUN}");
    build(&one, &["device"]).ok();
    assert_eq!(place.sh("cat /out"), "one device\nof the host\n2\n");
    // neither the mount nor the node is in the image
    assert_eq!(
        place.sh("ls /opt/library /dev/own 2>&1 | grep -c 'No such'"),
        "2\n"
    );
    // what it needs is refused though the result is in the cache
    let refused = "device vendor.com/class=one is requested by the build but not allowed";
    build(&one, &[]).fails(2, refused);
    build(&one, &["device=vendor.com/class=two"]).fails(2, refused);
    for allowed in [
        "device=vendor.com/class=one",
        "device=vendor.com/class=*",
        "device=vendor.com/class",
    ] {
        let said = build(&one, &[allowed]).ok();
        assert!(said.err.contains("CACHED"), "{}", said.err);
    }
    let which = |names: &str, allow: &str| {
        build(
            &format!("--device={names} echo \"$WHICH\" > /out"),
            &[allow],
        )
        .ok();
        place.sh("cat /out")
    };
    assert_eq!(which("pair", "device=pair"), "two\n");
    assert_eq!(which("vendor.com/class", "device"), "one\n");
    assert_eq!(which("vendor.com/class=*", "device"), "two\n");
    assert_eq!(
        which("mine", "device=vendor.com/class=two,alias=mine"),
        "two\n"
    );
    // one that can be done without
    assert_eq!(which("nobody.com/class=x", "device"), "\n");
    let missing = "required device \"nobody.com/class=x\" is not registered";
    build("--device=nobody.com/class=x,required true", &["device"]).fails(2, missing);
    build("--device=nobody.com/class=x true", &[]).fails(2, "not allowed");
}

#[test]
fn devices_that_a_specification_opens_need_no_word() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let open = "annotations: {org.mobyproject.buildkit.device.autoallow: true}\n";
    let dir = registered(&place, open);
    place.write(
        "Dockerfile",
        "FROM base:1\nRUN --device=pair echo \"$WHICH\" > /out\n",
    );
    place.build_again(&["--cdi-spec-dir", &dir]).ok();
    assert_eq!(place.sh("cat /out"), "two\n");
}

#[test]
fn hooks_of_devices_are_refused_before_anything_runs() {
    let Some(place) = Place::with_base() else {
        return;
    };
    let hook = "containerEdits: {hooks: [{hookName: createContainer, path: /usr/bin/hook}]}\n";
    let dir = registered(&place, hook);
    let text = "FROM base:1\nRUN touch /ran\nRUN --device=pair true\n";
    place.write("Dockerfile", text);
    let arguments = ["--allow", "device", "--cdi-spec-dir", &dir];
    let said = place.build_again(&arguments).fails(
        2,
        "device vendor.com/class=two needs the createContainer hook /usr/bin/hook, which is not supported",
    );
    assert!(!said.err.contains("touch /ran"), "{}", said.err);
    assert!(said.err.contains("Dockerfile:3"), "{}", said.err);
}
