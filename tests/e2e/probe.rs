//! What a program finds in a container, through RUN and through `run`, when whoever started rbuild
//! has an environment, descriptors, limits, signals and a directory of his own: nothing of them
//! comes through, and devices, mounts and the kernel's files are what SECURITY.md says. In every tier.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use crate::place::{Place, binary, doctor, said};

/// Puts what must not come through around a command.
const CALLER: &str = "exec 7</dev/null 8>/dev/null; umask 077; ulimit -S -c unlimited 2>/dev/null; \
     ulimit -S -n 700; ulimit -S -s 4096; export LEAKED=yes; cd /usr; \
     exec nice -n 3 choom -n 77 -- env --ignore-signal=HUP,USR1,PIPE --block-signal=USR2,ALRM \"$@\"";

/// The names that /dev has, whatever the tier.
const DEV: &str = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";

/// Docker's fourteen capabilities.
const RIGHTS: &str = "00000000a80425fb";

/// Builds the probe into the project; whether there is a compiler.
fn compiled(place: &Place) -> bool {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/probe/probe.c");
    let source = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(
        || source.into(),
        |dir| std::path::PathBuf::from(dir).join("tests/e2e/probe/probe.c"),
    );
    std::fs::create_dir_all(place.project()).unwrap();
    let compiler = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .arg(place.project().join("probe"))
        .arg(source)
        .output();
    match compiler {
        Ok(output) if output.status.success() => true,
        other => {
            eprintln!("SKIPPED: no compiler for a static probe: {other:?}");
            false
        }
    }
}

/// rbuild, started by somebody who has all of that.
fn called(place: &Place, arguments: &[&str]) -> crate::place::Said {
    let mut command = Command::new("sh");
    command
        .args(["-c", CALLER, "sh"])
        .arg(binary())
        .args(arguments)
        .env("RBUILD_ROOT", place.path("store"));
    said(command.output().unwrap())
}

/// What the probe said, by its words; those that come several times are joined.
fn answers<'l>(lines: impl Iterator<Item = &'l str>) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    for line in lines {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        let entry: &mut String = answers.entry(word.to_owned()).or_default();
        if !entry.is_empty() {
            entry.push(' ');
        }
        entry.push_str(value);
    }
    answers
}

fn check(place: &Place, how: &str, answers: &BTreeMap<String, String>, shut: bool) {
    let is_root = doctor(place)["tier"] == "root";
    let node = if is_root {
        &["EACCES", "EPERM"][..]
    } else {
        &["EPERM"]
    };
    // An ordinary user cannot take it back; it makes a container slower and nothing else.
    let own = rustix::process::getpriority_process(None).unwrap();
    let nice = if is_root { 0 } else { (own + 3).clamp(0, 19) }.to_string();
    let exactly = [
        ("fds", "0 1 2"),
        ("cwd", "/work"),
        ("pid", "1"),
        ("parent", "0"),
        ("session", "1"),
        ("processes", "1"),
        ("terminal", "ENXIO"),
        ("umask", "022"),
        ("nice", &nice),
        ("oom", "0"),
        ("limit-core", "0"),
        ("limit-files", "1024"),
        ("limit-stack", "8388608"),
        ("limit-cpu", "-1"),
        ("limit-size", "-1"),
        ("SigPnd", "0000000000000000"),
        ("ShdPnd", "0000000000000000"),
        ("SigBlk", "0000000000000000"),
        ("SigIgn", "0000000000000000"),
        ("SigCgt", "0000000000000000"),
        ("CapInh", "0000000000000000"),
        ("CapPrm", RIGHTS),
        ("CapEff", RIGHTS),
        ("CapBnd", RIGHTS),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "0"),
        ("Seccomp", "2"),
        ("firmware", ""),
        ("dev", DEV),
        ("mount", "EPERM"),
        ("userns", "EPERM"),
        ("keyring", "EPERM"),
        ("hostname", "EPERM"),
        ("kexec", "EPERM"),
        ("abstract", if shut { "EPERM" } else { "done" }),
    ];
    let mut wrong = Vec::new();
    for (word, value) in exactly {
        let found = answers.get(word).map(String::as_str);
        if found != Some(value) {
            wrong.push(format!("{word}: {found:?}, not {value:?}"));
        }
    }
    let of = |word: &str| answers.get(word).map_or("", String::as_str);
    for word in ["disk", "memory", "kmsg"] {
        if !node.contains(&of(word)) {
            wrong.push(format!("{word}: {}", of(word)));
        }
    }
    for word in [
        "kcore",
        "keys",
        "timer_list",
        "acpi",
        "scsi",
        "latency_stats",
    ] {
        let found = of(&format!("proc-{word}"));
        if !["nothing", "ENOENT", "EACCES", "EISDIR", "EPERM"].contains(&found) {
            wrong.push(format!("/proc/{word}: {found}"));
        }
    }
    for word in ["sysctl", "sysrq", "sysfs"] {
        if !["EROFS", "ENOENT", "EACCES"].contains(&of(word)) {
            wrong.push(format!("{word}: {}", of(word)));
        }
    }
    for target in of("nodes").split(' ') {
        if !target.starts_with("/dev/") {
            wrong.push(format!("device nodes work below {target}"));
        }
    }
    let known = ["PATH", "HOME", "HOSTNAME", "TERM", "MADE"];
    for name in of("env").split(' ') {
        if !known.contains(&name) {
            wrong.push(format!("the variable {name} came through"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{how}:\n{}\n{answers:#?}",
        wrong.join("\n")
    );
}

#[test]
fn a_program_finds_nothing_of_who_started_rbuild() {
    let Some(place) = Place::with_base() else {
        return;
    };
    if !compiled(&place) {
        return;
    }
    let name = format!("rbuild-e2e-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let doctor = place.rbuild(&["doctor"]).ok().out;
    let shut = doctor.contains("abstract sockets of the host are shut");
    place.write(
        "Dockerfile",
        &format!(
            "FROM base:1\nCOPY probe /\nENV MADE=yes\nWORKDIR /work\nRUN [\"/probe\", \"{name}\"]\n"
        ),
    );
    let project = place.project();
    let built = called(
        &place,
        &[
            "build",
            "--progress=plain",
            "-t",
            "app",
            project.to_str().unwrap(),
        ],
    )
    .ok();
    // #4 0.012 cwd /work
    let lines = built.err.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
        let (time, rest) = rest.split_once(' ')?;
        let is_time = |text: &str| text.contains('.') && text.parse::<f64>().is_ok();
        (number.parse::<u32>().is_ok() && is_time(time)).then_some(rest)
    });
    check(&place, "RUN", &answers(lines), shut);
    let ran = called(
        &place,
        &["run", "--rm", "--network=host", "app", "/probe", &name],
    )
    .ok();
    check(&place, "run", &answers(ran.out.lines()), shut);
}
