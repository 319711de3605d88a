//! What `--memory`, `--cpus` and `--pids-limit` do, where control groups of version 2 can be had:
//! the kernel of this machine may have none, those of tests/kernels do.

use std::path::Path;

use crate::place::{BASE, Cleared, Place};

/// None, loudly, where nothing can be limited.
fn place() -> Option<Cleared> {
    let place = Place::with_base().map(Cleared)?;
    let run = [
        "run",
        "--rm",
        "--network=none",
        "--memory=64m",
        BASE,
        "true",
    ];
    let tried = place.rbuild(&run);
    if tried.code == 0 && tried.err.is_empty() {
        return Some(place);
    }
    eprintln!("SKIPPED: nothing can be limited here: {}", tried.err);
    None
}

impl Cleared {
    /// Runs a container called `box` to its end: exit code, output, and what `template` shows of it.
    fn limited(&self, flags: &[&str], script: &str, template: &str) -> (i32, String, String) {
        let words = [
            &["run", "--name=box", "--network=none"],
            flags,
            &[BASE, "sh", "-c", script],
        ];
        let ran = self.rbuild(&words.concat());
        let shown = self.rbuild(&["inspect", "-f", template, "box"]).ok().out;
        self.rbuild(&["rm", "box"]).ok();
        (ran.code, ran.out + &ran.err, shown.trim_end().to_owned())
    }

    /// A file of the control group that a running container sees as its root.
    fn group_file(&self, container: &str, name: &str) -> String {
        let path = format!("/sys/fs/cgroup/{name}");
        let read = self.rbuild(&["exec", container, "cat", &path]).ok();
        read.out.trim_end().to_owned()
    }
}

#[test]
fn what_cannot_be_limited_is_not_built() {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return eprintln!("SKIPPED: this machine has limits");
    }
    let Some(place) = Place::with_base() else {
        return;
    };
    let dockerfile = format!("FROM {BASE}\nRUN true\n");
    for limit in ["--resource=memory=64m", "-m64m", "--cgroup-parent=x"] {
        let refused = place.build(&dockerfile, &[limit]);
        refused
            .fails(3, "not one tree of version 2")
            .fails(3, "`rbuild doctor` says what can be limited here");
    }
    place.build(&dockerfile, &[]).ok();
}

#[test]
fn limits_of_memory_kill() {
    let Some(place) = place() else { return };
    let state = "{{.State.OOMKilled}} {{.State.ExitCode}}";
    let ran = place.limited(&["--memory=16m"], "exec tail /dev/zero", state);
    assert_eq!((ran.0, ran.2.as_str()), (137, "true 137"), "{}", ran.1);
    let ran = place.limited(&["--memory=16m"], "exit 137", state);
    assert_eq!((ran.0, ran.2.as_str()), (137, "false 137"), "{}", ran.1);
    // one of its processes is killed, and the container lives on
    let script = "tail /dev/zero; echo went on";
    let ran = place.limited(&["--memory=16m"], script, state);
    assert_eq!((ran.0, ran.2.as_str()), (0, "true 0"), "{}", ran.1);
    assert!(ran.1.contains("went on"), "{}", ran.1);
}

#[test]
fn limits_of_processes_hold() {
    let Some(place) = place() else { return };
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo started";
    let ran = place.limited(&["--pids-limit=5"], script, "{{.HostConfig.PidsLimit}}");
    assert_eq!((ran.0 != 0, ran.2.as_str()), (true, "5"), "{}", ran.1);
    assert!(
        ran.1.contains("Resource temporarily unavailable"),
        "{}",
        ran.1
    );
    let ran = place.limited(&["--pids-limit=50"], "sleep 0 & wait; echo started", "");
    assert_eq!((ran.0, ran.1.as_str()), (0, "started\n"));
}

