//! Mounts of a spec: sources, targets, stubs, restrictions.

use std::os::unix::fs::MetadataExt;

use executor::container::spec::{MountSource, Upper};
use executor::container::{Attachments, ContainerError};

use crate::Case;
use crate::fixture::{Fixture, mount};

pub const CASES: &[Case] = &[
    ("mounts::stubs_are_reported", stubs_are_reported),
    (
        "mounts::standard_directories_stay",
        standard_directories_stay,
    ),
    ("mounts::store_and_host", store_and_host),
    ("mounts::other_layers", other_layers),
    ("mounts::content", content),
    ("mounts::socket", socket),
    ("mounts::tmpfs", tmpfs),
    ("mounts::links_stay_inside", links_stay_inside),
    ("mounts::read_only_root", read_only_root),
    ("mounts::scratch", scratch),
    ("mounts::nothing_in_proc", nothing_in_proc),
    ("mounts::many_layers", many_layers),
];

fn stubs_are_reported(fixture: &Fixture) {
    let mut spec = fixture.spec("cat /new/deep/file; ls -d /new/dir; ls /tmp/x/y");
    let file = || MountSource::Store("offered/file".into());
    let directory = || MountSource::Store("offered".into());
    spec.mounts = vec![
        mount("/new/deep/file", file()),
        mount("/new/dir", directory()),
        mount("/etc/passwd", file()),
        mount(
            "/tmp",
            MountSource::Tmpfs {
                size: 0,
                mode: Some(0o755),
                uid: 0,
                gid: 0,
            },
        ),
        // below a tmpfs: nothing of it reaches the layer
        mount("/tmp/x/y", directory()),
    ];
    let said = fixture.run(&spec).unwrap();
    assert_eq!(said.out, "from the host/new/dir\nfile\n");
    let upper = fixture
        .store
        .path()
        .join(&spec.root.upper.as_ref().unwrap().fs);
    let mut paths = Vec::new();
    for stub in &said.exit.stubs {
        let inode = std::fs::symlink_metadata(upper.join(&stub.path))
            .unwrap()
            .ino();
        assert_eq!(stub.inode, inode, "{}", stub.path);
        paths.push(stub.path.as_str());
    }
    assert_eq!(paths, ["new", "new/deep", "new/deep/file", "new/dir"]);
}

fn standard_directories_stay(fixture: &Fixture) {
    let spec = fixture.spec("true");
    let said = fixture.run(&spec).unwrap();
    assert!(said.exit.stubs.is_empty());
    let upper = fixture
        .store
        .path()
        .join(&spec.root.upper.as_ref().unwrap().fs);
    let mut names: Vec<_> = std::fs::read_dir(upper)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["dev", "proc", "sys"]);
}

fn store_and_host(fixture: &Fixture) {
    let offered = fixture.store.path().join("offered");
    let mut spec = fixture.spec("cat /a/file /b; echo x > /a/file || echo refused");
    let mut directory = mount("/a", MountSource::Host(offered.clone()));
    directory.readonly = true;
    spec.mounts = vec![
        directory,
        mount("/b", MountSource::Host(offered.join("file"))),
    ];
    let said = fixture.run(&spec).unwrap();
    assert_eq!(said.out, "from the hostfrom the hostrefused\n");

    let refused = |source| {
        let mut spec = fixture.spec("true");
        spec.mounts = vec![mount("/a", source)];
        fixture.run(&spec).unwrap_err()
    };
    let unannounced = refused(MountSource::Host("/etc".into()));
    assert!(matches!(
        unannounced,
        ContainerError::UnannouncedSource { .. }
    ));
    for missing in [
        MountSource::Host(offered.join("none")),
        MountSource::Store("none".into()),
    ] {
        let error = refused(missing);
        assert!(
            matches!(error, ContainerError::MissingSource { .. }),
            "{error}"
        );
    }
    for escape in ["../x", "base/tmp/link", "base/var/escape"] {
        refused(MountSource::Store(escape.into()));
    }
}

fn other_layers(fixture: &Fixture) {
    let upper = Upper {
        fs: "aside/fs".into(),
        work: "aside/work".into(),
    };
    for directory in [&upper.fs, &upper.work] {
        std::fs::create_dir_all(fixture.store.path().join(directory)).unwrap();
    }
    let layers = |path: &str, upper| MountSource::Layers {
        lower: vec!["base".into()],
        upper,
        path: path.to_owned(),
    };
    let mut spec = fixture.spec("ls /a; cat /b | head -n 1; echo x > /w/new && echo written");
    spec.mounts = vec![
        mount("/a", layers("/var", None)),
        // a link in the other stack leads inside the other stack
        mount("/b", layers("tmp/link", None)),
        mount("/w", layers("etc", Some(upper))),
    ];
    let said = fixture.run(&spec).unwrap();
    assert_eq!(
        said.out,
        "escape\nold\nroot:x:0:0::/root:/bin/sh\nwritten\n"
    );
    let mut spec = fixture.spec("true");
    spec.mounts = vec![mount("/a", layers("var/escape", None))];
    let error = fixture.run(&spec).unwrap_err();
    assert!(
        matches!(error, ContainerError::MissingSource { .. }),
        "{error}"
    );
}

