//! More processes in a container, and what others see of it.

use std::io::Read;
use std::os::fd::OwnedFd;

use executor::container::spec::Process;
use executor::monitor::{Exec, ExecStdio, Kind, MonitorError, State};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::Case;
use crate::place::{Place, World};

pub const CASES: &[Case] = &[
    ("exec::output_and_code", output_and_code),
    ("exec::same_as_the_container", same),
    ("exec::another_user", another_user),
    ("exec::terminal", terminal),
    ("exec::signalled", signalled),
    ("exec::ends_with_the_container", ends),
    ("exec::root", root),
    ("exec::held_root", held),
    ("exec::namespaces_and_processes", namespaces),
];

/// What one more shell said, and its code.
pub fn sh(place: &Place, script: &str) -> Result<(String, i32), MonitorError> {
    run(place, shell(place, script))
}

fn shell(place: &Place, script: &str) -> Process {
    Process {
        args: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        ..place.life.spec.process.clone()
    }
}

fn run(place: &Place, process: Process) -> Result<(String, i32), MonitorError> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let twin = write.try_clone().unwrap();
    let executed = place.control().exec(Exec {
        process,
        privileged: false,
        stdio: ExecStdio::Given([null.into(), write, twin]),
    })?;
    let reader = std::thread::spawn(move || text(read));
    let code = executed.wait()?;
    Ok((reader.join().unwrap(), code))
}

fn text(fd: OwnedFd) -> String {
    let mut bytes = Vec::new();
    // a terminal ends with an error
    let _ = std::fs::File::from(fd).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sleeper(world: &World) -> Place {
    let place = world.place("sleep 1000");
    place.start().unwrap();
    place
}

fn output_and_code(world: &World) {
    let place = sleeper(world);
    let said = sh(&place, "echo out; echo err >&2; exit 42").unwrap();
    assert_eq!(said, ("out\nerr\n".to_owned(), 42));
    assert_eq!(sh(&place, "kill -9 $$").unwrap().1, 137);
    for (program, code) in [("nosuch", 127), ("/bin/data", 126)] {
        let mut process = shell(&place, "");
        process.args = vec![program.to_owned()];
        let error = run(&place, process).unwrap_err();
        assert_eq!(error.exit_status(), Some(code), "{error}");
    }
    let mut process = shell(&place, "true");
    "/nosuch".clone_into(&mut process.cwd);
    assert!(
        run(&place, process).is_err(),
        "a working directory is not made"
    );
}

/// Everything that one could tell an executed process by.
const ATTRIBUTES: &str = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups|Uid|Gid|SigB|SigI)' /proc/self/status; \
    cat /proc/self/limits; for f in /proc/self/ns/*; do readlink $f; done; cat /proc/self/cgroup /proc/self/oom_score_adj \
    /proc/self/mountinfo; umask; pwd; env | grep -v SHLVL; hostname; ls -l /proc/self/fd | wc -l";

fn same(world: &World) {
    let mut place = world.place(&format!(
        "{{ {ATTRIBUTES}; }} > /tmp/first 2> /dev/null; exec sleep 1000"
    ));
    place.life.spec.network = executor::container::spec::Network::None;
    place.life.network = executor::network::Plan::None;
    place.life.spec.oom_score_adj = Some(300);
    place.start().unwrap();
    // then all of it is written
    let told = place.until_called("sleep");
    assert_eq!(told.state, State::Running);
    let (second, code) = sh(
        &place,
        &format!("{{ {ATTRIBUTES}; }} > /tmp/second 2> /dev/null; cat /tmp/second"),
    )
    .unwrap();
    assert_eq!(code, 0);
    let first = sh(&place, "cat /tmp/first").unwrap().0;
    for (one, two) in first.lines().zip(second.lines()) {
        assert_eq!(one, two);
    }
    assert!(first.lines().count() > 40, "{first}");
    assert_eq!(first.lines().count(), second.lines().count());
    let seen = sh(&place, "ps -o pid,comm | grep -c sleep").unwrap().0;
    assert_eq!(seen, "1\n", "the container's processes are seen");
}

fn another_user(world: &World) {
    let place = sleeper(world);
    let mut process = shell(
        &place,
        "id -u; id -g; pwd; echo $A; grep CapEff /proc/self/status",
    );
    "app".clone_into(&mut process.user);
    "/tmp".clone_into(&mut process.cwd);
    process.env = vec!["A=b".to_owned()];
    let said = match run(&place, process) {
        Err(MonitorError::Container(executor::container::ContainerError::UnmappedId {
            ..
        })) => {
            return eprintln!("SKIPPED: one id");
        }
        said => said.unwrap().0,
    };
    assert_eq!(said, "1000\n1001\n/tmp\nb\nCapEff:\t0000000000000000\n");
    let mut process = shell(&place, "true");
    "nosuch".clone_into(&mut process.user);
    assert!(run(&place, process).is_err());
}