#[test]
fn limits_of_processors_slow_down() {
    let Some(place) = place() else { return };
    // half a processor is used up at once by a loop that never waits
    let script = "cat /sys/fs/cgroup/cpu.max; i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done
        grep nr_throttled /sys/fs/cgroup/cpu.stat";
    let ran = place.limited(&["--cpus=0.1"], script, "{{.HostConfig.NanoCpus}}");
    assert_eq!((ran.0, ran.2.as_str()), (0, "100000000"), "{}", ran.1);
    let (limit, throttled) = ran.1.split_once('\n').unwrap_or_default();
    assert_eq!(limit, "10000 100000");
    assert_ne!(throttled, "nr_throttled 0\n");
}

#[test]
fn limits_are_seen_changed_and_gone_with_the_container() {
    let Some(place) = place() else { return };
    let run = [
        "run",
        "-d",
        "--name=box",
        "--network=none",
        "--memory=32m",
        "--cpus=0.5",
        "--pids-limit=9",
    ];
    place
        .rbuild(&[&run[..], &[BASE, "sleep", "1000"]].concat())
        .ok();
    assert_eq!(place.group_file("box", "memory.max"), "33554432");
    assert_eq!(place.group_file("box", "memory.swap.max"), "33554432");
    assert_eq!(place.group_file("box", "cpu.max"), "50000 100000");
    assert_eq!(place.group_file("box", "pids.max"), "9");
    let usage = [
        "stats",
        "--no-stream",
        "--format",
        "{{.MemUsage}} {{.PIDs}}",
        "box",
    ];
    let usage = place.rbuild(&usage).ok().out;
    assert!(usage.trim_end().ends_with("/ 32MiB 1"), "{usage}");
    place
        .rbuild(&[
            "update",
            "--memory=64m",
            "--memory-swap=64m",
            "--cpus=1.5",
            "box",
        ])
        .ok();
    assert_eq!(place.group_file("box", "memory.max"), "67108864");
    assert_eq!(place.group_file("box", "memory.swap.max"), "0");
    assert_eq!(place.group_file("box", "cpu.max"), "150000 100000");
    let all = ["update", "--memory-swap=-1", "--pids-limit=-1", "box"];
    place.rbuild(&all).ok();
    assert_eq!(place.group_file("box", "memory.swap.max"), "max");
    assert_eq!(place.group_file("box", "pids.max"), "max");
    place
        .rbuild(&["update", "--cpu-quota=30000", "box"])
        .fails(1, "CPU Quota cannot be updated as NanoCPUs has already");
    place.rbuild(&["pause", "box"]).ok();
    let status = ["ps", "--format", "{{.Status}}"];
    assert!(place.rbuild(&status).ok().out.contains("(Paused)"));
    place.rbuild(&["exec", "box", "true"]).fails(1, "is paused");
    place.rbuild(&["unpause", "box"]).ok();
    place.rbuild(&["exec", "box", "true"]).ok();
    let id = place.rbuild(&["inspect", "-f", "{{.Id}}", "box"]).ok().out;
    place.rbuild(&["rm", "-f", "box"]).ok();
    assert_eq!(groups(Path::new("/sys/fs/cgroup"), id.trim_end()), 0);
}

/// How many control groups below a directory are named after a container.
fn groups(directory: &Path, id: &str) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories
        .map(|entry| {
            let own = entry.file_name().to_string_lossy().contains(id);
            usize::from(own) + groups(&entry.path(), id)
        })
        .sum()
}

#[test]
fn limits_of_a_build_hold_and_change_no_key() {
    let Some(place) = place() else { return };
    let dockerfile = format!("FROM {BASE}\nRUN cat /sys/fs/cgroup/memory.max > /max\n");
    let limits = ["--resource=memory=32m", "--resource", "cpu-shares=512"];
    place.build(&dockerfile, &limits).ok();
    assert_eq!(place.sh("cat /max"), "33554432\n");
    let again = place.build(&dockerfile, &["-m", "64m"]).ok();
    assert_eq!(again.ran(), [""; 0]);
    let hungry = format!("FROM {BASE}\nRUN exec tail /dev/zero\n");
    place
        .build(&hungry, &["-m", "16m"])
        .fails(1, "not enough memory");
    let parent = format!("FROM {BASE}\nRUN true\n");
    place
        .build(&parent, &["--cgroup-parent=builds", "--no-cache"])
        .ok();
}