fn content(fixture: &Fixture) {
    let mut spec = fixture.spec(
        "cat /run/secrets/s; stat -c '%a %u %g' /run/secrets/s; echo $TOKEN; echo x >> /run/secrets/s || echo refused; stat -f -c %T /run/secrets/s",
    );
    let mut secret = mount(
        "/run/secrets/s",
        MountSource::Content {
            index: 0,
            uid: 0,
            gid: 0,
            mode: 0o400,
        },
    );
    secret.readonly = true;
    spec.mounts = vec![secret];
    let attachments = Attachments {
        contents: vec![b"hidden\n".to_vec()],
        secret_env: vec![("TOKEN".to_owned(), "also hidden".to_owned())],
        ..Attachments::default()
    };
    let said = fixture.run_with(&spec, attachments).unwrap();
    assert_eq!(said.out, "hidden\n400 0 0\nalso hidden\nrefused\nramfs\n");
    let upper = fixture
        .store
        .path()
        .join(&spec.root.upper.as_ref().unwrap().fs);
    assert_eq!(std::fs::read(upper.join("run/secrets/s")).unwrap(), b"");
    // a content that was not sent is an error, and no empty file
    fixture.run(&spec).unwrap_err();
}

fn socket(fixture: &Fixture) {
    let mut spec = fixture.spec("stat -c '%F %a' /run/agent.0");
    spec.mounts = vec![mount(
        "/run/agent.0",
        MountSource::Socket {
            index: 0,
            uid: 0,
            gid: 0,
            mode: 0o600,
        },
    )];
    let mut running = fixture
        .launcher
        .run(
            &spec,
            Attachments::default(),
            executor::container::Stdio::Pipes,
        )
        .unwrap();
    let listeners = running.take_listeners().unwrap();
    assert_eq!(listeners.len(), 1);
    assert!(rustix::net::sockopt::socket_acceptconn(&listeners[0]).unwrap());
    let mut out = Vec::new();
    running
        .wait(&|| false, &mut |_, bytes| out.extend_from_slice(bytes))
        .unwrap();
    assert_eq!(out, b"socket 600\n");
}

fn tmpfs(fixture: &Fixture) {
    let mut spec = fixture.spec("stat -c %a /t; dd if=/dev/zero of=/t/big bs=1024 count=128 2>/dev/null || echo full; stat -c %a /dev/shm");
    spec.mounts = vec![mount(
        "/t",
        MountSource::Tmpfs {
            size: 64 << 10,
            mode: Some(0o711),
            uid: 0,
            gid: 0,
        },
    )];
    assert_eq!(fixture.run(&spec).unwrap().out, "711\nfull\n1777\n");
}

fn links_stay_inside(fixture: &Fixture) {
    // /tmp/link leads to /etc/passwd of the container, var/escape to its own /offered
    let mut spec = fixture.spec("cat /etc/passwd; cat /offered/x");
    let file = || MountSource::Store("offered/file".into());
    spec.mounts = vec![mount("/tmp/link", file()), mount("/var/escape/x", file())];
    let said = fixture.run(&spec).unwrap();
    assert_eq!(said.out, "from the hostfrom the host");
    assert!(!fixture.store.path().join("offered/x").exists());
}

fn read_only_root(fixture: &Fixture) {
    let mut spec = fixture.spec("echo x > /x || echo refused; cat /new");
    spec.root.readonly = true;
    spec.mounts = vec![mount("/new", MountSource::Store("offered/file".into()))];
    assert_eq!(fixture.run(&spec).unwrap().out, "refused\nfrom the host");
    let mut spec = fixture.spec("echo x > /x || echo refused");
    spec.root.upper = None;
    let error = fixture.run(&spec);
    // the base has no /proc to mount on, and cannot be given one
    assert!(
        matches!(error, Err(ContainerError::Mount { .. })),
        "{error:?}"
    );
}

fn scratch(fixture: &Fixture) {
    let mut spec = fixture.spec("");
    spec.root.lower.clear();
    spec.process.args = vec![
        "/b".to_owned(),
        "echo".to_owned(),
        "from nothing".to_owned(),
    ];
    let offered = fixture.store.path().join("base/bin/busybox");
    let busybox = fixture.store.path().join("tool/busybox");
    std::fs::create_dir(busybox.parent().unwrap()).unwrap();
    std::fs::copy(offered, &busybox).unwrap();
    spec.mounts = vec![mount("/b", MountSource::Store("tool/busybox".into()))];
    spec.process.args[0] = "/busybox".into();
    spec.mounts[0].target = "/busybox".into();
    assert_eq!(fixture.run(&spec).unwrap().out, "from nothing\n");
}

fn nothing_in_proc(fixture: &Fixture) {
    let mut spec = fixture.spec("true");
    spec.mounts = vec![mount(
        "/proc/sys",
        MountSource::Tmpfs {
            size: 0,
            mode: Some(0o755),
            uid: 0,
            gid: 0,
        },
    )];
    let error = fixture.run(&spec).unwrap_err();
    assert!(matches!(error, ContainerError::Invalid { .. }), "{error}");
}

fn many_layers(fixture: &Fixture) {
    let mut spec = fixture.spec("ls /n | wc -l; cat /n/both");
    for number in 0..300 {
        let layer = format!("many/{number}");
        let directory = fixture.store.path().join(&layer).join("n");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(number.to_string()), "").unwrap();
        std::fs::write(directory.join("both"), number.to_string()).unwrap();
        spec.root.lower.push(layer.into());
    }
    assert_eq!(
        fixture
            .run(&spec)
            .unwrap()
            .out
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["301", "299"]
    );
    spec.root
        .lower
        .extend((0..300).map(|number| format!("many/{number}").into()));
    let error = fixture.run(&spec).unwrap_err();
    assert!(
        matches!(error, ContainerError::TooManyLayers { layers: 601, .. }),
        "{error}"
    );
}
