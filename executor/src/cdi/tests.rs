//! Names, entitlements and edits, by specifications in directories of their own.

use super::*;
use crate::container::spec::MountSource;

/// A registry of files in one or more directories.
fn registry(files: &[(&str, &str)]) -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let directories = [dir.path().join("a"), dir.path().join("b")];
    let registry = Registry::read(&directories);
    (dir, registry)
}

const MULTI: &str = r#"cdiVersion: "0.6.0"
kind: "vendor1.com/multi"
devices:
  - name: foo
    containerEdits:
      env: [FOO=injected]
  - name: bar
    annotations:
      org.mobyproject.buildkit.device.class: class1
    containerEdits:
      env: [BAR=injected, SHARED=bar]
containerEdits:
  env: [SHARED=all]
"#;

const FREE: &str = r#"{"cdiVersion": "0.6.0", "kind": "vendor2.com/one",
  "annotations": {"org.mobyproject.buildkit.device.autoallow": true},
  "devices": [{"name": "x", "annotations": {"org.mobyproject.buildkit.device.class": "class1"},
    "containerEdits": {"env": ["X=injected"]}}]}"#;

#[test]
fn names_mean_devices() {
    let (_dir, registry) = registry(&[("a/multi.yaml", MULTI), ("a/free.json", FREE)]);
    let found = |name| registry.find(name);
    assert_eq!(found("vendor1.com/multi=foo"), ["vendor1.com/multi=foo"]);
    assert_eq!(found("vendor1.com/multi"), ["vendor1.com/multi=bar"]);
    let both = ["vendor1.com/multi=bar", "vendor1.com/multi=foo"];
    assert_eq!(found("vendor1.com/multi=*"), both);
    assert_eq!(
        found("class1"),
        ["vendor1.com/multi=bar", "vendor2.com/one=x"]
    );
    assert!(found("vendor1.com/multi=no").is_empty());
    assert!(found("vendor1.com/mul").is_empty());
    assert!(found("class2").is_empty());
}

#[test]
fn a_device_is_had_by_who_may() {
    let (_dir, registry) = registry(&[("a/multi.yaml", MULTI), ("a/free.json", FREE)]);
    let allowed = |texts: &[&str]| {
        let mut allowed = Allowed::default();
        for text in texts {
            allowed.add(text).unwrap();
        }
        allowed
    };
    let grant = |names: &[&str], required, texts: &[&str]| {
        let requests: Vec<Request<'_>> = { names.iter() }
            .map(|name| Request { name, required })
            .collect();
        { registry.grant(&requests, &allowed(texts)) }.map_err(|error| error.to_string())
    };
    let foo = "vendor1.com/multi=foo";
    assert_eq!(grant(&[foo], true, &[""]).unwrap(), [foo]);
    assert_eq!(
        grant(&[foo, foo], true, &["=vendor1.com/multi=*"]).unwrap(),
        [foo]
    );
    assert_eq!(
        grant(&["gpu"], true, &["=vendor1.com/multi=foo,alias=gpu"]).unwrap(),
        [foo]
    );
    assert_eq!(
        grant(&["vendor2.com/one"], true, &[]).unwrap(),
        ["vendor2.com/one=x"]
    );
    assert!(grant(&["nobody.com/x"], false, &[""]).unwrap().is_empty());
    for (names, required, texts, error) in [
        (
            &[foo][..],
            true,
            &[][..],
            "device vendor1.com/multi=foo is requested by the build but not allowed",
        ),
        (
            &[foo],
            true,
            &["=vendor1.com/multi=bar"],
            "device vendor1.com/multi=foo is requested by the build but not allowed",
        ),
        (
            &["vendor1.com/multi=*"],
            true,
            &[],
            "devices vendor1.com/multi=bar, vendor1.com/multi=foo are requested by the build but not allowed",
        ),
        (
            &["nobody.com/x"],
            true,
            &[""],
            "required device \"nobody.com/x\" is not registered",
        ),
        (
            &["nobody.com/x"],
            false,
            &[],
            "device nobody.com/x is requested by the build but not allowed",
        ),
    ] {
        assert_eq!(grant(names, required, texts).unwrap_err(), error);
    }
    for text in ["=,alias=a", "=x,y", "=x,alias="] {
        assert!(Allowed::default().add(text).is_err(), "{text}");
    }
}

