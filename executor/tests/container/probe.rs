//! What the kernel answers inside, asked by a static program made on the spot.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};

use executor::container::spec::{MountSource, Security};
use executor::namespace;

use crate::Case;
use crate::fixture::{Fixture, mount};

pub const CASES: &[Case] = &[("probe::answers", answers)];

fn answers(fixture: &Fixture) {
    if !build(fixture) {
        return eprintln!("SKIPPED: no compiler for a static probe");
    }
    let name = format!("rbuild-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let run = |security: Security| {
        let mut spec = fixture.spec("");
        spec.process.args = ["/probe", &name].map(str::to_owned).into();
        spec.mounts = vec![mount("/probe", MountSource::Store("probe".into()))];
        spec.security = security;
        fixture.run(&spec).unwrap().out
    };
    let (eperm, enosys) = (libc::EPERM, libc::ENOSYS);
    let report = namespace::examine().unwrap();
    let shut = if report.shuts_abstract_sockets {
        eperm
    } else {
        0
    };
    let expected = [
        ("read", 0),
        ("vsock", eperm),
        ("unix", 0),
        ("clone3", enosys),
        ("userns", eperm),
        ("unshare", eperm),
        ("keyctl", eperm),
        ("bpf", eperm),
        ("io_uring", eperm),
        ("personality", 0),
        ("no_randomize", eperm),
        ("unknown", enosys),
        ("abstract", shut),
    ];
    let lines = expected.map(|(what, errno)| format!("{what} {errno}\n"));
    assert_eq!(run(Security::default()), lines.concat());
    // a container that may do everything is not shut off either
    let free = run(Security {
        privileged: true,
        ..Security::default()
    });
    assert!(free.ends_with("abstract 0\n"), "{free}");
}

fn build(fixture: &Fixture) -> bool {
    let compiler = Command::new("cc")
        .args(["-static", "-x", "c", "-", "-o"])
        .arg(fixture.store.path().join("probe"))
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    compiler.is_ok_and(|mut compiler| {
        let source = include_bytes!("probe.c");
        let written = compiler.stdin.take().unwrap().write_all(source);
        written.is_ok() && compiler.wait().unwrap().success()
    })
}
