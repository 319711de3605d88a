//! What a container must not see, have or reach.

use executor::container::spec::{Network, Security};
use executor::namespace;

use crate::Case;
use crate::fixture::Fixture;

pub const CASES: &[Case] = &[
    ("isolation::namespaces", namespaces),
    ("isolation::descriptors", descriptors),
    ("isolation::attributes", attributes),
    ("isolation::capabilities", capabilities),
    ("isolation::devices", devices),
    ("isolation::masks", masks),
    ("isolation::mounts_are_nodev", mounts_are_nodev),
    ("isolation::calls_are_filtered", calls_are_filtered),
    ("isolation::no_network", no_network),
    ("isolation::privileged", privileged),
    (
        "isolation::our_own_file_is_read_only",
        our_own_file_is_read_only,
    ),
];

/// The value of a line of /proc/self/status.
fn status(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split(':').nth(1));
    value.unwrap_or_default().trim().to_owned()
}

fn namespaces(fixture: &Fixture) {
    let names = ["mnt", "pid", "ipc", "uts", "cgroup"];
    let out = fixture.sh(
        "echo $$; hostname; for n in mnt pid ipc uts cgroup; do readlink /proc/self/ns/$n; done",
    );
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], ["1", "box"]);
    for (name, theirs) in names.iter().zip(&lines[2..]) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(ours.to_str(), Some(*theirs), "{name}");
    }
    // nothing of the launcher's mounts is left
    let mounts = fixture.sh("cat /proc/self/mountinfo");
    for gone in ["/store", "/scratch", "/host", "/empty"] {
        let at = |line: &str| line.split(' ').nth(4) == Some(gone);
        assert!(!mounts.lines().any(at), "{gone} in {mounts}");
    }
}

fn descriptors(fixture: &Fixture) {
    // 3 is the directory that ls reads
    let out = fixture.sh("ls /proc/self/fd");
    assert_eq!(
        out.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
    assert_eq!(fixture.sh("readlink /proc/self/fd/0").trim(), "/dev/null");
    assert_eq!(fixture.sh("pwd").trim(), "/");
    let no_terminal = fixture.sh("tty; (: < /dev/tty) || true");
    assert!(no_terminal.contains("not a tty"), "{no_terminal}");
}

fn attributes(fixture: &Fixture) {
    // no shell, which has its own mind about signals
    let mut spec = fixture.spec("");
    spec.process.args = ["cat", "/proc/self/status"].map(str::to_owned).into();
    let text = fixture.run(&spec).unwrap().out;
    for name in ["SigBlk", "SigIgn", "ShdPnd"] {
        assert_eq!(status(&text, name), "0000000000000000", "{name}");
    }
    assert_eq!(status(&text, "NoNewPrivs"), "0");
    assert_eq!(status(&text, "Umask"), "0022");
    let out = fixture
        .sh("ulimit -c; awk '{print $6, $19}' /proc/self/stat; cat /proc/self/oom_score_adj");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "0", "core");
    // its own session; nobody but root may take a caller's niceness back
    let nice = if namespace::is_initial() {
        assert_eq!(lines[2], "0", "oom_score_adj");
        0
    } else {
        rustix::process::getpriority_process(None).unwrap().max(0)
    };
    assert_eq!(lines[1], format!("1 {nice}"));
    assert_eq!(
        fixture
            .sh("env | grep -vc -e PATH= -e HOME= -e PWD= -e SHLVL= || true")
            .trim(),
        "0"
    );
}

fn capabilities(fixture: &Fixture) {
    let ours = std::fs::read_to_string("/proc/self/status").unwrap();
    let ours = u64::from_str_radix(&status(&ours, "CapPrm"), 16).unwrap();
    let wanted = format!("{:016x}", 0xa804_25fb & ours);
    let root = fixture.sh("cat /proc/self/status");
    for (name, value) in [
        ("CapBnd", &*wanted),
        ("CapEff", &wanted),
        ("CapPrm", &wanted),
    ] {
        assert_eq!(status(&root, name), value, "{name}");
    }
    for name in ["CapInh", "CapAmb"] {
        assert_eq!(status(&root, name), "0000000000000000", "{name}");
    }
    let mut spec = fixture.spec("cat /proc/self/status; id -G");
    spec.process.user = "app".into();
    match fixture.run(&spec) {
        Ok(said) => {
            for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
                assert_eq!(status(&said.out, name), "0000000000000000", "{name}");
            }
            assert_eq!(status(&said.out, "CapBnd"), wanted);
            assert!(said.out.ends_with("1001 50\n"), "{}", said.out);
        }
        Err(error) => eprintln!("SKIPPED: another user: {error}"),
    }
    let mut spec = fixture.spec("cat /proc/self/status");
    spec.process.no_new_privileges = true;
    let said = fixture.run(&spec).unwrap();
    assert_eq!(status(&said.out, "NoNewPrivs"), "1");
}