fn terminal(world: &World) {
    let place = sleeper(world);
    let mut process = shell(&place, "tty; stty size; test -t 0 && echo all; exit 3");
    process.terminal = true;
    let mut executed = place
        .control()
        .exec(Exec {
            process,
            privileged: false,
            stdio: ExecStdio::Terminal {
                rows: 12,
                columns: 34,
            },
        })
        .unwrap();
    let master = executed.take_terminal().unwrap();
    let reader = std::thread::spawn(move || text(master));
    assert_eq!(executed.wait().unwrap(), 3);
    assert_eq!(reader.join().unwrap(), "/dev/pts/0\r\n12 34\r\nall\r\n");
}

fn signalled(world: &World) {
    let place = sleeper(world);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let executed = place
        .control()
        .exec(Exec {
            process: shell(
                &place,
                "trap 'exit 8' USR1; echo ready; while :; do sleep .1; done",
            ),
            privileged: false,
            stdio: ExecStdio::Given([null(), write, null()]),
        })
        .unwrap();
    let mut byte = [0];
    rustix::io::read(&read, &mut byte).unwrap();
    executed.signaller().unwrap()(10);
    assert_eq!(executed.wait().unwrap(), 8);
}

fn ends(world: &World) {
    let place = sleeper(world);
    let executed = place
        .control()
        .exec(Exec {
            process: shell(&place, "sleep 1000"),
            privileged: false,
            stdio: ExecStdio::Null,
        })
        .unwrap();
    place.control().stop(None, Some(0)).unwrap();
    assert!(matches!(
        executed.wait(),
        Ok(137) | Err(MonitorError::Ended)
    ));
    assert_eq!(place.status().exit_code, 137);
}

fn read(root: &OwnedFd, path: &str) -> String {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    let file = openat2(
        root,
        path,
        OFlags::RDONLY,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    );
    text(file.unwrap())
}

fn root(world: &World) {
    let mut place = world.place("echo inside > /tmp/file; sleep 1000");
    place.life.spec.mounts.push(crate::base::mount(
        "/offered",
        executor::container::spec::MountSource::Host(world.store().join("offered")),
    ));
    place.start().unwrap();
    let root = place.control().root().unwrap();
    let path = place.folder.join("fs/tmp/file");
    place.until("written", |_| {
        std::fs::read_to_string(&path).is_ok_and(|text| !text.is_empty())
    });
    assert_eq!(read(&root, "/tmp/file"), "inside\n");
    assert_eq!(read(&root, "/offered/file"), "from the host");
}

fn namespaces(world: &World) {
    let place = sleeper(world);
    assert_eq!(sh(&place, "sleep 1000 > /dev/null 2>&1 &").unwrap().1, 0);
    let mut control = place.control();
    let pids = control.processes().unwrap();
    assert_eq!(pids.len(), 2, "{pids:?}");
    assert!(pids.contains(&place.status().pid));
    let (ipc, _) = sh(&place, "readlink /proc/self/ns/ipc").unwrap();
    let fd = control.namespace(Kind::Ipc).unwrap();
    let inode = rustix::fs::fstat(&fd).unwrap().st_ino;
    assert_eq!(ipc, format!("ipc:[{inode}]\n"));
}

fn held(world: &World) {
    let place = world.place("echo inside > /tmp/file");
    place.start().unwrap();
    place.over();
    let mount = crate::base::mount(
        "/offered",
        executor::container::spec::MountSource::Host(world.store().join("offered")),
    );
    let sources = [world.store().join("offered")];
    let held =
        executor::monitor::hold_root(world.store(), &place.life.spec.root, &[mount], &sources);
    let held = held.unwrap();
    assert_eq!(read(&held.root, "/tmp/file"), "inside\n");
    assert_eq!(read(&held.root, "/offered/file"), "from the host");
    assert!(read(&held.root, "/etc/passwd").contains("root"));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("offered"), "nobody else sees it");
    let missing = executor::container::spec::RootFs {
        lower: vec!["nosuch".into()],
        ..place.life.spec.root.clone()
    };
    assert!(executor::monitor::hold_root(world.store(), &missing, &[], &[]).is_err());
}