#[test]
fn devices_change_a_container() {
    let (dir, _) = registry(&[]);
    let file = dir.path().join("library");
    std::fs::write(&file, "x").unwrap();
    let text = format!(
        "cdiVersion: 1.0.0\nkind: v.com/c\ndevices:\n- name: d\n  containerEdits:\n    additionalGids: [44, 0]\n    \
         deviceNodes:\n    - {{path: /dev/mynull, hostPath: /dev/null, type: c, major: 1, minor: 3, permissions: rwm}}\n    \
         mounts:\n    - {{hostPath: {}, containerPath: /opt/library, options: [ro, nosuid, nodev, bind]}}\n",
        file.display()
    );
    let (_other, registry) = registry(&[("a/multi.yaml", MULTI), ("b/d.yaml", &text)]);
    let names = [
        "vendor1.com/multi=bar",
        "vendor1.com/multi=foo",
        "v.com/c=d",
    ];
    let edits = registry.edits(&names.map(str::to_owned)).unwrap();
    assert_eq!(edits.env, ["BAR=injected", "SHARED=bar", "FOO=injected"]);
    assert_eq!(edits.groups, ["44"]);
    assert_eq!(edits.devices[0].source, Path::new("/dev/null"));
    assert_eq!(edits.devices[0].target, "/dev/mynull");
    let file = file.canonicalize().unwrap();
    assert_eq!(edits.mounts[0].source, MountSource::Host(file.clone()));
    assert!(edits.mounts[0].readonly && edits.mounts[0].nosuid && !edits.mounts[0].noexec);
    assert_eq!(edits.host_sources().collect::<Vec<_>>(), [file]);
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    for (edits, error) in [
        (
            "hooks: [{hookName: createContainer, path: /usr/bin/nvidia-ctk, args: [a]}]",
            "device v.com/c=d needs the createContainer hook /usr/bin/nvidia-ctk, which is not supported",
        ),
        (
            "netDevices: [{hostInterfaceName: a, name: b}]",
            "device v.com/c=d needs network devices, which is not supported",
        ),
        (
            "intelRdt: {closID: x}",
            "device v.com/c=d needs intelRdt, which is not supported",
        ),
        (
            "mounts: [{hostPath: tmpfs, containerPath: /t, type: tmpfs}]",
            "device v.com/c=d needs a mount of type tmpfs, which is not supported",
        ),
        (
            "mounts: [{hostPath: /, containerPath: /t, options: [mode=1]}]",
            "device v.com/c=d needs / mounted with \"mode=1\", which is not supported",
        ),
        (
            "deviceNodes: [{path: /dev/null, permissions: r}]",
            "device v.com/c=d needs /dev/null with the rights \"r\" alone, which is not supported",
        ),
        (
            "deviceNodes: [{path: /dev/null, fileMode: 0}]",
            "device v.com/c=d needs /dev/null with another mode than its own, which is not supported",
        ),
        (
            "deviceNodes: [{path: /dev/null, uid: 7}]",
            "device v.com/c=d needs /dev/null with another owner than its own, which is not supported",
        ),
        (
            "deviceNodes: [{path: /dev/null, type: b}]",
            "device v.com/c=d: /dev/null: it is of type c, not b",
        ),
        (
            "deviceNodes: [{path: /dev/null, major: 1, minor: 5}]",
            "device v.com/c=d: /dev/null: it is 1:3, not 1:5",
        ),
        (
            "deviceNodes: [{path: /dev/x, hostPath: /etc/passwd}]",
            "device v.com/c=d: /etc/passwd: only devices below /dev can be given",
        ),
    ] {
        let text = format!(
            "cdiVersion: 1.0.0\nkind: v.com/c\ndevices: [{{name: d, containerEdits: {{{edits}}}}}]\n"
        );
        let (_dir, registry) = registry(&[("a/d.yaml", &text)]);
        let found = registry.edits(&["v.com/c=d".to_owned()]);
        assert_eq!(
            found.unwrap_err().to_string(),
            error,
            "{text} {:?}",
            registry.broken
        );
    }
}

#[test]
fn owners_are_those_of_the_host() {
    let user = "         0       1000          1\n         1     100000      65536\n";
    let seen = [0, 1000, 1001, 100_004].map(|id| edits::here(id, user));
    assert_eq!(seen, [65_534, 0, 65_534, 5]);
    let all = "         0          0 4294967295\n";
    assert_eq!([0, 44].map(|id| edits::here(id, all)), [0, 44]);
}

#[test]
fn a_later_directory_wins_and_what_is_broken_is_named() {
    let other = MULTI.replace("FOO=injected", "FOO=later");
    let (_dir, of_two) = registry(&[("a/multi.yaml", MULTI), ("b/multi.yaml", &other)]);
    let foo = ["vendor1.com/multi=foo".to_owned()];
    assert_eq!(of_two.edits(&foo).unwrap().env[1], "FOO=later");
    let (_dir, twice) = registry(&[("a/1.yaml", MULTI), ("a/2.yaml", MULTI)]);
    assert!(twice.find("vendor1.com/multi=foo").is_empty());
    let broken = [
        ("a/1.yaml", "kind: 1\nsurprise: 2\n"),
        ("a/2.json", "{"),
        ("a/note.txt", "{"),
    ];
    let (_dir, registry) = registry(&broken);
    let request = Request {
        name: "v.com/c=d",
        required: true,
    };
    let error = registry
        .grant(&[request], &Allowed::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a/1.yaml: ") && error.contains("a/2.json: "),
        "{error}"
    );
    assert!(!error.contains("note.txt"), "{error}");
}