fn devices(fixture: &Fixture) {
    let out = fixture.sh(
        "for d in null zero full random urandom tty; do stat -c '%F %t:%T' /dev/$d; done; \
         head -c 4 /dev/zero | wc -c; echo x > /dev/null; ls /dev",
    );
    let lines: Vec<&str> = out.lines().collect();
    let kinds = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"];
    for (line, numbers) in lines.iter().zip(kinds) {
        assert_eq!(*line, format!("character special file {numbers}"));
    }
    assert_eq!(lines[6].trim(), "4");
    let names = lines[7..].join(" ");
    let wanted = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(names, wanted);

    // a device node of one's own is a name and no way to a disk
    for (kind, major, minor) in [("b", 254, 0), ("b", 8, 0), ("c", 1, 1), ("c", 1, 3)] {
        for at in ["/tmp/d", "/dev/d", "/dev/shm/d"] {
            let script = format!(
                "mknod {at} {kind} {major} {minor} || exit 0; head -c 1 {at} && echo OPENED; echo x > {at} && echo OPENED; true"
            );
            assert!(
                !fixture.sh(&script).contains("OPENED"),
                "{kind} {major}:{minor} at {at}"
            );
        }
    }
}

fn masks(fixture: &Fixture) {
    let out = fixture.sh(
        "for f in kcore keys timer_list sched_debug latency_stats interrupts; do \
           [ -e /proc/$f ] && echo $f $(head -c 9 /proc/$f 2>/dev/null | wc -c); done; \
         ls /proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap 2>/dev/null | grep -v : | grep -v '^$'; true",
    );
    for line in out.lines() {
        assert!(line.ends_with(" 0"), "{out}");
    }
    assert!(out.contains("interrupts 0"), "{out}");
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/proc/irq/x",
        "/sys/x",
        "/sys/kernel/x",
    ] {
        let script = format!("(echo x > {path}) 2>/dev/null && echo WRITTEN; true");
        assert_eq!(fixture.sh(&script), "", "{path}");
    }
}

fn mounts_are_nodev(fixture: &Fixture) {
    let out = fixture.sh("cat /proc/self/mountinfo");
    for line in out.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let is_device = ["null", "zero", "full", "random", "urandom", "tty"]
            .iter()
            .any(|name| words[3].ends_with(name));
        // the driver of terminals makes its own nodes, and nobody else can
        let is_device = is_device || words[4] == "/dev/pts";
        assert!(
            is_device || words[5].split(',').any(|word| word == "nodev"),
            "{line}"
        );
        assert!(!words[6].starts_with("shared"), "{line}");
    }
}

fn calls_are_filtered(fixture: &Fixture) {
    assert_eq!(status(&fixture.sh("cat /proc/self/status"), "Seccomp"), "2");
    let script = "mount -t tmpfs x /tmp && echo MOUNTED; unshare -U true && echo ENTERED; true";
    assert_eq!(fixture.sh(script), "");
    let mut spec = fixture.spec("cat /proc/self/status");
    spec.security.unfiltered = true;
    assert_eq!(status(&fixture.run(&spec).unwrap().out, "Seccomp"), "0");
}

fn no_network(fixture: &Fixture) {
    let mut spec =
        fixture.spec("cat /proc/net/dev; ls /sys/class/net; cat /sys/class/net/lo/flags");
    spec.network = Network::None;
    let out = fixture.run(&spec).unwrap().out;
    let devices: Vec<&str> = out.lines().filter(|line| line.contains(':')).collect();
    assert_eq!(devices.len(), 1, "{out}");
    assert!(devices[0].trim().starts_with("lo:"));
    // IFF_UP and IFF_LOOPBACK
    assert!(out.ends_with("lo\n0x9\n"), "{out}");
}

fn privileged(fixture: &Fixture) {
    let mut spec = fixture.spec("cat /proc/self/status; mount -t tmpfs x /tmp && echo MOUNTED");
    spec.security = Security {
        privileged: true,
        ..Security::default()
    };
    let out = fixture.run(&spec).unwrap().out;
    assert_eq!(status(&out, "Seccomp"), "0");
    assert!(out.contains("MOUNTED"), "{out}");
}

fn our_own_file_is_read_only(fixture: &Fixture) {
    // init is this program, and stays it
    let mut spec = fixture.spec("(: > /proc/1/exe) 2>&1 && echo OPEN; readlink /proc/1/exe");
    spec.process.init = true;
    spec.security.privileged = true;
    let out = fixture.run(&spec).unwrap().out;
    assert!(!out.contains("OPEN"), "{out}");
    // any program that runs is busy; this one is read-only, or a copy
    let is_sealed = out.contains("Read-only file system") || out.contains("/memfd:rbuild");
    assert!(is_sealed, "{out}");
}
