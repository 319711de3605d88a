//! The process as the spec asks for it: user, environment, directory, limits.

use executor::container::ContainerError;

use crate::Case;
use crate::fixture::Fixture;

pub const CASES: &[Case] = &[
    ("process::users", users),
    ("process::own_output", own_output),
    ("process::environment", environment),
    ("process::directory", directory),
    ("process::limits", limits),
    ("process::added_capability", added_capability),
];

fn users(fixture: &Fixture) {
    // where there is one id, an image cannot put its root into more groups
    let one = std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text == "deny\n");
    let root = if one { "0 0 0 /root" } else { "0 0 0 10 /root" };
    let cases = [
        ("", root),
        ("root", root),
        ("app", "1000 1001 1001 50 /home/app"),
        ("1000:50", "1000 50 50 /home/app"),
        ("4242", "4242 0 0 /"),
        ("4242:4243", "4242 4243 4243 /"),
    ];
    for (user, wanted) in cases {
        let mut spec = fixture.spec("echo $(id -u) $(id -g) $(id -G) $HOME");
        spec.process.user = user.into();
        match fixture.run(&spec) {
            Ok(said) => assert_eq!(said.out.trim(), wanted, "{user}: {said:?}"),
            Err(ContainerError::UnmappedId { .. }) => eprintln!("SKIPPED: {user} is not mapped"),
            Err(error) => panic!("{user}: {error}"),
        }
    }
    for (user, wanted) in [("nosuch", "no user"), ("app:nosuch", "no group")] {
        let mut spec = fixture.spec("true");
        spec.process.user = user.into();
        let error = fixture.run(&spec).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

fn own_output(fixture: &Fixture) {
    let mut spec = fixture.spec("echo out > /dev/stdout; echo err > /dev/stderr");
    spec.process.user = "1000:1001".into();
    match fixture.run(&spec) {
        Ok(said) => assert_eq!((said.out.as_str(), said.err.as_str()), ("out\n", "err\n")),
        Err(ContainerError::UnmappedId { .. }) => eprintln!("SKIPPED: 1000 is not mapped"),
        Err(error) => panic!("{error}"),
    }
}

fn environment(fixture: &Fixture) {
    let mut spec = fixture.spec("echo $HOME $A $PATH");
    spec.process.env = ["A=1", "A=2", "HOME=/h", "PATH=/bin"]
        .map(str::to_owned)
        .into();
    assert_eq!(fixture.run(&spec).unwrap().out, "/h 2 /bin\n");
    spec = fixture.spec("");
    spec.process.env.clear();
    spec.process.args = ["env"].map(str::to_owned).into();
    let out = fixture.run(&spec).unwrap().out;
    assert!(
        out.contains("HOME=/root\n") && out.contains("PATH=/usr/local/sbin:"),
        "{out}"
    );
}

fn directory(fixture: &Fixture) {
    let mut spec = fixture.spec("pwd; stat -c '%u %g %a' . ..");
    spec.process.cwd = "/new/deep".into();
    assert_eq!(
        fixture.run(&spec).unwrap().out,
        "/new/deep\n0 0 755\n0 0 755\n"
    );
    let mut spec = fixture.spec("pwd; stat -c '%u %g %a' . ..");
    spec.process.cwd = "/new/deep".into();
    spec.process.user = "1000:1001".into();
    match fixture.run(&spec) {
        Ok(said) => assert_eq!(said.out, "/new/deep\n1000 1001 755\n1000 1001 755\n"),
        Err(error) => eprintln!("SKIPPED: another user's directory: {error}"),
    }
    for bad in ["relative", "/etc/passwd", "/proc/self/fd/3"] {
        let mut spec = fixture.spec("true");
        spec.process.cwd = bad.into();
        let error = fixture.run(&spec).unwrap_err();
        assert!(
            matches!(error, ContainerError::WorkingDirectory { .. }),
            "{bad}: {error}"
        );
    }
}

fn limits(fixture: &Fixture) {
    let mut spec = fixture.spec("ulimit -n; ulimit -Hn; ulimit -f");
    spec.process.ulimits = ["nofile=100:200", "fsize=1048576"]
        .map(str::to_owned)
        .into();
    // blocks of 512 bytes
    assert_eq!(fixture.run(&spec).unwrap().out, "100\n200\n2048\n");
    spec.process.ulimits = vec!["nofile=x".to_owned()];
    let spec = executor::container::ContainerSpec {
        root: fixture.spec("").root,
        ..spec
    };
    let error = fixture.run(&spec).unwrap_err();
    assert!(matches!(error, ContainerError::Limit { .. }), "{error}");
}

fn added_capability(fixture: &Fixture) {
    let mut spec = fixture.spec("mount -t tmpfs x /tmp && echo mounted");
    spec.security.add_capabilities = vec!["SYS_ADMIN".to_owned()];
    assert_eq!(fixture.run(&spec).unwrap().out, "mounted\n");
    spec = fixture.spec("grep CapEff /proc/self/status");
    spec.security.drop_capabilities = vec!["ALL".to_owned()];
    let out = fixture.run(&spec).unwrap().out;
    assert!(out.ends_with("0000000000000000\n"), "{out}");
}
